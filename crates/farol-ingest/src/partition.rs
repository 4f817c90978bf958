//! What the coordinator knows of one partition that it owns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::assignment::{Stopped, Taken};
use crate::marks::Marks;
use crate::slot::{Part, Slot, Tally, advance};
use crate::watermark::Watermark;

/// A partition under this process's care, from the marks in the lake to what waits for the next commit.
pub(crate) struct Partition {
    pub slot: Arc<Slot>,
    /// The marks in the lake.
    pub committed: Marks,
    /// The marks once the flush under way has landed: what the next flush must find.
    base: Marks,
    dead_letters_next: Option<i64>,
    tally: Tally,
    /// One past the last offset taken into account.
    next: i64,
    watermark: Watermark,
    /// Something waits for a commit besides rows: a loss, a gap, a moved watermark.
    dirty: bool,
    /// The log's end as last heard.
    pub log_end: i64,
    /// When the last record arrived, or the watermark last moved without one.
    last_activity: Instant,
    pub stopped: Option<Stopped>,
    /// The start offset is to be asked for again once all that was read is committed.
    pub restart_when_committed: bool,
}

impl Partition {
    pub fn new(taken: Taken, bound: Duration, now: Instant) -> Self {
        let bound_us = i64::try_from(bound.as_micros()).unwrap_or(i64::MAX);
        // A partition of which the lake knows nothing yet, though records wait in it, is made known by the next commit,
        // even one that has none of its rows: until they are read, event time has not come anywhere.
        let unheard_of = taken.marks.next.is_none() && taken.log_end > taken.offset;
        Self {
            watermark: Watermark::resumed(bound_us, taken.marks.watermark_us),
            committed: taken.marks,
            base: taken.marks,
            dead_letters_next: taken.dead_letters_next,
            tally: Tally {
                lost: taken.lost,
                ..Tally::default()
            },
            next: taken.offset,
            dirty: taken.lost > 0 || (unheard_of && taken.stopped.is_none()),
            log_end: taken.log_end,
            last_activity: now,
            stopped: taken.stopped,
            restart_when_committed: false,
            slot: taken.slot,
        }
    }

    /// One past the last offset taken into account.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Whether records from `first` on follow what was taken into account. Kafka's client must not hand a
    /// record over twice; if it does, nothing of it may be counted.
    pub fn continues_at(&self, first: i64) -> bool {
        first >= self.next
    }

    /// Takes entries into account, up to the offset before `next`.
    pub fn take(&mut self, tally: &Tally, next: i64, now: Instant) {
        self.tally.read += tally.read;
        self.tally.stored += tally.stored;
        self.tally.duplicates += tally.duplicates;
        self.tally.dead_letters += tally.dead_letters;
        self.next = self.next.max(next);
        self.last_activity = now;
        self.dirty = true;
    }

    /// Takes the newest event time of stored rows into account.
    pub fn observe(&mut self, max_event_time_us: i64, now_us: i64) {
        self.watermark.observe(max_event_time_us, now_us);
    }

    /// The log was read to `offset`; what lies between the last record and there are control records.
    pub fn end_at(&mut self, offset: i64) {
        if offset > self.next {
            self.next = offset;
            self.dirty = true;
        }
        self.log_end = self.log_end.max(offset);
    }

    /// Moves the watermark with the clock, if the broker has just said that the log ends where we stand and
    /// nothing came for a while. Returns whether there is something to commit.
    pub fn idle(&mut self, log_end: i64, timeout: Duration, now: Instant, now_us: i64) -> bool {
        self.log_end = log_end;
        let silent = now.saturating_duration_since(self.last_activity) >= timeout;
        if self.stopped.is_some() || !silent || self.next < log_end {
            return false;
        }
        self.last_activity = now;
        self.watermark.idle(now_us);
        self.dirty = true;
        true
    }

    /// The offsets that were taken into account and are not known to be in the lake.
    pub fn uncommitted(&self) -> std::ops::Range<i64> {
        self.committed.next.unwrap_or(0)..self.next
    }

    /// Whether a commit would move anything.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Everything read is in the lake.
    pub fn is_committed(&self) -> bool {
        !self.dirty && self.base == self.committed
    }

    /// Takes what waits out, as this partition's share of a flush.
    pub fn part(&mut self) -> Option<Part> {
        if !self.dirty {
            return None;
        }
        let after = advance(
            &self.base,
            &self.tally,
            self.next,
            self.watermark.value_us(),
        );
        let part = Part {
            slot: self.slot.clone(),
            before: self.base,
            after,
            dead_letters_next: self.dead_letters_next,
        };
        self.base = after;
        self.tally = Tally::default();
        self.dirty = false;
        Some(part)
    }

