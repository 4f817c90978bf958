//! What waits for a table's next commit.

use std::time::{Duration, Instant};

use farol_events::Kind;

use crate::dead_letter::DeadLetter;
use crate::flush::{FlushJob, Rows};
use crate::slot::Part;

/// Rows and dead letters gathered for one primary table. One flush at a time is under way; what arrives
/// meanwhile gathers for the next.
pub(crate) struct TableBuffer {
    kind: Kind,
    rows: Vec<(Rows, usize)>,
    dead_letters: Vec<(u64, DeadLetter, usize)>,
    bytes: usize,
    /// When something first waited.
    since: Option<Instant>,
    oldest_timestamp_ms: Option<i64>,
    flushing: bool,
    forced: bool,
}

impl TableBuffer {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            rows: Vec::new(),
            dead_letters: Vec::new(),
            bytes: 0,
            since: None,
            oldest_timestamp_ms: None,
            flushing: false,
            forced: false,
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn is_flushing(&self) -> bool {
        self.flushing
    }

    /// Something besides rows waits for a commit.
    pub fn touch(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// The next flush does not wait for its time.
    pub fn force(&mut self) {
        self.forced = true;
    }

    /// Takes rows and dead letters in; returns the bytes they hold.
    pub fn push(
        &mut self,
        rows: Rows,
        dead_letters: Vec<DeadLetter>,
        oldest_timestamp_ms: Option<i64>,
    ) -> usize {
        self.touch();
        self.oldest_timestamp_ms = match (self.oldest_timestamp_ms, oldest_timestamp_ms) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let mut taken = 0;
        let epoch = rows.epoch;
        if rows.batch.num_rows() > 0 {
            let bytes = rows.batch.get_array_memory_size();
            taken += bytes;
            self.rows.push((rows, bytes));
        }
        for letter in dead_letters {
            let bytes = letter.bytes();
            taken += bytes;
            self.dead_letters.push((epoch, letter, bytes));
        }
        self.bytes += taken;
        taken
    }

    /// Drops what an assignment has gathered; returns the bytes freed.
    pub fn forget(&mut self, epoch: u64) -> usize {
        let before = self.bytes;
        self.rows.retain(|(rows, _)| rows.epoch != epoch);
        self.dead_letters.retain(|(of, _, _)| *of != epoch);
        let rows: usize = self.rows.iter().map(|(_, bytes)| bytes).sum();
        let letters: usize = self.dead_letters.iter().map(|(_, _, bytes)| bytes).sum();
        self.bytes = rows + letters;
        before - self.bytes
    }

    /// Whether the next flush may begin.
    pub fn is_due(&self, flush_bytes: usize, interval: Duration, now: Instant) -> bool {
        let waited = self
            .since
            .is_some_and(|since| now.saturating_duration_since(since) >= interval);
        !self.flushing && (self.forced || waited || self.bytes >= flush_bytes)
    }

    /// Hands everything over to a flush; `None` where there is nothing to commit.
    pub fn take(&mut self, parts: Vec<Part>, max_attempts: Option<u32>) -> Option<FlushJob> {
        self.since = None;
        self.forced = false;
        if parts.is_empty() {
            return None;
        }
        self.flushing = true;
        Some(FlushJob {
            kind: self.kind,
            parts,
            rows: self.rows.drain(..).map(|(rows, _)| rows).collect(),
            dead_letters: self
                .dead_letters
                .drain(..)
                .map(|(epoch, letter, _)| (epoch, letter))
                .collect(),
            bytes: std::mem::take(&mut self.bytes),
            oldest_timestamp_ms: self.oldest_timestamp_ms.take(),
            max_attempts,
        })
    }

    /// The flush under way has ended.
    pub fn flushed(&mut self) {
        self.flushing = false;
    }
}
