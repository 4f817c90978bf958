//! The consumer of a group: start offsets from whoever knows them, messages in batches without copies.
//!
//! Rebalances are cooperative. When partitions are handed out, their topic ids and log ranges are asked for,
//! [`Assignment::assigned`] says where each begins, and only then are they assigned, at those offsets: there
//! is no moment at which a partition could be read from anywhere else. Each partition's messages are
//! forwarded to one queue of ours; the consumer's own queue keeps rebalances, and every poll serves it first,
//! on the same thread. So no message of a partition is seen after its revocation: librdkafka stamps what it
//! fetches with the assignment's version and drops what is out of date when it is taken.
//!
//! A partition that is not to be read is a member's in the group, but not assigned in the client. Taking no
//! messages is safe: the client's own queue is bounded, and [`Consumer::serve`] keeps the membership.

mod event;
mod rebalance;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::{Offset, TopicPartitionList};

use crate::batch::Sorter;
use crate::config::KafkaConfig;
use crate::error::KafkaError;
use crate::native::queue::Queue;
use crate::native::topic_ids::topic_ids;
use crate::partition::TopicPartition;

pub use event::{ConsumerEvent, Polled};
use event::{from_client, from_partition, is_news};
pub(crate) use rebalance::GroupContext;
pub use rebalance::{Assigned, Assignment, Start};

/// Farol's own settings, each of which a property can overrule.
const DEFAULTS: [(&str, &str); 8] = [
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("isolation.level", "read_committed"),
    // The default of 45 s is how long a killed instance's partitions would wait.
    ("session.timeout.ms", "10000"),
    ("fetch.queue.backoff.ms", "5"),
    ("queued.max.messages.kbytes", "65536"),
    // Partitions added while running are found within this time.
    ("topic.metadata.refresh.interval.ms", "10000"),
    ("max.partition.fetch.bytes", "4194304"),
    ("log.connection.close", "false"),
];

/// What exactly-once rests on. A property that says otherwise is refused.
const FIXED: [(&str, &str); 4] = [
    // Where to begin is the lake's decision; an offset that is gone must be heard of, not jumped over.
    ("auto.offset.reset", "error"),
    // Kafka's own offsets follow the lake's commit.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // Idle partitions and drains are told by it.
    ("enable.partition.eof", "true"),
];

/// Settings that the group protocol of Kafka 4 (`group.protocol=consumer`) leaves to the broker.
const CLASSIC_ONLY: [&str; 2] = ["partition.assignment.strategy", "session.timeout.ms"];

/// Messages taken at once: their number, and about how many bytes.
const BATCH_MESSAGES: usize = 4_096;
const BATCH_BYTES: usize = 16 << 20;

/// Events of the group served in one poll.
const EVENTS: usize = 32;

