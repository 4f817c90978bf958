//! The consumer of a group: start offsets from whoever knows them, messages in batches without copies.
//!
//! Rebalances are cooperative. When partitions are handed out, their topic ids and log ranges are asked for,
//! [`Assignment::assigned`] says where each begins, and only then are they assigned, at those offsets: there
//! is no moment at which a partition could be read from anywhere else. Each partition's messages are
//! forwarded to one queue of ours before it is assigned; the consumer's own queue keeps rebalances.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use crate::batch::{MessageBatch, Sorter};
use crate::config::KafkaConfig;
use crate::error::KafkaError;
use crate::native::queue::Queue;
use crate::native::topic_ids::{NO_ID, topic_ids};
use crate::partition::TopicPartition;

/// How long the broker may take to answer a question asked inside a rebalance.
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(10);

/// Farol's own settings, each of which a property can overrule.
const DEFAULTS: [(&str, &str); 11] = [
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // Where to begin is our decision alone; an offset that is gone must be heard of, not jumped over.
    ("auto.offset.reset", "error"),
    ("isolation.level", "read_committed"),
    // The default of 45 s is how long a killed instance's partitions would wait.
    ("session.timeout.ms", "10000"),
    ("enable.partition.eof", "true"),
    ("fetch.queue.backoff.ms", "5"),
    ("queued.max.messages.kbytes", "65536"),
    // Partitions added while running are found within this time.
    ("topic.metadata.refresh.interval.ms", "10000"),
    ("max.partition.fetch.bytes", "4194304"),
];

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
    /// Not at all, until [`Consumer::restart`].
    Stopped,
}

/// Whoever knows where partitions are read from. Called on the polling thread, inside the rebalance.
pub trait Assignment: Send + Sync + 'static {
    /// Partitions were handed out; one start for each, in order.
    fn assigned(&self, partitions: Vec<Assigned>) -> Vec<Start>;
    /// Partitions were taken away; `lost` where the group has given them to others already.
    fn revoked(&self, partitions: &[TopicPartition], lost: bool);
}

/// What a poll brought.
#[derive(Debug, Default)]
pub struct Polled {
    /// Messages, in offset order within each partition.
    pub batches: Vec<MessageBatch>,
    /// What else happened, after those messages.
    pub events: Vec<ConsumerEvent>,
}

/// What a consumer hears besides messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerEvent {
    /// The partition was read to its end, which is now at `offset`.
    EndOfPartition {
        /// Which.
        at: TopicPartition,
        /// One past its last record.
        offset: i64,
    },
    /// The offset asked for is not in the log.
    OffsetOutOfRange {
        /// Which.
        at: TopicPartition,
    },
    /// A partition cannot be read at present.
    PartitionError {
        /// Which, where it is known.
        at: Option<TopicPartition>,
        /// What the client says.
        reason: String,
    },
    /// The client cannot go on.
    Fatal {
        /// What the client says.
        reason: String,
    },
    /// The client will try again by itself.
    Transient {
        /// What the client says.
        reason: String,
    },
}

struct GroupContext {
    assignment: Arc<dyn Assignment>,
    brokers: String,
    /// Set once the consumer exists; partitions are forwarded to it.
    queue: Mutex<Option<Arc<Queue>>>,
    /// Partitions whose start could not be asked for; they are asked for again.
    unanswered: Mutex<HashSet<TopicPartition>>,
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
        let outcome = if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            tracing::info!(partitions = list.len(), "partitions assigned");
            self.assign(consumer, &list)
        } else {
            let lost = consumer.assignment_lost();
            tracing::info!(partitions = list.len(), lost, "partitions revoked");
            self.assignment.revoked(&list, lost);
            consumer.incremental_unassign(partitions)
        };
        if let Err(error) = outcome {
            tracing::error!("the rebalance could not be carried out: {error}");
        }
    }
}

