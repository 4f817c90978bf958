//! What can go wrong with Kafka, and what to do about it.

/// Why Kafka could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// A client could not be made: a property is wrong.
    #[error("Kafka's client refuses its settings: {0}; see kafka.properties")]
    Settings(String),
    /// The brokers did not answer.
    #[error(
        "no answer from Kafka at {brokers}: {reason}; is it running, and are kafka.brokers and the security settings of kafka.properties right?"
    )]
    Unreachable {
        /// The addresses tried.
        brokers: String,
        /// What the client says.
        reason: String,
    },
    /// An operation failed.
    #[error("Kafka could not {doing}: {reason}")]
    Failed {
        /// What was asked for.
        doing: String,
        /// What the client says.
        reason: String,
    },
    /// Events were not acknowledged.
    #[error("{failed} of {sent} records were not acknowledged; the last error: {reason}")]
    NotDelivered {
        /// Records not acknowledged.
        failed: u64,
        /// Records sent.
        sent: u64,
        /// The last error.
        reason: String,
    },
    /// Another producer has taken over the transactional id: it publishes now.
    #[error("another publisher has taken over {transactional_id}")]
    Fenced {
        /// The id.
        transactional_id: String,
    },
    /// The embedded broker could not do its work.
    #[error("the embedded broker in {dir}: {reason}")]
    Embedded {
        /// Where its data is.
        dir: String,
        /// What is wrong.
        reason: String,
    },
}

impl KafkaError {
    pub(crate) fn failed(doing: impl Into<String>, reason: &(impl ToString + ?Sized)) -> Self {
        Self::Failed {
            doing: doing.into(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn settings(reason: &(impl ToString + ?Sized)) -> Self {
        Self::Settings(reason.to_string())
    }
}
