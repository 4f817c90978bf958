//! `farol tail TOPIC`: a topic's records as they arrive.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, SecondsFormat};
use farol_kafka::{From, Tail, TailedRecord};
use serde_json::{Value, json};

use crate::cli::{TailArgs, TailFrom};
use crate::context::Context;
use crate::exit::Exit;
use crate::output;

/// How long one wait for a record is: how soon a signal is noticed.
const WAIT: Duration = Duration::from_millis(200);

/// Runs `farol tail`.
pub async fn run(context: &Context, arguments: &TailArgs) -> anyhow::Result<Exit> {
    let shutdown = context.shutdown()?;
    let kafka = context.kafka()?;
    let from = match arguments.from {
        TailFrom::Earliest => From::Beginning,
        TailFrom::Latest => From::End,
    };
    let (config, topic, json) = (kafka.config.clone(), arguments.topic.clone(), context.json);
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    // Kafka's client blocks.
    let outcome = tokio::task::spawn_blocking(move || {
        let mut tail = Tail::open(&config, &topic, from)?;
        while left > 0 && !shutdown.is_cancelled() {
            if let Some(record) = tail.next(WAIT)? {
                output::line(&if json {
                    as_json(&topic, &record).to_string()
                } else {
                    as_text(&record)
                })?;
                left -= 1;
            }
        }
        anyhow::Ok(())
    })
    .await?;
    kafka.shutdown();
    outcome?;
    Ok(Exit::Done)
}

fn as_text(record: &TailedRecord) -> String {
    let time = record
        .timestamp_ms
        .and_then(DateTime::from_timestamp_millis);
    let time = time.map_or_else(
        || "-".to_owned(),
        |time| time.to_rfc3339_opts(SecondsFormat::Millis, true),
    );
    let shown = |bytes: &Option<Vec<u8>>| {
        bytes
            .as_deref()
            .map_or_else(|| "-".to_owned(), output::readable)
    };
    format!(
        "{}/{} {time} {} {}",
        record.partition,
        record.offset,
        shown(&record.key),
        shown(&record.payload)
    )
}

/// Text as it is; other bytes as `{"base64": …}`. A value that is JSON is put in as JSON.
fn as_json(topic: &str, record: &TailedRecord) -> Value {
    let bytes = |bytes: &Option<Vec<u8>>| match bytes {
        None => Value::Null,
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => json!(text),
            Err(_) => json!({ "base64": BASE64.encode(bytes) }),
        },
    };
    let value = record
        .payload
        .as_deref()
        .and_then(|payload| serde_json::from_slice(payload).ok());
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": bytes(value) }))
        .collect();
    json!({
        "topic": topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": bytes(&record.key),
        "headers": headers,
        "value": value.unwrap_or_else(|| bytes(&record.payload)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: &[u8]) -> TailedRecord {
        TailedRecord {
            partition: 1,
            offset: 7,
            timestamp_ms: Some(0),
            key: Some(b"k".to_vec()),
            payload: Some(payload.to_vec()),
            headers: vec![("h".to_owned(), Some(vec![0xff]))],
        }
    }

    #[test]
    fn records_print_as_text() {
        assert_eq!(as_text(&record(b"{}")), "1/7 1970-01-01T00:00:00.000Z k {}");
        assert_eq!(
            as_text(&record(b"\x1b")),
            "1/7 1970-01-01T00:00:00.000Z k \\x1b"
        );
    }

    #[test]
    fn records_print_as_json() {
        let json = as_json("t", &record(b"{\"a\":1}"));
        assert_eq!(
            (&json["value"]["a"], &json["key"]),
            (&json!(1), &json!("k"))
        );
        assert_eq!(json["headers"][0]["value"]["base64"], "/w==");
        assert_eq!(as_json("t", &record(b"plain"))["value"], "plain");
    }
}
