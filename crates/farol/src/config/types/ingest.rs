//! Bounds of ingest.

use serde::Deserialize;

use super::{ByteSize, Span, seconds};

/// Bounds of ingest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingest {
    /// How long rows may wait before they are committed.
    pub flush_interval: Span,
    /// Bytes of rows committed at once at the most.
    pub max_batch_bytes: ByteSize,
    /// Bytes held in memory, from Kafka's client to the commit.
    pub memory: ByteSize,
    /// How far a watermark trails the newest event.
    pub watermark_bound: Span,
    /// How long a partition is silent before its watermark moves with the clock.
    pub idle_timeout: Span,
    /// A larger record is a dead letter.
    pub max_record_bytes: ByteSize,
    /// How retries are told.
    pub dedup: Dedup,
    /// Which event times are believed.
    pub event_time_range: EventTimeRange,
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            flush_interval: seconds(2),
            max_batch_bytes: ByteSize(64 << 20),
            memory: ByteSize(512 << 20),
            watermark_bound: seconds(10),
            idle_timeout: seconds(10),
            max_record_bytes: ByteSize(16 << 20),
            dedup: Dedup::default(),
            event_time_range: EventTimeRange::default(),
        }
    }
}

/// How retries are told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dedup {
    /// How long an entry is remembered.
    pub horizon: Span,
    /// Bytes of memory for what is remembered.
    pub memory: ByteSize,
}

impl Default for Dedup {
    fn default() -> Self {
        Self {
            horizon: seconds(600),
            memory: ByteSize(256 << 20),
        }
    }
}

/// Which event times are believed, around now.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventTimeRange {
    /// How long ago.
    pub past: Span,
    /// How far ahead.
    pub future: Span,
}

impl Default for EventTimeRange {
    fn default() -> Self {
        Self {
            past: seconds(3_650 * 86_400),
            future: seconds(86_400),
        }
    }
}
