//! Draining: reading every partition to its last stable offset as it stood at the start, and no further.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::coordinator::{Inbox, Surroundings};
use crate::marks::{Marks, PartitionKey, by_partition};
use crate::partition::Partition;

/// How often the lake is asked about partitions that another instance reads.
const ASK_ELSEWHERE: Duration = Duration::from_secs(2);

/// What is left to read of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Target {
    offset: i64,
    /// Nothing was in the log at the start.
    empty: bool,
    read: bool,
    committed: bool,
    stopped: bool,
}

/// How far a drain has come.
#[derive(Debug)]
pub(crate) struct Drain {
    targets: BTreeMap<PartitionKey, Target>,
    asked: Instant,
}

impl Drain {
    /// Targets from each partition's first and last stable offset.
    pub fn new(ranges: impl IntoIterator<Item = (PartitionKey, (i64, i64))>, now: Instant) -> Self {
        let target = |(start, end): (i64, i64)| Target {
            offset: end,
            empty: start >= end,
            read: false,
            committed: false,
            stopped: false,
        };
        let targets = ranges
            .into_iter()
            .map(|(key, range)| (key, target(range)))
            .collect();
        Self {
            targets,
            asked: now,
        }
    }

    /// Takes over what a partition of ours has come to.
    pub fn heard(&mut self, partition: &Partition) {
        if let Some(target) = self.targets.get_mut(&partition.slot.key) {
            target.stopped = partition.stopped.is_some();
            target.read = partition.next() >= target.offset;
            let reached = partition
                .committed
                .next
                .is_some_and(|next| next >= target.offset);
            let nothing = target.empty && partition.committed.next.is_none();
            target.committed = (reached || nothing) && !partition.is_dirty();
        }
    }

    /// Takes over what the lake says of partitions that others own.
    pub fn heard_elsewhere(&mut self, marks: &BTreeMap<PartitionKey, Marks>) {
        for (key, marks) in marks {
            if let Some(target) = self.targets.get_mut(key)
                && marks.next.is_some_and(|next| next >= target.offset)
            {
                (target.read, target.committed) = (true, true);
            }
        }
    }

    /// Everything was read; what is left is to commit it.
    pub fn is_read(&self) -> bool {
        self.targets
            .values()
            .all(|target| target.read || target.stopped)
    }

    /// Everything is committed, or stopped for a person to look at.
    pub fn is_done(&self) -> bool {
        self.targets
            .values()
            .all(|target| target.committed || target.stopped)
    }

    /// Whether it is time to ask the lake about the partitions not done yet.
    pub fn asks_elsewhere(&mut self, now: Instant) -> bool {
        let due = now.saturating_duration_since(self.asked) >= ASK_ELSEWHERE;
        if due {
            self.asked = now;
        }
        due
    }
}

/// Reads the marks of every configured table, for partitions that another instance owns.
pub(crate) fn ask_elsewhere(surroundings: &Surroundings) {
    let (tables, inbox) = (surroundings.tables.clone(), surroundings.inbox.clone());
    surroundings.runtime.spawn(async move {
        let mut found = BTreeMap::new();
        for table in tables.all_primary() {
            match table.marks("farol/").await {
                Ok(marks) => found.extend(by_partition(&marks)),
                Err(error) => {
                    tracing::warn!("could not read the marks of `{}`: {error}", table.name());
                }
            }
        }
        if inbox.send(Inbox::MarksElsewhere(found)).is_err() {
            tracing::debug!("the marks came after ingest had ended");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32) -> PartitionKey {
        let (cluster_id, topic, topic_id) = ("c".into(), "t".into(), "i".into());
        PartitionKey {
            cluster_id,
            topic,
            topic_id,
            partition,
        }
    }

    fn elsewhere(partition: i32, next: i64) -> BTreeMap<PartitionKey, Marks> {
        BTreeMap::from([(
            at(partition),
            Marks {
                next: Some(next),
                ..Marks::default()
            },
        )])
    }

    #[test]
    fn a_drain_is_done_when_every_partition_is_committed_to_its_target() {
        let mut drain = Drain::new([(at(0), (0, 10)), (at(1), (0, 5))], Instant::now());
        assert!(!drain.is_read() && !drain.is_done());
        drain.heard_elsewhere(&elsewhere(0, 10));
        drain.heard_elsewhere(&elsewhere(1, 4));
        assert!(!drain.is_done());
        drain.heard_elsewhere(&elsewhere(1, 7));
        assert!(drain.is_read() && drain.is_done());
    }
}
