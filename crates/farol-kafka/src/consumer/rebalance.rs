//! Partitions come and go: what the consumer does inside the rebalance callback.
//!
//! librdkafka pauses the partitions that stay while others come or go, and then resumes each from where it
//! believes the application to be. It cannot be believed: in `rd_kafka_q_serve_rkmessages`, which takes
//! batches, the event of a partition's end counts as one more record read (the record that comes next is
//! then skipped), and what is being taken while the pause begins does not count (it then comes twice). So we
//! keep the positions ourselves, and after every rebalance seek the partitions that stayed to them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError as ClientError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use crate::error::KafkaError;
use crate::native::queue::Queue;
use crate::native::topic_ids::topic_ids;
use crate::partition::TopicPartition;

/// How long the broker may take to answer a question asked inside a rebalance.
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long librdkafka's own thread may take to seek.
const SEEK_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to leave a broker alone that did not answer.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A partition that was handed to this consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// Which.
    pub at: TopicPartition,
    /// The topic's id, `-` where the broker has none.
    pub topic_id: String,
    /// The first offset that retention has left.
    pub log_start: i64,
    /// The last stable offset.
    pub log_end: i64,
}

/// Where an assigned partition is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From this offset.
    Offset(i64),
    /// Not at all, until [`Consumer::restart`](crate::Consumer::restart).
    Stopped,
}

/// Whoever knows where partitions are read from. Called on the polling thread, inside the rebalance.
pub trait Assignment: Send + Sync + 'static {
    /// Partitions were handed out; one start for each, in order. One that gets none is not read.
    fn assigned(&self, partitions: Vec<Assigned>) -> Vec<Start>;
    /// Partitions were taken away, some of which [`Assignment::assigned`] may never have been asked about, where
    /// the broker did not describe them in time; `lost` where the group has given them to others already.
    fn revoked(&self, partitions: &[TopicPartition], lost: bool);
}

/// What the client calls back, and what must outlast a callback.
pub(crate) struct GroupContext {
    assignment: Arc<dyn Assignment>,
    brokers: String,
    /// Where partitions deliver to, while there is a consumer.
    queue: Mutex<Option<Arc<Queue>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Partitions that are ours in the group, read or not.
    owned: BTreeSet<TopicPartition>,
    /// Partitions whose start could not be asked for, and when to ask again.
    unanswered: BTreeSet<TopicPartition>,
    ask_at: Option<Instant>,
    /// Where the partitions that the client reads go on: one past what was taken.
    positions: BTreeMap<TopicPartition, i64>,
    /// Why a rebalance could not be carried out: the group waits for us in vain.
    failure: Option<String>,
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crate::client_log(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        tracing::warn!("Kafka at {}: {reason} ({error})", self.brokers);
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let list = partitions_of(partitions);
        let before = self.state().positions.clone();
        let outcome = if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            tracing::info!(partitions = %names(&list), "partitions assigned");
            self.state().owned.extend(list.iter().cloned());
            self.assign(consumer, &list)
        } else {
            let lost = consumer.assignment_lost();
            tracing::info!(partitions = %names(&list), lost, "partitions revoked");
            self.forget(&list);
            if !list.is_empty() {
                self.assignment.revoked(&list, lost);
            }
            unassign(consumer, &list)
        };
        if let Err(error) = outcome.and_then(|()| self.seek(consumer, before)) {
            self.state().failure = Some(format!("a rebalance could not be carried out: {error}"));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::info!(
                "Kafka did not take the group's offsets, which only dashboards read: {error}"
            );
        }
    }
}

