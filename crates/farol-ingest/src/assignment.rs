//! Taking a partition over: inside the rebalance callback, the lake says where it is read from.
//!
//! Kafka's client asks for start offsets while it holds the rebalance open, on the thread that polls. For
//! each partition the marks of its primary table (where to resume) and of the dead letters (what is there
//! already) are read, and the recent rows that duplicates are told by. The coordinator hears of the
//! assignment before any record of it, because this runs before the first record is fetched.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use farol_events::Kind;
use farol_kafka::{Assigned, Assignment, Start, TopicPartition};
use farol_lake::Table;
use tokio::runtime::Handle;

use crate::clock::now_us;
use crate::coordinator::Inbox;
use crate::dedup::partition_digest;
use crate::error::IngestError;
use crate::marks::{Marks, PartitionKey, by_partition};
use crate::resume::{LogRange, Resume, resume};
use crate::seen::{RecentRows, Seen, recent};
use crate::slot::Slot;
use crate::tables::Tables;

/// Tries to read the marks before the partitions are left alone until the next attempt.
const ATTEMPTS: u32 = 5;

/// A partition as it was taken over.
pub(crate) struct Taken {
    pub slot: Arc<Slot>,
    pub marks: Marks,
    pub dead_letters_next: Option<i64>,
    /// Where reading begins; meaningless where `stopped`.
    pub offset: i64,
    /// Offsets that retention took.
    pub lost: i64,
    pub log_end: i64,
    /// Why the partition is not read.
    pub stopped: Option<Stopped>,
}

/// Why a partition that is ours is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The lake did not answer; it is asked again.
    LakeUnreachable(String),
    /// The mark lies beyond the log's end: a person has to decide.
    Beyond(String),
}

/// What the rebalance callback needs, and the partitions held at present.
pub(crate) struct LakeAssignment {
    pub tables: Tables,
    pub cluster_id: String,
    pub kinds: BTreeMap<String, Kind>,
    pub dedup_horizon: Duration,
    pub dedup_max_entries: usize,
    pub runtime: Handle,
    pub inbox: Sender<Inbox>,
    epochs: AtomicU64,
    held: Mutex<HashMap<TopicPartition, Arc<Slot>>>,
}

impl LakeAssignment {
    pub fn new(
        tables: Tables,
        cluster_id: String,
        kinds: BTreeMap<String, Kind>,
        (dedup_horizon, dedup_max_entries): (Duration, usize),
        runtime: Handle,
        inbox: Sender<Inbox>,
    ) -> Self {
        Self {
            tables,
            cluster_id,
            kinds,
            dedup_horizon,
            dedup_max_entries,
            runtime,
            inbox,
            epochs: AtomicU64::new(0),
            held: Mutex::default(),
        }
    }

    /// The assignment that records of a partition belong to now.
    pub fn slot(&self, at: &TopicPartition) -> Option<Arc<Slot>> {
        self.held().get(at).cloned()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TopicPartition, Arc<Slot>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_slot(&self, assigned: &Assigned, kind: Kind) -> Arc<Slot> {
        let key = PartitionKey {
            cluster_id: self.cluster_id.clone(),
            topic: assigned.at.topic.to_string(),
            topic_id: assigned.topic_id.clone(),
            partition: assigned.at.partition,
        };
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed) + 1;
        let digest = partition_digest(&key);
        Arc::new(Slot {
            at: assigned.at.clone(),
            key,
            kind,
            epoch,
            digest,
        })
    }

    /// Takes over the partitions of one topic; they share one reading of the marks.
    fn take_topic(
        &self,
        topic: &str,
        kind: Kind,
        assigned: &[Assigned],
    ) -> (Vec<Taken>, Vec<Seen>) {
        let slots: Vec<_> = assigned
            .iter()
            .map(|assigned| self.new_slot(assigned, kind))
            .collect();
        match self.runtime.block_on(self.read_lake(topic, kind, &slots)) {
            Ok(known) => {
                let taken = assigned
                    .iter()
                    .zip(slots)
                    .map(|(assigned, slot)| take(assigned, slot, &known));
                (taken.collect(), known.seen)
            }
            Err(error) => {
                let reason = format!("the lake could not say where to resume: {error}");
                tracing::error!(topic, "{reason}; trying again later");
                let taken = slots
                    .into_iter()
                    .zip(assigned)
                    .map(|(slot, assigned)| Taken {
                        slot,
                        marks: Marks::default(),
                        dead_letters_next: None,
                        offset: 0,
                        lost: 0,
                        log_end: assigned.log_end,
                        stopped: Some(Stopped::LakeUnreachable(reason.clone())),
                    });
                (taken.collect(), Vec::new())
            }
        }
    }