impl GroupContext {
    fn assign(
        &self,
        consumer: &BaseConsumer<Self>,
        list: &[TopicPartition],
    ) -> Result<(), ClientError> {
        if list.is_empty() {
            return consumer.incremental_assign(&TopicPartitionList::new());
        }
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let assigned = match describe(consumer, list) {
            Ok(assigned) => assigned,
            Err(error) => {
                tracing::warn!(
                    "where assigned partitions begin is not known yet: {error}; asking again"
                );
                self.unanswered().extend(list.iter().cloned());
                return consumer
                    .incremental_assign(&at_end_and_paused(list)?)
                    .and_then(|()| pause(consumer, list));
            }
        };
        let starts = self.assignment.assigned(assigned);
        let mut offsets = TopicPartitionList::new();
        let mut stopped = Vec::new();
        for (at, start) in list.iter().zip(&starts) {
            if let Some(queue) = &queue
                && !queue.forward(consumer, &at.topic, at.partition)
            {
                tracing::error!("partition {at} has no queue to forward; it is not read");
                stopped.push(at.clone());
            }
            let offset = match start {
                Start::Offset(offset) => Offset::Offset(*offset),
                Start::Stopped => {
                    stopped.push(at.clone());
                    Offset::End
                }
            };
            offsets.add_partition_offset(&at.topic, at.partition, offset)?;
        }
        consumer.incremental_assign(&offsets)?;
        pause(consumer, &stopped)
    }

    fn unanswered(&self) -> std::sync::MutexGuard<'_, HashSet<TopicPartition>> {
        self.unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks what an assignment needs to know of each partition.
fn describe(
    consumer: &BaseConsumer<GroupContext>,
    list: &[TopicPartition],
) -> Result<Vec<Assigned>, KafkaError> {
    let topics: HashSet<_> = list.iter().map(|at| at.topic.to_string()).collect();
    let topics: Vec<_> = topics.into_iter().collect();
    let ids = ids_or_none(consumer, &topics)?;
    list.iter()
        .map(|at| {
            let (log_start, log_end) = range(consumer, at, REBALANCE_TIMEOUT)?;
            let topic_id = ids
                .get(at.topic.as_ref())
                .cloned()
                .unwrap_or_else(|| NO_ID.to_owned());
            Ok(Assigned {
                at: at.clone(),
                topic_id,
                log_start,
                log_end,
            })
        })
        .collect()
}

/// A broker that does not know the question has no ids.
fn ids_or_none<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &[String],
) -> Result<BTreeMap<String, String>, KafkaError> {
    match topic_ids(consumer.client().native_ptr(), topics, REBALANCE_TIMEOUT) {
        Err(KafkaError::Failed { reason, .. }) if crate::unsupported(&reason) => {
            Ok(BTreeMap::new())
        }
        other => other,
    }
}

fn at_end_and_paused(list: &[TopicPartition]) -> Result<TopicPartitionList, ClientError> {
    let mut offsets = TopicPartitionList::new();
    for at in list {
        offsets.add_partition_offset(&at.topic, at.partition, Offset::End)?;
    }
    Ok(offsets)
}

fn pause<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    list: &[TopicPartition],
) -> Result<(), ClientError> {
    if list.is_empty() {
        return Ok(());
    }
    consumer.pause(&list_of(list))
}

fn list_of(list: &[TopicPartition]) -> TopicPartitionList {
    let mut partitions = TopicPartitionList::new();
    for at in list {
        partitions.add_partition(&at.topic, at.partition);
    }
    partitions
}

fn partitions_of(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let of = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| TopicPartition {
        topic: element.topic().into(),
        partition: element.partition(),
    };
    list.elements().iter().map(of).collect()
}

fn range<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    at: &TopicPartition,
    timeout: Duration,
) -> Result<(i64, i64), KafkaError> {
    consumer
        .fetch_watermarks(&at.topic, at.partition, timeout)
        .map_err(|error| {
            KafkaError::failed(format!("say where the log of {at} begins and ends"), error)
        })
}

/// A member of the group.
pub struct Consumer {
    // Dropped in this order: the queue before the client that it belongs to.
    queue: Arc<Queue>,
    inner: BaseConsumer<GroupContext>,
}

impl Consumer {
    /// Joins the group and subscribes to topics. Partitions arrive with later polls.
    ///
    /// # Errors
    /// Where a property is wrong.
    pub fn subscribe(
        config: &KafkaConfig,
        topics: &[String],
        assignment: Arc<dyn Assignment>,
    ) -> Result<Self, KafkaError> {
        let context = GroupContext {
            assignment,
            brokers: config.brokers.clone(),
            queue: Mutex::default(),
            unanswered: Mutex::default(),
        };
        let mut client = config.client(&DEFAULTS);
        client
            .set("group.id", &config.group)
            .set_log_level(RDKafkaLogLevel::Warning);
        let inner: BaseConsumer<GroupContext> = client
            .create_with_context(context)
            .map_err(KafkaError::settings)?;
        let queue = Arc::new(Queue::new(&inner));
        *inner
            .context()
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(queue.clone());
        let names: Vec<_> = topics.iter().map(String::as_str).collect();
        inner
            .subscribe(&names)
            .map_err(|error| KafkaError::failed("subscribe", error))?;
        Ok(Self { queue, inner })
    }