    /// A flush landed.
    pub fn landed(&mut self, after: Marks, dead_letters_next: Option<i64>) {
        self.committed = after;
        self.dead_letters_next = dead_letters_next;
    }

    /// Records not read yet, as far as we know the log's end.
    pub fn lag_records(&self) -> i64 {
        (self.log_end - self.next).max(0)
    }
}

#[cfg(test)]
mod tests {
    use farol_events::Kind;
    use farol_kafka::TopicPartition;

    use super::*;
    use crate::marks::PartitionKey;

    fn partition(marks: Marks, offset: i64, lost: i64) -> Partition {
        partition_until(marks, offset, lost, offset)
    }

    fn partition_until(marks: Marks, offset: i64, lost: i64, log_end: i64) -> Partition {
        let key = PartitionKey {
            cluster_id: "c".into(),
            topic: "t".into(),
            topic_id: "i".into(),
            partition: 0,
        };
        let at = TopicPartition {
            topic: "t".into(),
            partition: 0,
        };
        let slot = Arc::new(Slot {
            at,
            key,
            kind: Kind::Trace,
            epoch: 1,
            digest: 0,
        });
        let taken = Taken {
            slot,
            marks,
            dead_letters_next: None,
            offset,
            lost,
            log_end,
            stopped: None,
        };
        Partition::new(taken, Duration::from_micros(10), Instant::now())
    }

    #[test]
    fn parts_chain_without_waiting_for_each_other() {
        let mut partition = partition(Marks::default(), 5, 0);
        assert!(partition.part().is_none());
        let now = Instant::now();
        let tally = Tally {
            read: 2,
            stored: 2,
            ..Tally::default()
        };
        partition.take(&tally, 7, now);
        let first = partition.part().unwrap();
        partition.take(&tally, 9, now);
        let second = partition.part().unwrap();
        assert_eq!((first.before.next, first.after.next), (None, Some(7)));
        assert_eq!(
            (second.before.next, second.after.next, second.after.read),
            (Some(7), Some(9), 4)
        );
        partition.landed(first.after, None);
        assert!(!partition.is_committed());
        partition.landed(second.after, None);
        assert!(partition.is_committed());
    }

    #[test]
    fn a_record_handed_over_again_does_not_continue() {
        let mut partition = partition(Marks::default(), 5, 0);
        assert!(partition.continues_at(5) && !partition.continues_at(4));
        let tally = Tally {
            read: 2,
            stored: 2,
            ..Tally::default()
        };
        partition.take(&tally, 7, Instant::now());
        assert!(
            partition.continues_at(7) && partition.continues_at(9),
            "gaps are no loss"
        );
        assert!(!partition.continues_at(6));
    }

    #[test]
    fn a_partition_with_records_is_made_known_before_they_are_read() {
        let part = partition_until(Marks::default(), 5, 0, 9).part().unwrap();
        assert_eq!(part.before.next, None);
        assert_eq!(
            (part.after.next, part.after.read, part.after.watermark_us),
            (Some(5), 0, None)
        );
        let known = Marks {
            next: Some(5),
            ..Marks::default()
        };
        assert!(partition_until(known, 5, 0, 9).part().is_none());
    }

    #[test]
    fn a_loss_alone_is_worth_a_commit() {
        let marks = Marks {
            next: Some(3),
            ..Marks::default()
        };
        let part = partition(marks, 10, 7).part().unwrap();
        assert_eq!(
            (part.before.next, part.after.next, part.after.lost),
            (Some(3), Some(10), 7)
        );
    }

    #[test]
    fn only_a_partition_read_to_its_end_is_idle() {
        let mut partition = partition(Marks::default(), 5, 0);
        let timeout = Duration::from_secs(10);
        let later = Instant::now() + timeout;
        assert!(!partition.idle(6, timeout, later, 1_000), "a record waits");
        assert!(
            !partition.idle(5, timeout, Instant::now(), 1_000),
            "not silent for long enough"
        );
        assert!(partition.idle(5, timeout, later, 1_000));
        assert_eq!(partition.part().unwrap().after.watermark_us, Some(990));
    }

    #[test]
    fn control_records_at_the_end_are_no_loss() {
        let mut partition = partition(Marks::default(), 5, 0);
        partition.end_at(6);
        let part = partition.part().unwrap();
        assert_eq!(
            (part.after.next, part.after.read, part.after.lost),
            (Some(6), 0, 0)
        );
    }
}