/// A member of the group.
///
/// The member leaves the group when this and every [`MessageBatch`](crate::MessageBatch) taken from it are
/// dropped: batches are the client's memory, and keep it.
pub struct Consumer {
    // Dropped in this order: the queue before the client that it belongs to.
    queue: Arc<Queue>,
    inner: Arc<BaseConsumer<GroupContext>>,
    /// How many messages the next poll takes.
    take: AtomicUsize,
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
        let client = settings(config)?;
        let context = GroupContext::new(assignment, config.brokers.clone());
        let inner: BaseConsumer<GroupContext> = client
            .create_with_context(context)
            .map_err(|error| KafkaError::settings(&error))?;
        let queue = Arc::new(Queue::new(inner.client()));
        inner.context().deliver_to(Some(queue.clone()));
        let consumer = Self {
            queue,
            inner: Arc::new(inner),
            take: AtomicUsize::new(BATCH_MESSAGES),
        };
        let names: Vec<_> = topics.iter().map(String::as_str).collect();
        let failed =
            |error| KafkaError::failed(format!("subscribe to {}", topics.join(", ")), &error);
        consumer.inner.subscribe(&names).map_err(failed)?;
        Ok(consumer)
    }

    /// Serves the group, then takes messages, waiting for up to `timeout` for a full batch.
    ///
    /// # Errors
    /// Where the client cannot do what it must do by itself; trying again is all there is.
    pub fn poll(&self, timeout: Duration) -> Result<Polled, KafkaError> {
        let mut polled = self.serve(Duration::ZERO)?;
        let mut sorter = Sorter::new(self.inner.clone());
        let taken = self.queue.take(timeout, self.take.load(Ordering::Relaxed));
        let (mut messages, mut bytes) = (0, 0);
        for message in taken {
            match message.error() {
                None => {
                    messages += 1;
                    bytes += message.payload().map_or(0, <[u8]>::len);
                    sorter.push(message);
                }
                Some(code) => polled.events.push(from_partition(code, &message)),
            }
        }
        polled.batches = sorter.finish();
        let Polled { batches, events } = &mut polled;
        events.retain(|event| is_news(event, batches));
        self.note(&polled);
        if messages > 0 {
            self.take
                .store(next_take(messages, bytes), Ordering::Relaxed);
        }
        Ok(polled)
    }

    /// Keeps where each partition goes on.
    fn note(&self, polled: &Polled) {
        let context = self.inner.context();
        for batch in &polled.batches {
            if let Some(last) = batch.last_offset() {
                context.moved(batch.at(), last + 1);
            }
        }
        for event in &polled.events {
            if let ConsumerEvent::EndOfPartition { at, offset } = event {
                context.moved(at, *offset);
            }
        }
    }

    /// Serves the group without taking messages: what a slow consumer does to stay a member.
    ///
    /// # Errors
    /// As [`Consumer::poll`].
    pub fn serve(&self, timeout: Duration) -> Result<Polled, KafkaError> {
        let mut polled = Polled::default();
        let mut wait = timeout;
        while polled.events.len() < EVENTS {
            match self.inner.poll(wait) {
                Some(Err(error)) => polled.events.push(from_client(&error)),
                // Every partition is forwarded, so a message here is one that nobody asked for.
                Some(Ok(message)) => {
                    tracing::error!(
                        "a message of {} came by the wrong queue",
                        rdkafka::Message::topic(&message)
                    );
                }
                None => break,
            }
            wait = Duration::ZERO;
        }
        let context = self.inner.context();
        context.ask_again(&self.inner, Instant::now());
        polled.events.extend(
            context
                .failure()
                .map(|reason| ConsumerEvent::Fatal { reason }),
        );
        Ok(polled)
    }

    /// Asks for the starts of partitions again, and reads them from there. What is not ours any more is left alone.
    ///
    /// # Errors
    /// Where the client refuses to assign them anew.
    pub fn restart(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        // A rebalance that waits to be served comes first: the client would take our change of the
        // assignment for the answer to it.
        let served = self.serve(Duration::ZERO)?;
        for event in served.events {
            tracing::warn!("while partitions were restarted: {event:?}");
        }
        let failed = |error: ClientError| KafkaError::failed("restart partitions", &error);
        self.inner
            .context()
            .restart(&self.inner, partitions)
            .map_err(failed)
    }

    /// Commits offsets to the group, without waiting: for lag dashboards.
    ///
    /// # Errors
    /// Where the client does not take them; that the broker refuses them is only logged.
    pub fn commit_offsets(&self, offsets: &[(TopicPartition, i64)]) -> Result<(), KafkaError> {
        let failed = |error| KafkaError::failed("commit offsets", &error);
        let mut list = TopicPartitionList::new();
        for (at, next) in offsets {
            list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*next))
                .map_err(failed)?;
        }
        self.inner.commit(&list, CommitMode::Async).map_err(failed)
    }

    /// A partition's first offset and last stable offset.
    ///
    /// # Errors
    /// Where the partition's leader does not answer within `timeout`.
    pub fn log_range(
        &self,
        at: &TopicPartition,
        timeout: Duration,
    ) -> Result<(i64, i64), KafkaError> {
        rebalance::log_range(&self.inner, at, timeout)
    }

    /// The ids that topics have now, `-` where the broker has none; a topic that does not exist is left out.
    ///
    /// # Errors
    /// Where the broker does not answer within `timeout`.
    pub fn topic_ids(
        &self,
        topics: &[String],
        timeout: Duration,
    ) -> Result<BTreeMap<String, String>, KafkaError> {
        topic_ids(self.inner.client(), topics, timeout)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // The context's share of the queue must go before the client that the queue belongs to.
        self.inner.context().deliver_to(None);
    }
}

