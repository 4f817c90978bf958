//! How far the publisher is: a record on a compacted topic, in the transaction that published.

use std::collections::BTreeMap;
use std::time::Duration;

use farol_kafka::{KafkaConfig, latest_by_key};
use serde::{Deserialize, Serialize};

use super::metrics::JobPublished;
use crate::error::TriggerError;

/// The topic of Farol's own progress on Kafka. Compacted; the key is the lake's id.
pub const PROGRESS_TOPIC: &str = "farol.progress";

/// How long the topic may take to be read: a dead publisher's transaction may hold it up for as long as it lasts.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What the progress record says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The sequence of the first action that is not published yet.
    pub next_action: i64,
    /// How far the measures of each job are published.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, JobPublished>,
}

/// How far the actions of a lake are published; `None` where nothing ever was.
///
/// # Errors
/// Where Kafka does not answer, or the record cannot be understood.
pub async fn published(
    kafka: &KafkaConfig,
    lake_id: &str,
) -> Result<Option<Published>, TriggerError> {
    let (kafka, key) = (kafka.clone(), lake_id.to_owned());
    let read = move || latest_by_key(&kafka, PROGRESS_TOPIC, key.as_bytes(), TIMEOUT);
    let Some(value) = tokio::task::spawn_blocking(read).await.map_err(ended)?? else {
        return Ok(None);
    };
    let published = serde_json::from_slice(&value).map_err(|error| {
        TriggerError::Progress(format!(
            "the record of lake {lake_id} on {PROGRESS_TOPIC} is not Farol's: {error}"
        ))
    })?;
    Ok(Some(published))
}

/// A thread that panicked is a failure like others.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it stands where an error is mapped"
)]
pub(super) fn ended(error: tokio::task::JoinError) -> TriggerError {
    TriggerError::Progress(format!(
        "the publisher's thread ended unexpectedly: {error}"
    ))
}
