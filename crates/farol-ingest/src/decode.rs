//! Messages of one partition into rows: the stage that runs in parallel, a thread per share of partitions.
//!
//! A worker takes a batch of messages, decodes it into chunks bounded in rows and bytes, puts Kafka's
//! coordinates and the computed columns beside the event's own, and hands each chunk on. All batches of a
//! partition go to the same worker, so that a partition's order is kept without sorting anything.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::compute::is_not_null;
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use farol_events::{Decoder, Kind, ReasonCode, Reject, table_schema};
use farol_kafka::{Message, MessageBatch};

use crate::clock::now_us;
use crate::dead_letter::{DeadLetter, TRUNCATED_BYTES, without_event_date};
use crate::marks::PartitionKey;
use crate::options::IngestOptions;
use crate::slot::Slot;

/// Rows per chunk: few enough that a chunk's buffers stay in the cache while they are filled.
const CHUNK_ROWS: usize = 2_048;

/// Bytes of records per chunk, unless one record alone is larger.
const CHUNK_BYTES: usize = 8 << 20;

/// Some consecutive records of one partition, decoded.
pub(crate) struct Chunk {
    pub slot: Arc<Slot>,
    /// Rows without the partition column; may be empty.
    pub batch: RecordBatch,
    /// The offset of each row.
    pub offsets: Vec<i64>,
    /// The deduplication key of each row.
    pub fingerprints: Vec<Option<u128>>,
    /// Meaningless without rows.
    pub min_event_time_us: i64,
    /// Meaningless without rows.
    pub max_event_time_us: i64,
    pub dead_letters: Vec<DeadLetter>,
    /// Entries read.
    pub read: i64,
    /// The first record's offset.
    pub first: i64,
    /// One past the last record's offset.
    pub next: i64,
    /// When Kafka got the oldest of these records, milliseconds since the epoch.
    pub oldest_timestamp_ms: Option<i64>,
    /// Bytes of records that the chunk was made of.
    pub raw_bytes: usize,
}

/// Decodes the records of one kind.
pub(crate) struct ChunkDecoder {
    decoder: Decoder,
    kind: Kind,
    schema: SchemaRef,
    options: IngestOptions,
}

impl ChunkDecoder {
    pub fn new(kind: Kind, options: &IngestOptions) -> Self {
        Self {
            decoder: Decoder::new(kind, options.time_range(now_us())),
            kind,
            schema: without_event_date(&table_schema(kind)),
            options: options.clone(),
        }
    }

    /// Decodes a batch of messages; every chunk is handed to `emit` as soon as it is full.
    pub fn decode(
        &mut self,
        slot: &Arc<Slot>,
        messages: &MessageBatch,
        mut emit: impl FnMut(Chunk) -> Result<(), ArrowError>,
    ) -> Result<(), ArrowError> {
        self.decoder
            .set_time_range(self.options.time_range(now_us()));
        let mut gathering = Gathering::default();
        for message in messages.iter() {
            let bytes = message.payload().map_or(0, <[u8]>::len);
            let full = gathering.read as usize >= CHUNK_ROWS;
            if full || (gathering.read > 0 && gathering.raw_bytes + bytes > CHUNK_BYTES) {
                emit(self.finish(slot, std::mem::take(&mut gathering))?)?;
            }
            self.take(message, &mut gathering);
        }
        if gathering.read > 0 {
            emit(self.finish(slot, gathering)?)?;
        }
        Ok(())
    }

    fn take(&mut self, message: Message<'_>, gathering: &mut Gathering) {
        let outcome = decode_payload(
            &mut self.decoder,
            message.payload(),
            self.options.max_record_bytes,
        );
        match outcome {
            Ok(()) => gathering.offsets.push(message.offset()),
            Err(reject) => gathering
                .dead_letters
                .push(DeadLetter::new(message, reject)),
        }
        if gathering.read == 0 {
            gathering.first = message.offset();
        }
        gathering.read += 1;
        gathering.next = message.offset() + 1;
        gathering.raw_bytes += message.payload().map_or(0, <[u8]>::len);
        let timestamp = message.timestamp_ms();
        gathering.oldest_timestamp_ms = match (gathering.oldest_timestamp_ms, timestamp) {
            (Some(oldest), Some(timestamp)) => Some(oldest.min(timestamp)),
            (oldest, timestamp) => oldest.or(timestamp),
        };
    }

