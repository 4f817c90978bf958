//! `farol tail TOPIC`: a topic's records as they arrive.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, SecondsFormat};
use farol_kafka::{From, Tail, TailedRecord};
use serde::Serialize;
use serde_json::value::RawValue;

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
    let (topic, json) = (arguments.topic.clone(), context.json);
    // We follow past every end; the client would call each an error.
    let mut config = kafka.config.clone();
    config
        .properties
        .insert("enable.partition.eof".to_owned(), "false".to_owned());
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    // Kafka's client blocks.
    let outcome = tokio::task::spawn_blocking(move || {
        let mut tail = Tail::open(&config, &topic, from)?;
        while left > 0 && !shutdown.is_cancelled() {
            if let Some(record) = tail.next(WAIT)? {
                output::line(&if json {
                    as_json(&topic, &record)?
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

/// A record as `--json` prints it.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp_ms: Option<i64>,
    key: Bytes<'a>,
    headers: Vec<Header<'a>>,
    value: Payload<'a>,
}

#[derive(Serialize)]
struct Header<'a> {
    key: &'a str,
    value: Bytes<'a>,
}

/// Text as it is; other bytes as `{"base64": …}`.
#[derive(Serialize)]
#[serde(untagged)]
enum Bytes<'a> {
    Nothing,
    Text(&'a str),
    Binary { base64: String },
}

/// A value that is JSON on one line is put in as it is, digit by digit.
#[derive(Serialize)]
#[serde(untagged)]
enum Payload<'a> {
    Json(&'a RawValue),
    Bytes(Bytes<'a>),
}

impl<'a> Bytes<'a> {
    fn of(bytes: Option<&'a [u8]>) -> Self {
        match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
            None => Self::Nothing,
            Some((_, Ok(text))) => Self::Text(text),
            Some((bytes, Err(_))) => Self::Binary {
                base64: BASE64.encode(bytes),
            },
        }
    }
}

fn as_json(topic: &str, record: &TailedRecord) -> serde_json::Result<String> {
    let payload = record.payload.as_deref();
    let on_one_line = payload.filter(|bytes| !bytes.contains(&b'\n') && !bytes.contains(&b'\r'));
    let value = match on_one_line.and_then(|bytes| serde_json::from_slice(bytes).ok()) {
        Some(json) => Payload::Json(json),
        None => Payload::Bytes(Bytes::of(payload)),
    };
    serde_json::to_string(&Line {
        topic,
        partition: record.partition,
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        key: Bytes::of(record.key.as_deref()),
        headers: record
            .headers
            .iter()
            .map(|(key, value)| Header {
                key,
                value: Bytes::of(value.as_deref()),
            })
            .collect(),
        value,
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
        assert_eq!(
            as_json("t", &record(b"{\"b\":1.10,\"a\":2}")).unwrap(),
            "{\"topic\":\"t\",\"partition\":1,\"offset\":7,\"timestamp_ms\":0,\"key\":\"k\",\
             \"headers\":[{\"key\":\"h\",\"value\":{\"base64\":\"/w==\"}}],\"value\":{\"b\":1.10,\"a\":2}}"
        );
        assert!(
            as_json("t", &record(b"plain"))
                .unwrap()
                .ends_with("\"value\":\"plain\"}")
        );
        assert!(
            as_json("t", &record(b"{\n}"))
                .unwrap()
                .ends_with("\"value\":\"{\\n}\"}")
        );
    }
}