/// The client's settings: Farol's, then the operator's, then what must be.
fn settings(config: &KafkaConfig) -> Result<rdkafka::ClientConfig, KafkaError> {
    for (name, value) in FIXED {
        if let Some(other) = config
            .properties
            .get(name)
            .filter(|other| other.as_str() != value)
        {
            let reason = format!(
                "`{name}: {other}` would lose records or count them twice; Farol sets it to `{value}`"
            );
            return Err(KafkaError::settings(&reason));
        }
    }
    if let Some(other) = config
        .properties
        .get(CLASSIC_ONLY[0])
        .filter(|name| *name != "cooperative-sticky")
    {
        let reason = format!(
            "`{}: {other}` is not supported; leave it out",
            CLASSIC_ONLY[0]
        );
        return Err(KafkaError::settings(&reason));
    }
    let broker_decides = config
        .properties
        .get("group.protocol")
        .is_some_and(|name| name == "consumer");
    let defaults: Vec<_> = DEFAULTS
        .into_iter()
        .filter(|(name, _)| !(broker_decides && CLASSIC_ONLY.contains(name)))
        .chain(FIXED)
        .collect();
    let mut client = config.client(&defaults);
    client.set("group.id", &config.group);
    client.set_log_level(rdkafka::config::RDKafkaLogLevel::Warning);
    Ok(client)
}

/// How many messages to take next, by the size of the last ones: small ones by the thousand, and of large
/// ones no more than their bytes allow.
fn next_take(messages: usize, bytes: usize) -> usize {
    let mean = (bytes / messages.max(1)).max(1);
    (BATCH_BYTES / mean).clamp(1, BATCH_MESSAGES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_messages_are_taken_one_by_one() {
        assert_eq!(next_take(4_096, 4_096 * 800), BATCH_MESSAGES);
        assert_eq!(next_take(10, 0), BATCH_MESSAGES);
        assert_eq!(next_take(2, 8 << 20), 4);
        assert_eq!(next_take(1, 20 << 20), 1);
    }

    fn with(name: &str, value: &str) -> Result<rdkafka::ClientConfig, KafkaError> {
        let properties = [(name.to_owned(), value.to_owned())].into();
        settings(&KafkaConfig {
            brokers: "b:9092".into(),
            group: "g".into(),
            properties,
        })
    }

    #[test]
    fn what_exactly_once_rests_on_cannot_be_set_otherwise() {
        let error = with("auto.offset.reset", "latest").unwrap_err().to_string();
        assert!(
            error.contains("auto.offset.reset: latest") && error.contains("kafka.properties"),
            "{error}"
        );
        assert!(with("auto.offset.reset", "error").is_ok());
        assert!(with("partition.assignment.strategy", "range").is_err());
    }

    #[test]
    fn the_new_group_protocol_is_left_its_settings() {
        let client = with("group.protocol", "consumer").unwrap();
        assert_eq!(
            (client.get(CLASSIC_ONLY[0]), client.get(CLASSIC_ONLY[1])),
            (None, None)
        );
        let client = with("fetch.queue.backoff.ms", "1").unwrap();
        assert_eq!(client.get("session.timeout.ms"), Some("10000"));
        assert_eq!(client.get("fetch.queue.backoff.ms"), Some("1"));
    }
}