    /// Serves the group, then takes messages, waiting for up to `timeout` for a full batch.
    pub fn poll(&self, timeout: Duration) -> Result<Polled, KafkaError> {
        let mut polled = self.serve(Duration::ZERO)?;
        let mut sorter = Sorter::default();
        for message in self.queue.take(timeout) {
            match message.error() {
                None => sorter.push(message),
                Some(code) => {
                    let topic = message.topic().map(Into::into);
                    let at = topic.map(|topic| TopicPartition {
                        topic,
                        partition: message.partition(),
                    });
                    let event = partition_event(code, at, message.offset(), message.error_text());
                    polled.events.push(event);
                }
            }
        }
        polled.batches = sorter.finish();
        Ok(polled)
    }

    /// Serves the group without taking messages: what a slow consumer does to stay a member.
    pub fn serve(&self, timeout: Duration) -> Result<Polled, KafkaError> {
        let mut polled = Polled::default();
        match self.inner.poll(timeout) {
            // Every partition is forwarded, so this queue brings events; a message of a partition that was
            // not would be one that nobody asked for.
            None | Some(Ok(_)) => {}
            Some(Err(ClientError::MessageConsumptionFatal(code))) => {
                polled.events.push(ConsumerEvent::Fatal {
                    reason: code.to_string(),
                });
            }
            Some(Err(error)) => polled.events.push(ConsumerEvent::Transient {
                reason: error.to_string(),
            }),
        }
        self.ask_again()?;
        Ok(polled)
    }

    fn ask_again(&self) -> Result<(), KafkaError> {
        let waiting: Vec<_> = self.inner.context().unanswered().drain().collect();
        if waiting.is_empty() {
            Ok(())
        } else {
            self.restart(&waiting)
        }
    }

    /// Asks for the starts of partitions again, and reads them from there. What is not ours any more is left alone.
    pub fn restart(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        let failed = |error| KafkaError::failed("restart partitions", error);
        let held: HashSet<_> = partitions_of(&self.inner.assignment().map_err(failed)?)
            .into_iter()
            .collect();
        let ours: Vec<_> = partitions
            .iter()
            .filter(|at| held.contains(*at))
            .cloned()
            .collect();
        if ours.is_empty() {
            return Ok(());
        }
        let list = list_of(&ours);
        // Stopped partitions are paused; they must not stay so.
        self.inner.resume(&list).map_err(failed)?;
        self.inner.incremental_unassign(&list).map_err(failed)?;
        self.inner
            .context()
            .assign(&self.inner, &ours)
            .map_err(failed)
    }

    /// Commits offsets to the group, without waiting: for lag dashboards.
    pub fn commit_offsets(&self, offsets: &[(TopicPartition, i64)]) -> Result<(), KafkaError> {
        let failed = |error| KafkaError::failed("commit offsets", error);
        let mut list = TopicPartitionList::new();
        for (at, next) in offsets {
            list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*next))
                .map_err(failed)?;
        }
        self.inner.commit(&list, CommitMode::Async).map_err(failed)
    }

    /// A partition's first offset and last stable offset.
    pub fn log_range(
        &self,
        at: &TopicPartition,
        timeout: Duration,
    ) -> Result<(i64, i64), KafkaError> {
        range(&self.inner, at, timeout)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // The context's share of the queue must go before the client that the queue belongs to.
        *self
            .inner
            .context()
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn partition_event(
    code: RDKafkaErrorCode,
    at: Option<TopicPartition>,
    offset: i64,
    reason: String,
) -> ConsumerEvent {
    match (code, at) {
        (RDKafkaErrorCode::PartitionEOF, Some(at)) => ConsumerEvent::EndOfPartition { at, offset },
        (RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange, Some(at)) => {
            ConsumerEvent::OffsetOutOfRange { at }
        }
        (RDKafkaErrorCode::Fatal, _) => ConsumerEvent::Fatal { reason },
        (_, at) => ConsumerEvent::PartitionError { at, reason },
    }
}
