//! A record to send, and the last record of a key on a compacted topic.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use crate::admin::Admin;
use crate::config::KafkaConfig;
use crate::error::KafkaError;
use crate::partition::TopicPartition;
use crate::tail::{From, Tail};

/// A record to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingRecord {
    /// Where to.
    pub topic: String,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub payload: Vec<u8>,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its time, milliseconds since the epoch; `None`: when it is sent.
    pub timestamp_ms: Option<i64>,
}

impl OutgoingRecord {
    pub(crate) fn to_base(&self) -> BaseRecord<'_, [u8], [u8]> {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic)
            .key(&self.key)
            .payload(&self.payload);
        record.timestamp = self.timestamp_ms;
        if !self.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(self.headers.len());
            let headers = self.headers.iter().fold(headers, |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            });
            record.headers = Some(headers);
        }
        record
    }
}

/// One step of waiting.
const WAIT: Duration = Duration::from_millis(200);

/// The value of the last committed record of a key; `None` where there is none, or no such topic. Reads the topic from its start, so it
/// is for compacted topics. Blocks.
///
/// The topic is read to what its end was at the call, also where a transaction of another producer is open before it:
/// its outcome is awaited, since ours may lie behind it.
///
/// # Errors
/// Where the topic cannot be read to its end within `timeout`.
pub fn latest_by_key(
    config: &KafkaConfig,
    topic: &str,
    key: &[u8],
    timeout: Duration,
) -> Result<Option<Vec<u8>>, KafkaError> {
    let deadline = Instant::now() + timeout;
    let slow = || {
        KafkaError::failed(
            format!("read {topic} to its end"),
            "a transaction on it stays open, or the broker is slow",
        )
    };
    let ends = ends(config, topic)?;
    if ends.is_empty() {
        return Ok(None);
    }
    let admin = Admin::connect(config)?;
    loop {
        let stable = admin.ranges(&[topic.to_owned()])?;
        let reached = |(at, end): &(TopicPartition, i64)| {
            stable.get(at).is_some_and(|(_, stable)| stable >= end)
        };
        if ends.iter().all(reached) {
            break;
        }
        if Instant::now() > deadline {
            return Err(slow());
        }
        std::thread::sleep(WAIT);
    }
    let mut tail = Tail::open(config, topic, From::Beginning)?;
    let mut latest = None;
    while !tail.reached_end() {
        if Instant::now() > deadline {
            return Err(slow());
        }
        if let Some(record) = tail.next(WAIT)?
            && record.key.as_deref() == Some(key)
        {
            latest = record.payload;
        }
    }
    Ok(latest)
}

/// The ends of a topic's partitions, records of open transactions included.
fn ends(config: &KafkaConfig, topic: &str) -> Result<BTreeSet<(TopicPartition, i64)>, KafkaError> {
    let mut settings = config.client(&[]);
    settings.set("isolation.level", "read_uncommitted");
    settings.set_log_level(RDKafkaLogLevel::Error);
    let client: BaseConsumer = settings
        .create()
        .map_err(|error| KafkaError::settings(&error))?;
    let partitions = Admin::connect(config)?.partitions(&[topic.to_owned()])?;
    let end = |at: TopicPartition| {
        let (_, end) = client
            .fetch_watermarks(&at.topic, at.partition, Duration::from_secs(15))
            .map_err(|error| {
                KafkaError::failed(format!("say where the log of {at} ends"), &error)
            })?;
        Ok((at, end))
    };
    partitions.into_iter().map(end).collect()
}
