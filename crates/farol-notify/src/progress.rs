//! Progress of routes: a compacted topic with, for each route and partition of the alert topic, how far it is, and its
//! groups with what is on its way.
//!
//! ```text
//!  key                                            value
//!  ["farol","on-call",0,"position"]               {"next", "history_end", "topic_id"}
//!  ["farol","on-call",0,"group","…"]              open alerts, thread, sealed notification; a tombstone when all is over
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use farol_kafka::{Admin, From, KafkaConfig, OutgoingRecord, Tail};
use serde::{Deserialize, Serialize};

use crate::engine::{Changed, Kept, Position};
use crate::error::NotifyError;

/// The topic.
pub const PROGRESS_TOPIC: &str = "farol.notifications.progress";

/// How long reading it may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// One step of waiting.
const WAIT: Duration = Duration::from_millis(200);

/// A position, and the log that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PositionRecord {
    #[serde(flatten)]
    pub position: Position,
    /// The alert topic's id; `-` where the broker has none.
    pub topic_id: String,
}

/// What is kept of a route in a partition.
#[derive(Debug, Default)]
pub struct KeptPartition {
    /// What its engine goes on from.
    pub kept: Kept,
    /// The id of the topic that the position is in; `None`: it has not begun.
    pub topic_id: Option<String>,
}

/// A record to keep; `None`: a tombstone.
#[derive(Debug, Clone)]
pub(crate) struct ToKeep {
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

impl ToKeep {
    pub fn record(&self, topic: &str, value: &[u8]) -> OutgoingRecord {
        OutgoingRecord {
            topic: topic.to_owned(),
            key: self.key.clone(),
            payload: value.to_vec(),
            headers: Vec::new(),
            timestamp_ms: None,
        }
    }
}

/// Where a route's progress is: the Kafka group that Farol's own is named after, the route and the partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub group: &'a str,
    pub route: &'a str,
    pub partition: i32,
}

impl Place<'_> {
    pub fn group(self, (key, value): Changed) -> Result<ToKeep, NotifyError> {
        let key = (self.group, self.route, self.partition, "group", key);
        Ok(ToKeep {
            key: json(&key)?,
            value,
        })
    }

    pub fn position(self, position: &PositionRecord) -> Result<ToKeep, NotifyError> {
        let key = (self.group, self.route, self.partition, "position");
        Ok(ToKeep {
            key: json(&key)?,
            value: Some(json(position)?),
        })
    }
}

/// What is kept of the routes of a Kafka group, by route and partition. Blocks.
///
/// # Errors
/// Where the topic cannot be read to its end, or holds what Farol did not write.
pub fn load(
    kafka: &KafkaConfig,
    group: &str,
) -> Result<BTreeMap<(String, i32), KeptPartition>, NotifyError> {
    let mut loaded: BTreeMap<(String, i32), KeptPartition> = BTreeMap::new();
    for (key, value) in latest(kafka, PROGRESS_TOPIC)? {
        let wrong = |reason: String| NotifyError::Record {
            topic: PROGRESS_TOPIC.to_owned(),
            reason,
        };
        let parts: Vec<serde_json::Value> =
            serde_json::from_slice(&key).map_err(|error| wrong(error.to_string()))?;
        let texts: Vec<&str> = parts.iter().filter_map(serde_json::Value::as_str).collect();
        let partition = parts.get(2).and_then(serde_json::Value::as_i64);
        let partition = partition.and_then(|number| i32::try_from(number).ok());
        let Some(partition) = partition else {
            return Err(wrong("its key names no partition".to_owned()));
        };
        let [owner, route, what, ..] = texts[..] else {
            return Err(wrong("its key is too short".to_owned()));
        };
        if owner != group {
            continue;
        }
        let entry = loaded.entry((route.to_owned(), partition)).or_default();
        if let ("group", Some(name)) = (what, texts.get(3)) {
            entry.kept.restore(name, &value).map_err(wrong)?;
        } else {
            let record: PositionRecord =
                serde_json::from_slice(&value).map_err(|error| wrong(error.to_string()))?;
            entry.kept.position = record.position;
            entry.topic_id = Some(record.topic_id);
        }
    }
    Ok(loaded)
}

/// A record's key and value.
type KeyValue = (Vec<u8>, Vec<u8>);

/// The last record of each key of a compacted topic, in the order in which they were written. Blocks.
pub(crate) fn latest(kafka: &KafkaConfig, topic: &str) -> Result<Vec<KeyValue>, NotifyError> {
    if Admin::connect(kafka)?
        .partitions(&[topic.to_owned()])?
        .is_empty()
    {
        return Ok(Vec::new());
    }
    let deadline = Instant::now() + TIMEOUT;
    let mut tail = Tail::open(kafka, topic, From::Beginning)?;
    let mut found: BTreeMap<Vec<u8>, (i64, Vec<u8>)> = BTreeMap::new();
    while !tail.reached_end() {
        if Instant::now() > deadline {
            return Err(NotifyError::Ended(format!(
                "{topic} could not be read to its end in time"
            )));
        }
        let Some(record) = tail.next(WAIT)? else {
            continue;
        };
        let Some(key) = record.key else { continue };
        match record.payload {
            Some(payload) => found.insert(key, (record.offset, payload)),
            None => found.remove(&key),
        };
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|(_, (offset, _))| *offset);
    Ok(found
        .into_iter()
        .map(|(key, (_, payload))| (key, payload))
        .collect())
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, NotifyError> {
    serde_json::to_vec(value).map_err(|error| NotifyError::Ended(error.to_string()))
}
