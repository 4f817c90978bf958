//! How far a lake's publisher is: one record on a compacted topic, keyed by the lake.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use farol_kafka::{From, KafkaConfig, KafkaError, Tail};
use serde::{Deserialize, Serialize};

use super::PROGRESS_TOPIC;
use crate::error::TriggerError;

/// How long one look at a topic may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// So many records before the end of the topic are read first: ours is among them, unless it was silent for long.
const LAST: i64 = 256;

/// How far a publisher is. All of it moves in the same transaction as the messages it stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The number of the action that is published next.
    pub next_action: i64,
    /// How far the measures of each job are published.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, JobPosition>,
}

/// How far a job's measures are published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPosition {
    /// The version of the job's partials.
    pub version: i64,
    /// The end of the last window that is published, microseconds since the epoch.
    pub closed_us: i64,
}

/// Reads a lake's position; the beginning where there is none.
///
/// # Errors
/// Where the brokers do not answer, or the record cannot be understood.
pub async fn read(kafka: &KafkaConfig, lake_id: &str) -> Result<Position, TriggerError> {
    let (kafka, lake_id) = (kafka.clone(), lake_id.to_owned());
    let read = tokio::task::spawn_blocking(move || read_blocking(&kafka, &lake_id));
    read.await
        .map_err(|panic| TriggerError::ThreadEnded(panic.to_string()))?
}

/// The same, on a thread that may block.
pub(super) fn read_blocking(kafka: &KafkaConfig, lake_id: &str) -> Result<Position, TriggerError> {
    for from in [From::Last(LAST), From::Beginning] {
        let mut found = None;
        each_record(kafka, PROGRESS_TOPIC, from, |record| {
            if record.key.as_deref() == Some(lake_id.as_bytes()) {
                found = record.payload;
            }
        })?;
        if let Some(payload) = found {
            return serde_json::from_slice(&payload).map_err(|error| {
                TriggerError::Malformed(format!(
                    "the record of lake {lake_id} on {PROGRESS_TOPIC} cannot be read: {error}"
                ))
            });
        }
    }
    Ok(Position::default())
}

/// Reads a topic's records up to its end.
pub(super) fn each_record(
    kafka: &KafkaConfig,
    topic: &str,
    from: From,
    mut see: impl FnMut(farol_kafka::TailedRecord),
) -> Result<(), TriggerError> {
    let began = Instant::now();
    let mut tail = Tail::open(kafka, topic, from)?;
    while !tail.reached_end() {
        if let Some(record) = tail.next(Duration::from_millis(100))? {
            see(record);
        } else if began.elapsed() > PATIENCE {
            return Err(KafkaError::Failed {
                doing: format!("read {topic} to its end"),
                reason: "it took more than a minute".to_owned(),
            }
            .into());
        }
    }
    Ok(())
}
