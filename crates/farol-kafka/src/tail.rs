//! Following a topic from outside any group.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::admin::Admin;
use crate::config::KafkaConfig;
use crate::error::KafkaError;

/// Where a tail begins in each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the first record.
    Beginning,
    /// After the last record.
    End,
    /// So many records before the end.
    Last(i64),
}

/// A record as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailedRecord {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its time, milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub payload: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// What the client says goes to the log under its own level: the end of a partition is no error, and a lost
/// connection is told where it matters.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crate::client_log(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        tracing::debug!("Kafka: {error}: {reason}");
    }
}

impl ConsumerContext for Quiet {}

/// A reader of one topic.
pub struct Tail {
    consumer: BaseConsumer<Quiet>,
    topic: String,
    /// Partitions whose end was not reached yet.
    open: BTreeSet<i32>,
}

impl Tail {
    /// Begins to read a topic. Records of transactions that were not committed are left out.
    ///
    /// # Errors
    /// Where there is no such topic.
    pub fn open(config: &KafkaConfig, topic: &str, from: From) -> Result<Self, KafkaError> {
        let partitions = Admin::connect(config)?.partitions(&[topic.to_owned()])?;
        if partitions.is_empty() {
            return Err(KafkaError::failed(
                format!("read {topic}"),
                "there is no such topic",
            ));
        }
        let failed = |error: ClientError| KafkaError::failed(format!("read {topic}"), &error);
        let mut settings = config.client(&[("isolation.level", "read_committed")]);
        settings
            .set("group.id", format!("{}-tail", config.group))
            .set("enable.auto.commit", "false");
        // So many records before the end may lie before what retention has left: then from there.
        settings
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest");
        settings.set_log_level(RDKafkaLogLevel::Warning);
        let consumer: BaseConsumer<Quiet> = settings
            .create_with_context(Quiet)
            .map_err(|error| KafkaError::settings(&error))?;
        let mut list = TopicPartitionList::new();
        for at in &partitions {
            let offset = match from {
                From::Beginning => Offset::Beginning,
                From::End => Offset::End,
                From::Last(count) => Offset::OffsetTail(count),
            };
            list.add_partition_offset(topic, at.partition, offset)
                .map_err(failed)?;
        }
        consumer.assign(&list).map_err(failed)?;
        Ok(Self {
            consumer,
            topic: topic.to_owned(),
            open: partitions.iter().map(|at| at.partition).collect(),
        })
    }

    /// The next record; `None` where none came within `timeout`.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<TailedRecord>, KafkaError> {
        match self.consumer.poll(timeout) {
            None => Ok(None),
            Some(Err(ClientError::PartitionEOF(partition))) => {
                self.open.remove(&partition);
                Ok(None)
            }
            // The client connects again by itself.
            Some(Err(ClientError::MessageConsumption(
                code
                @ (RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown),
            ))) => {
                tracing::warn!("while reading {}: {code}; trying again", self.topic);
                Ok(None)
            }
            Some(Err(error)) => Err(KafkaError::failed(format!("read {}", self.topic), &error)),
            Some(Ok(message)) => Ok(Some(TailedRecord {
                partition: message.partition(),
                offset: message.offset(),
                timestamp_ms: message.timestamp().to_millis(),
                key: message.key().map(<[u8]>::to_vec),
                payload: message.payload().map(<[u8]>::to_vec),
                headers: message.headers().map_or_else(Vec::new, |headers| {
                    headers
                        .iter()
                        .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                        .collect()
                }),
            })),
        }
    }

    /// Whether every partition was read to its end at least once.
    pub fn reached_end(&self) -> bool {
        self.open.is_empty()
    }
}