impl GroupContext {
    pub fn new(assignment: Arc<dyn Assignment>, brokers: String) -> Self {
        Self {
            assignment,
            brokers,
            queue: Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// Where partitions deliver to from now on.
    pub fn deliver_to(&self, queue: Option<Arc<Queue>>) {
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = queue;
    }

    /// Why a rebalance failed, told once.
    pub fn failure(&self) -> Option<String> {
        self.state().failure.take()
    }

    /// Asks again for starts that could not be asked for, when it is time.
    pub fn ask_again(&self, consumer: &BaseConsumer<Self>, now: Instant) {
        let waiting: Vec<_> = {
            let mut state = self.state();
            if state.ask_at.is_none_or(|at| now < at) {
                return;
            }
            state.ask_at = None;
            std::mem::take(&mut state.unanswered).into_iter().collect()
        };
        if let Err(error) = self.restart(consumer, &waiting) {
            self.state().failure = Some(format!("partitions could not be assigned: {error}"));
        }
    }

    /// Assigns partitions anew, at starts asked for anew.
    pub fn restart(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &[TopicPartition],
    ) -> Result<(), ClientError> {
        let owned = self.state().owned.clone();
        let ours: Vec<_> = partitions
            .iter()
            .filter(|at| owned.contains(*at))
            .cloned()
            .collect();
        if ours.is_empty() {
            return Ok(());
        }
        for at in &ours {
            self.state().positions.remove(at);
        }
        unassign(consumer, &ours)?;
        self.assign(consumer, &ours)
    }

    /// A partition was read up to `next`.
    pub fn moved(&self, at: &TopicPartition, next: i64) {
        if let Some(position) = self.state().positions.get_mut(at) {
            *position = next.max(*position);
        }
    }

    /// Seeks the partitions that were read before a rebalance, and still are, to where they go on.
    fn seek(
        &self,
        consumer: &BaseConsumer<Self>,
        mut positions: BTreeMap<TopicPartition, i64>,
    ) -> Result<(), ClientError> {
        positions.retain(|at, position| self.state().positions.get(at) == Some(position));
        if positions.is_empty() {
            return Ok(());
        }
        let mut offsets = TopicPartitionList::new();
        for (at, position) in &positions {
            offsets.add_partition_offset(&at.topic, at.partition, Offset::Offset(*position))?;
        }
        for sought in consumer.seek_partitions(offsets, SEEK_TIMEOUT)?.elements() {
            match sought.error() {
                // One that has not begun yet begins where it was told.
                Ok(()) | Err(ClientError::OffsetFetch(RDKafkaErrorCode::State)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Asks where partitions begin, and assigns those that are to be read.
    fn assign(
        &self,
        consumer: &BaseConsumer<Self>,
        list: &[TopicPartition],
    ) -> Result<(), ClientError> {
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (Some(queue), false) = (queue, list.is_empty()) else {
            return consumer.incremental_assign(&TopicPartitionList::new());
        };
        let assigned = match describe(consumer, list) {
            Ok(assigned) => assigned,
            Err(error) => {
                tracing::warn!(
                    "where {} begin is not known yet: {error}; asking again",
                    names(list)
                );
                let mut state = self.state();
                state.unanswered.extend(list.iter().cloned());
                state.ask_at = Some(Instant::now() + ASK_AGAIN_AFTER);
                drop(state);
                return consumer.incremental_assign(&TopicPartitionList::new());
            }
        };
        let starts = self.assignment.assigned(assigned);
        let mut offsets = TopicPartitionList::new();
        let mut read = Vec::new();
        for (at, start) in list.iter().zip(&starts) {
            if let Start::Offset(offset) = start {
                offsets.add_partition_offset(&at.topic, at.partition, Offset::Offset(*offset))?;
                read.push(at);
                self.state().positions.insert(at.clone(), *offset);
            }
        }
        deliver(consumer, &queue, &read)?;
        consumer.incremental_assign(&offsets)?;
        // Again: a stop that was under way when the partition was unassigned ends its forward. Stops are done
        // before the assignment is, and what was fetched meanwhile moves to the queue with the forward.
        deliver(consumer, &queue, &read)
    }

    fn forget(&self, list: &[TopicPartition]) {
        let mut state = self.state();
        for at in list {
            state.owned.remove(at);
            state.positions.remove(at);
            state.unanswered.remove(at);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forwards partitions to the queue that messages are taken from.
fn deliver(
    consumer: &BaseConsumer<GroupContext>,
    queue: &Queue,
    partitions: &[&TopicPartition],
) -> Result<(), ClientError> {
    let forward = |at: &&TopicPartition| queue.forward(consumer.client(), &at.topic, at.partition);
    if partitions.iter().all(forward) {
        Ok(())
    } else {
        Err(ClientError::Subscription(
            "a partition has no queue of its own".to_owned(),
        ))
    }
}

/// Unassigns those of the partitions that the client reads.
fn unassign(
    consumer: &BaseConsumer<GroupContext>,
    list: &[TopicPartition],
) -> Result<(), ClientError> {
    let read: HashSet<_> = partitions_of(&consumer.assignment()?).into_iter().collect();
    let mut partitions = TopicPartitionList::new();
    for at in list.iter().filter(|at| read.contains(*at)) {
        partitions.add_partition(&at.topic, at.partition);
    }
    consumer.incremental_unassign(&partitions)
}

fn describe(
    consumer: &BaseConsumer<GroupContext>,
    list: &[TopicPartition],
) -> Result<Vec<Assigned>, KafkaError> {
    let topics: BTreeSet<_> = list.iter().map(|at| at.topic.to_string()).collect();
    let topics: Vec<_> = topics.into_iter().collect();
    let ids = topic_ids(consumer.client(), &topics, REBALANCE_TIMEOUT)?;
    let assigned = |at: &TopicPartition| {
        // A topic that is being deleted must not be taken for one without an id: that is another log's name.
        let none = || {
            KafkaError::failed(
                format!("tell the id of {}", at.topic),
                "there is no such topic at present",
            )
        };
        let topic_id = ids.get(at.topic.as_ref()).cloned().ok_or_else(none)?;
        let (log_start, log_end) = log_range(consumer, at, REBALANCE_TIMEOUT)?;
        Ok(Assigned {
            at: at.clone(),
            topic_id,
            log_start,
            log_end,
        })
    };
    list.iter().map(assigned).collect()
}

/// A partition's first offset and last stable offset.
pub(super) fn log_range(
    consumer: &BaseConsumer<GroupContext>,
    at: &TopicPartition,
    timeout: Duration,
) -> Result<(i64, i64), KafkaError> {
    consumer
        .fetch_watermarks(&at.topic, at.partition, timeout)
        .map_err(|error| {
            KafkaError::failed(format!("say where the log of {at} begins and ends"), &error)
        })
}

fn partitions_of(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let of = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| TopicPartition {
        topic: element.topic().into(),
        partition: element.partition(),
    };
    list.elements().iter().map(of).collect()
}

fn names(list: &[TopicPartition]) -> String {
    list.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}
