//! What ingest is told: which topics feed which tables, and its bounds.

use std::time::Duration;

use farol_events::Kind;

/// An input topic and what its records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputTopic {
    /// The topic's name on Kafka.
    pub name: String,
    /// What each record says; it decides the table.
    pub kind: Kind,
}

/// The bounds of ingest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestOptions {
    /// How long rows may wait before they are committed.
    pub flush_interval: Duration,
    /// How many bytes of Arrow rows are committed at once at the most.
    pub max_batch_bytes: usize,
    /// Bytes of records and rows held in memory, from Kafka's client to the commit.
    pub memory_bytes: usize,
    /// How far a watermark trails the newest event.
    pub watermark_bound: Duration,
    /// How long a partition that was read to its end is silent before its watermark moves with the clock.
    pub idle_timeout: Duration,
    /// A larger record is a dead letter with its first 64 KiB.
    pub max_record_bytes: usize,
    /// How long an entry is remembered, to tell a producer's retry.
    pub dedup_horizon: Duration,
    /// Bytes of fingerprints remembered at the most.
    pub dedup_memory_bytes: usize,
    /// The oldest event time accepted, before now.
    pub event_time_past: Duration,
    /// The newest event time accepted, after now.
    pub event_time_future: Duration,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            flush_interval: Duration::from_secs(2),
            max_batch_bytes: 64 << 20,
            memory_bytes: 512 << 20,
            watermark_bound: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            max_record_bytes: 16 << 20,
            dedup_horizon: Duration::from_mins(10),
            dedup_memory_bytes: 256 << 20,
            event_time_past: Duration::from_hours(3_650 * 24),
            event_time_future: Duration::from_hours(24),
        }
    }
}

impl IngestOptions {
    /// Bytes of rows after which a table is flushed: a flush in hand and one gathering must both fit the
    /// memory, with room for what is being decoded.
    pub(crate) fn flush_bytes(&self) -> usize {
        self.max_batch_bytes.min(self.memory_bytes / 4).max(1)
    }

    /// Bytes Kafka's client may hold fetched ahead.
    pub(crate) fn fetch_ahead_bytes(&self) -> usize {
        (self.memory_bytes / 16).clamp(1 << 20, 64 << 20)
    }

    /// Bytes of one partition in an answer of Kafka's, as they are sent. The client unpacks an answer whole before
    /// anybody can bound it, and text compresses up to a hundredfold: the smaller the memory, the smaller the answers.
    pub(crate) fn partition_fetch_bytes(&self) -> usize {
        (self.memory_bytes / 128).clamp(128 << 10, 4 << 20)
    }

    /// Bytes after which no more messages are taken from Kafka's client: a flush in hand and one gathering.
    /// More would only wait, and make the next flush larger. The client, the encoder and the allocator need
    /// about as much again.
    pub(crate) fn in_flight_bytes(&self) -> usize {
        let room = self.memory_bytes - self.fetch_ahead_bytes().min(self.memory_bytes / 2);
        room.min(self.flush_bytes().saturating_mul(2))
    }

    /// The event times accepted at `now_us`, microseconds since the epoch. Nothing before 1970 is.
    pub(crate) fn time_range(&self, now_us: i64) -> farol_events::TimeRange {
        let past = i64::try_from(self.event_time_past.as_micros()).unwrap_or(i64::MAX);
        let future = i64::try_from(self.event_time_future.as_micros()).unwrap_or(i64::MAX);
        farol_events::TimeRange {
            min_us: now_us.saturating_sub(past).max(0),
            max_us: now_us.saturating_add(future),
        }
    }
}