    fn finish(&mut self, slot: &Arc<Slot>, gathering: Gathering) -> Result<Chunk, ArrowError> {
        let decoded = self.decoder.finish();
        let place = Place {
            key: &slot.key,
            offsets: &gathering.offsets,
            ingested_at_us: now_us(),
        };
        let batch = table_batch(self.kind, &self.schema, &decoded.batch, &place)?;
        Ok(Chunk {
            slot: slot.clone(),
            batch,
            offsets: gathering.offsets,
            fingerprints: decoded.fingerprints,
            min_event_time_us: decoded.min_event_time_us,
            max_event_time_us: decoded.max_event_time_us,
            dead_letters: gathering.dead_letters,
            read: gathering.read,
            first: gathering.first,
            next: gathering.next,
            oldest_timestamp_ms: gathering.oldest_timestamp_ms,
            raw_bytes: gathering.raw_bytes,
        })
    }
}

#[derive(Default)]
struct Gathering {
    offsets: Vec<i64>,
    dead_letters: Vec<DeadLetter>,
    read: i64,
    first: i64,
    next: i64,
    oldest_timestamp_ms: Option<i64>,
    raw_bytes: usize,
}

/// Decodes one record's value, or says why it is a dead letter.
pub(crate) fn decode_payload(
    decoder: &mut Decoder,
    payload: Option<&[u8]>,
    max_record_bytes: usize,
) -> Result<(), Reject> {
    let payload = payload.ok_or_else(Reject::null_payload)?;
    if payload.len() > max_record_bytes {
        let reason = format!(
            "the record has {} bytes, more than ingest.max_record_bytes = {max_record_bytes}; its first {} are kept",
            payload.len(),
            TRUNCATED_BYTES.min(payload.len())
        );
        return Err(Reject {
            code: ReasonCode::TooLarge,
            reason,
        });
    }
    decoder.decode(payload)
}

/// Where rows came from.
pub(crate) struct Place<'a> {
    pub key: &'a PartitionKey,
    /// One per row.
    pub offsets: &'a [i64],
    /// Microseconds since the epoch.
    pub ingested_at_us: i64,
}

/// Puts the computed columns and Kafka's coordinates beside the event's own, as `schema` orders them.
pub(crate) fn table_batch(
    kind: Kind,
    schema: &SchemaRef,
    events: &RecordBatch,
    place: &Place<'_>,
) -> Result<RecordBatch, ArrowError> {
    let rows = events.num_rows();
    let columns = schema
        .fields()
        .iter()
        .map(|field| -> Result<ArrayRef, ArrowError> {
            Ok(match field.name().as_str() {
                "ingested_at" => Arc::new(
                    TimestampMicrosecondArray::from(vec![place.ingested_at_us; rows])
                        .with_timezone("UTC"),
                ),
                "kafka_topic" => Arc::new(repeated(&place.key.topic, rows)?),
                "kafka_partition" => Arc::new(Int32Array::from(vec![place.key.partition; rows])),
                "kafka_offset" => Arc::new(Int64Array::from(place.offsets.to_vec())),
                "kafka_entry" => Arc::new(Int32Array::from(vec![0; rows])),
                "model" if kind == Kind::Trace => model(events)?,
                name => match events.column_by_name(name) {
                    Some(column) => column.clone(),
                    // Computed by stages that do not run: unknown is null.
                    None => new_null_array(field.data_type(), rows),
                },
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema.clone(), columns)
}

/// The model that answered, else the one that was asked for.
fn model(events: &RecordBatch) -> Result<ArrayRef, ArrowError> {
    let column = |name: &str| {
        let missing = || ArrowError::SchemaError(format!("a trace without a column `{name}`"));
        events.column_by_name(name).ok_or_else(missing)
    };
    let (response, request) = (column("response_model")?, column("request_model")?);
    if response.null_count() == 0 {
        return Ok(response.clone());
    }
    if response.null_count() == response.len() {
        return Ok(request.clone());
    }
    zip(&is_not_null(response)?, response, request)
}

fn repeated(text: &str, rows: usize) -> Result<StringArray, ArrowError> {
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(text.len(), rows));
    StringArray::try_new(
        offsets,
        Buffer::from_vec(text.repeat(rows).into_bytes()),
        None,
    )
}

#[cfg(test)]
mod tests {
    use farol_events::TimeRange;

    use super::*;

    const EVENT: &[u8] = br#"{"event_id":"a","event_time":"2026-03-01T00:00:00Z"}"#;

    #[test]
    fn a_tombstone_and_a_record_over_the_limit_are_dead_letters() {
        let mut decoder = Decoder::new(Kind::Trace, TimeRange::ALL);
        let mut code = |payload, limit| {
            decode_payload(&mut decoder, payload, limit)
                .err()
                .map(|reject| reject.code)
        };
        assert_eq!(code(None, 1 << 20), Some(ReasonCode::NullPayload));
        assert_eq!(code(Some(b""), 1 << 20), Some(ReasonCode::EmptyPayload));
        assert_eq!(code(Some(EVENT), EVENT.len()), None);
        assert_eq!(
            code(Some(EVENT), EVENT.len() - 1),
            Some(ReasonCode::TooLarge)
        );
        assert_eq!(decoder.rows(), 1);
    }
}
