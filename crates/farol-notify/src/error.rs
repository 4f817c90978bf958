//! What can go wrong with delivery, and what to do about it. No message repeats a secret.

use farol_kafka::KafkaError;

/// Why notifications could not be delivered or looked at.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The section `notify` of the configuration is wrong.
    #[error("notify.{place}: {reason}")]
    Settings {
        /// The key, dotted, below `notify`.
        place: String,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// Kafka failed.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// What is on a topic of Farol's is not what Farol writes.
    #[error("a record of {topic} is not Farol's: {reason}")]
    Record {
        /// The topic.
        topic: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A task or thread ended that should not have.
    #[error("delivery stopped unexpectedly: {0}")]
    Ended(String),
}

impl NotifyError {
    pub(crate) fn settings(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Settings {
            place: place.into(),
            reason: reason.into(),
        }
    }
}
