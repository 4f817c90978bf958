//! Notifications that were refused or given up: on a compacted topic, until they are replayed.

use farol_kafka::KafkaConfig;
use serde::{Deserialize, Serialize};

use crate::error::NotifyError;
use crate::notification::Notification;
use crate::progress;

/// A notification that reached nobody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The route.
    pub route: String,
    /// The receiver, by its name.
    pub receiver: String,
    /// Why.
    pub reason: String,
    /// Attempts that were made by the process that gave up.
    pub attempts: u32,
    /// When it was given up, in milliseconds since the epoch.
    pub given_up_ms: i64,
    /// What was to be told.
    pub notification: Notification,
}

impl DeadLetter {
    /// Its key on the topic: the notification's id.
    pub fn key(&self) -> &str {
        &self.notification.id
    }

    pub(crate) fn value(&self) -> Result<Vec<u8>, NotifyError> {
        serde_json::to_vec(self).map_err(|error| NotifyError::Ended(error.to_string()))
    }
}

/// The dead letters that were not replayed, the oldest first. Blocks.
///
/// # Errors
/// Where the topic cannot be read, or holds what Farol did not write.
pub fn list(kafka: &KafkaConfig, topic: &str) -> Result<Vec<DeadLetter>, NotifyError> {
    let letter = |(_, value): (Vec<u8>, Vec<u8>)| {
        serde_json::from_slice(&value).map_err(|error| NotifyError::Record {
            topic: topic.to_owned(),
            reason: error.to_string(),
        })
    };
    progress::latest(kafka, topic)?
        .into_iter()
        .map(letter)
        .collect()
}
