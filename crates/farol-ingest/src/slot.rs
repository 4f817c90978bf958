//! One assignment of one partition: the identity that travels with its records through the threads.

use std::sync::Arc;

use farol_events::Kind;
use farol_kafka::TopicPartition;

use crate::marks::{Mark, Marks, PartitionKey};

/// A partition as it was handed to this process once. A later assignment of the same partition is another
/// slot with another epoch, so that what an earlier one still has under way is recognised and dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    pub at: TopicPartition,
    pub key: PartitionKey,
    pub kind: Kind,
    pub epoch: u64,
    /// [`crate::dedup::partition_digest`] of `key`.
    pub digest: u64,
}

/// What happened to a partition's entries between two offsets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub read: i64,
    pub stored: i64,
    pub duplicates: i64,
    pub dead_letters: i64,
    pub lost: i64,
}

/// A slot's share of a commit: from the mark it must find to the marks it leaves.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub slot: Arc<Slot>,
    /// The marks as the lake must have them.
    pub before: Marks,
    /// The marks as the commit leaves them.
    pub after: Marks,
    /// The partition's mark in the dead letters' own log, as far as we know.
    pub dead_letters_next: Option<i64>,
}

impl Part {
    /// The marks to set: the guard always, the others where they move.
    pub fn moves(&self) -> Vec<(String, i64)> {
        let id = |mark| self.slot.key.app_id(mark);
        let first = self.before.next.is_none();
        let mut moves = vec![(id(Mark::Next), self.after.next.unwrap_or_default())];
        let mut count = |mark, before: i64, after: i64| {
            if first || before != after {
                moves.push((id(mark), after));
            }
        };
        count(Mark::Read, self.before.read, self.after.read);
        count(Mark::Stored, self.before.stored, self.after.stored);
        count(
            Mark::Duplicates,
            self.before.duplicates,
            self.after.duplicates,
        );
        count(
            Mark::DeadLetters,
            self.before.dead_letters,
            self.after.dead_letters,
        );
        count(Mark::Lost, self.before.lost, self.after.lost);
        if let Some(watermark) = self.after.watermark_us
            && self.before.watermark_us != Some(watermark)
        {
            moves.push((id(Mark::WatermarkUs), watermark));
        }
        moves
    }
}

/// The marks after `tally` entries up to `next`. Marks never decrease.
pub(crate) fn advance(
    before: &Marks,
    tally: &Tally,
    next: i64,
    watermark_us: Option<i64>,
) -> Marks {
    Marks {
        next: Some(before.next.map_or(next, |mark| mark.max(next))),
        read: before.read + tally.read,
        stored: before.stored + tally.stored,
        duplicates: before.duplicates + tally.duplicates,
        dead_letters: before.dead_letters + tally.dead_letters,
        lost: before.lost + tally.lost,
        watermark_us: before.watermark_us.max(watermark_us),
        ..*before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(before: Marks, after: Marks) -> Part {
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
        let slot = Slot {
            at,
            key,
            kind: Kind::Trace,
            epoch: 1,
            digest: 0,
        };
        Part {
            slot: Arc::new(slot),
            before,
            after,
            dead_letters_next: None,
        }
    }

    #[test]
    fn marks_advance_by_what_was_read() {
        let before = Marks {
            next: Some(10),
            read: 9,
            stored: 9,
            watermark_us: Some(5),
            ..Marks::default()
        };
        let tally = Tally {
            read: 4,
            stored: 2,
            duplicates: 1,
            dead_letters: 1,
            lost: 3,
        };
        let after = advance(&before, &tally, 17, Some(4));
        assert_eq!(after.next, Some(17));
        assert_eq!(
            after.read,
            after.stored + after.duplicates + after.dead_letters
        );
        assert_eq!(
            (after.read, after.lost, after.watermark_us),
            (13, 3, Some(5))
        );
    }

    #[test]
    fn only_what_moves_is_set_but_the_guard_always_is() {
        let before = Marks {
            next: Some(10),
            read: 9,
            stored: 9,
            ..Marks::default()
        };
        let after = Marks {
            next: Some(12),
            read: 11,
            stored: 11,
            ..before
        };
        let names: Vec<_> = part(before, after)
            .moves()
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        assert_eq!(
            names,
            [
                "farol/c/t@i/0#next",
                "farol/c/t@i/0#read",
                "farol/c/t@i/0#stored"
            ]
        );
        let idle = Marks {
            watermark_us: Some(3),
            ..before
        };
        assert_eq!(part(before, idle).moves().len(), 2);
    }

    #[test]
    fn a_first_step_sets_every_count() {
        let after = Marks {
            next: Some(0),
            ..Marks::default()
        };
        assert_eq!(part(Marks::default(), after).moves().len(), 6);
    }
}
