//! Events that tests send.

use std::ops::Range;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

use super::kafka::Record;

/// The time so long ago, as RFC 3339.
pub fn ago(ago: Duration) -> String {
    (Utc::now() - ago).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A trace that happened just now, with what a chat call says.
pub fn trace(event_id: &str) -> Value {
    json!({
        "event_id": event_id, "event_time": ago(Duration::ZERO), "trace_id": format!("t-{event_id}"),
        "span_id": format!("s-{event_id}"), "service": "assistant", "environment": "production",
        "operation": "chat", "provider": "openai", "request_model": "gpt-4o-mini", "input_tokens": 100,
        "output_tokens": 20, "latency_ms": 512.25, "status": "ok", "cost": "0.000000000123",
        "currency": "USD", "tags": {"team": "blue"}, "input": "Olá?", "output": "Olá!",
    })
}

/// An event with some fields set or replaced.
pub fn with(mut event: Value, fields: &Value) -> Value {
    if let (Some(event), Some(fields)) = (event.as_object_mut(), fields.as_object()) {
        event.extend(fields.clone());
    }
    event
}

/// Ids of numbered events.
pub fn ids(prefix: &str, numbers: Range<usize>) -> Vec<String> {
    numbers
        .map(|number| format!("{prefix}-{number:06}"))
        .collect()
}

/// A trace for each id, keyed by it.
pub fn keyed_traces(ids: &[String]) -> Vec<Record> {
    ids.iter()
        .map(|id| Record::keyed(id, trace(id).to_string()))
        .collect()
}

/// A trace for each id, all to one partition.
pub fn traces_to(partition: i32, ids: &[String]) -> Vec<Record> {
    ids.iter()
        .map(|id| Record::to(partition, trace(id).to_string()))
        .collect()
}