    async fn read_lake(
        &self,
        topic: &str,
        kind: Kind,
        slots: &[Arc<Slot>],
    ) -> Result<Known, IngestError> {
        let table = self
            .tables
            .primary(kind)
            .ok_or(IngestError::ThreadEnded("assignment"))?;
        let prefix = PartitionKey::topic_prefix(&self.cluster_id, topic);
        let mut attempt = 1;
        loop {
            match self.try_read_lake(table, &prefix, topic, kind, slots).await {
                Err(error) if attempt < ATTEMPTS => {
                    tracing::warn!(
                        topic,
                        attempt,
                        "reading the marks failed, trying again: {error}"
                    );
                    tokio::time::sleep(Duration::from_millis(200) * 2_u32.pow(attempt)).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_read_lake(
        &self,
        table: &Table,
        prefix: &str,
        topic: &str,
        kind: Kind,
        slots: &[Arc<Slot>],
    ) -> Result<Known, IngestError> {
        let marks = by_partition(&table.marks(prefix).await?);
        let dead_letters = by_partition(&self.tables.dead_letters.marks(prefix).await?);
        let partitions: Vec<_> = slots
            .iter()
            .map(|slot| (slot.key.partition, slot.digest))
            .collect();
        let resumes = slots.iter().any(|slot| marks.contains_key(&slot.key));
        let seen = if resumes {
            let horizon_us = i64::try_from(self.dedup_horizon.as_micros()).unwrap_or(i64::MAX);
            let since_us = now_us().saturating_sub(horizon_us).max(0);
            let max_rows = self.dedup_max_entries;
            let wanted = RecentRows {
                kind,
                topic,
                partitions: &partitions,
                since_us,
                max_rows,
            };
            recent(&self.tables.lake, &wanted).await?
        } else {
            Vec::new()
        };
        Ok(Known {
            marks,
            dead_letters,
            seen,
        })
    }

    fn send(&self, message: Inbox) {
        // The coordinator ends after this thread; without it there is nobody left to tell.
        if self.inbox.send(message).is_err() {
            tracing::debug!("the coordinator has ended");
        }
    }
}

struct Known {
    marks: BTreeMap<PartitionKey, Marks>,
    dead_letters: BTreeMap<PartitionKey, Marks>,
    seen: Vec<Seen>,
}

fn take(assigned: &Assigned, slot: Arc<Slot>, known: &Known) -> Taken {
    let marks = known.marks.get(&slot.key).copied().unwrap_or_default();
    let dead_letters_next = known
        .dead_letters
        .get(&slot.key)
        .and_then(|marks| marks.next);
    let log = LogRange {
        start: assigned.log_start,
        end: assigned.log_end,
    };
    let (offset, lost, stopped) = match resume(&marks, log) {
        Resume::At { offset, lost } => (offset, lost, None),
        Resume::Beyond { next, log_end } => {
            let reason = beyond(&slot.key, next, log_end);
            tracing::error!("{reason}");
            (next, 0, Some(Stopped::Beyond(reason)))
        }
    };
    if lost > 0 {
        tracing::error!(
            topic = slot.key.topic,
            partition = slot.key.partition,
            lost,
            "retention took offsets before they were read; reading goes on at {offset}"
        );
    }
    if marks.next.is_none() && recreated(&slot.key, known) {
        tracing::warn!(
            topic = slot.key.topic,
            partition = slot.key.partition,
            topic_id = slot.key.topic_id,
            "the topic was deleted and created again: it is another log, read from its start"
        );
    }
    Taken {
        slot,
        marks,
        dead_letters_next,
        offset,
        lost,
        log_end: assigned.log_end,
        stopped,
    }
}

/// What to say of a mark beyond the log's end.
pub fn beyond(key: &PartitionKey, next: i64, log_end: i64) -> String {
    format!(
        "partition {} of `{}` ends at {log_end}, but {next} would be read next: its log was cut, or is another one \
         under the old name; it is left alone until `farol lake reset-offsets --topic {} --partition {} --to earliest` \
         (or latest, or an offset)",
        key.partition, key.topic, key.topic, key.partition
    )
}

fn recreated(key: &PartitionKey, known: &Known) -> bool {
    known
        .marks
        .keys()
        .any(|other| other.partition == key.partition && other.topic_id != key.topic_id)
}

impl Assignment for LakeAssignment {
    fn assigned(&self, assigned: Vec<Assigned>) -> Vec<Start> {
        let mut starts = HashMap::new();
        let mut topics = BTreeMap::<String, Vec<Assigned>>::new();
        let order: Vec<_> = assigned
            .iter()
            .map(|assigned| assigned.at.clone())
            .collect();
        for assigned in assigned {
            topics
                .entry(assigned.at.topic.to_string())
                .or_default()
                .push(assigned);
        }
        for (topic, assigned) in topics {
            // Only configured topics are subscribed to.
            let Some(kind) = self.kinds.get(&topic).copied() else {
                continue;
            };
            let (taken, seen) = self.take_topic(&topic, kind, &assigned);
            for taken in &taken {
                let start = match taken.stopped {
                    Some(_) => Start::Stopped,
                    None => Start::Offset(taken.offset),
                };
                starts.insert(taken.slot.at.clone(), start);
                self.held()
                    .insert(taken.slot.at.clone(), taken.slot.clone());
            }
            self.send(Inbox::Taken { taken, seen });
        }
        order
            .iter()
            .map(|at| starts.remove(at).unwrap_or(Start::Stopped))
            .collect()
    }

    fn revoked(&self, partitions: &[TopicPartition], _lost: bool) {
        let mut held = self.held();
        let epochs: Vec<_> = partitions
            .iter()
            .filter_map(|at| held.remove(at))
            .map(|slot| slot.epoch)
            .collect();
        drop(held);
        self.send(Inbox::Revoked(epochs));
    }
}
