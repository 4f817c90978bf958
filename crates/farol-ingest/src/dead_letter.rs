//! Records that could not become rows: what is kept of them, and as which columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, Int32Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use farol_events::{ReasonCode, Reject, dead_letter_schema};
use farol_kafka::Message;

use crate::marks::PartitionKey;

/// What is kept of a record over `max_record_bytes`.
pub const TRUNCATED_BYTES: usize = 64 << 10;

/// Headers kept of a record, in bytes of their JSON text.
const MAX_HEADERS_BYTES: usize = 64 << 10;

/// A record that could not become a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The record's offset.
    pub offset: i64,
    /// The entry within the record; 0 where the record itself cannot be decoded.
    pub entry: i32,
    /// When Kafka got the record, milliseconds since the epoch; `None` where unknown.
    pub timestamp_ms: Option<i64>,
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// The record's headers as a JSON list of `{key, value}` (or `value_base64` where it is not text).
    pub headers: Option<String>,
    /// Why, in one word.
    pub code: ReasonCode,
    /// Why, in a sentence.
    pub reason: String,
    /// The record's value, or its first [`TRUNCATED_BYTES`].
    pub raw: Option<Vec<u8>>,
}

impl DeadLetter {
    /// Keeps `message` with the reason it was refused for.
    pub fn new(message: Message<'_>, reject: Reject) -> Self {
        let keep = match reject.code {
            ReasonCode::TooLarge => TRUNCATED_BYTES,
            _ => usize::MAX,
        };
        Self {
            offset: message.offset(),
            entry: 0,
            timestamp_ms: message.timestamp_ms(),
            key: message.key().map(<[u8]>::to_vec),
            headers: headers_text(message.headers()),
            code: reject.code,
            reason: reject.reason,
            raw: message
                .payload()
                .map(|raw| raw[..raw.len().min(keep)].to_vec()),
        }
    }

    /// Bytes this holds in memory, roughly.
    pub fn bytes(&self) -> usize {
        let text = self.reason.len() + self.headers.as_ref().map_or(0, String::len);
        let binary = [&self.key, &self.raw]
            .into_iter()
            .flatten()
            .map(Vec::len)
            .sum::<usize>();
        160 + text + binary
    }
}

fn headers_text(headers: Vec<(String, Option<Vec<u8>>)>) -> Option<String> {
    if headers.is_empty() {
        return None;
    }
    let mut text = String::from("[");
    for (key, value) in headers {
        let entry = match value.map(String::from_utf8) {
            None => serde_json::json!({"key": key, "value": null}),
            Some(Ok(value)) => serde_json::json!({"key": key, "value": value}),
            Some(Err(bytes)) => {
                serde_json::json!({"key": key, "value_base64": STANDARD.encode(bytes.as_bytes())})
            }
        }
        .to_string();
        if text.len() + entry.len() > MAX_HEADERS_BYTES {
            break;
        }
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&entry);
    }
    text.push(']');
    Some(text)
}

/// The dead letters' columns without `event_date`, which is the partition they are filed under.
pub fn upload_schema() -> SchemaRef {
    without_event_date(&dead_letter_schema())
}

/// A table's schema without the partition column, which a file does not hold.
pub fn without_event_date(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .filter(|field| field.name() != "event_date")
        .cloned()
        .collect();
    Arc::new(arrow::datatypes::Schema::new(fields))
}

/// Lays dead letters out as rows of [`upload_schema`].
pub fn to_batch<'a>(
    letters: impl Iterator<Item = (&'a PartitionKey, &'a DeadLetter)>,
    ingested_at_us: i64,
) -> Result<RecordBatch, ArrowError> {
    let mut topics = StringBuilder::new();
    let mut partitions = Int32Builder::new();
    let (mut offsets, mut entries) = (Int64Builder::new(), Int32Builder::new());
    let (mut keys, mut raw) = (BinaryBuilder::new(), BinaryBuilder::new());
    let (mut headers, mut codes) = (StringBuilder::new(), StringBuilder::new());
    let mut reasons = StringBuilder::new();
    let mut rows = 0;
    for (key, letter) in letters {
        rows += 1;
        topics.append_value(&key.topic);
        partitions.append_value(key.partition);
        offsets.append_value(letter.offset);
        entries.append_value(letter.entry);
        keys.append_option(letter.key.as_deref());
        headers.append_option(letter.headers.as_deref());
        codes.append_value(letter.code.as_str());
        reasons.append_value(&letter.reason);
        raw.append_option(letter.raw.as_deref());
    }
    let ingested = TimestampMicrosecondArray::from(vec![ingested_at_us; rows]).with_timezone("UTC");
    let schema = upload_schema();
    let columns = schema
        .fields()
        .iter()
        .map(|field| -> Result<ArrayRef, ArrowError> {
            Ok(match field.name().as_str() {
                "ingested_at" => Arc::new(ingested.clone()),
                "kafka_topic" => Arc::new(topics.finish()),
                "kafka_partition" => Arc::new(partitions.finish()),
                "kafka_offset" => Arc::new(offsets.finish()),
                "kafka_entry" => Arc::new(entries.finish()),
                "kafka_key" => Arc::new(keys.finish()),
                "headers" => Arc::new(headers.finish()),
                "reason_code" => Arc::new(codes.finish()),
                "reason" => Arc::new(reasons.finish()),
                "raw" => Arc::new(raw.finish()),
                other => return Err(ArrowError::SchemaError(format!("no values for `{other}`"))),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema, columns)
}
