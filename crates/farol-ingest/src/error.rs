//! What can go wrong in ingest, and what to do about it.

use farol_kafka::KafkaError;
use farol_lake::LakeError;

/// Why ingest ended, or why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Kafka's client could not go on.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// The lake could not be read or written.
    #[error("lake: {0}")]
    Lake(#[from] LakeError),
    /// Rows could not be put together.
    #[error("Arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A topic went away while its ends were asked for.
    #[error("the topic `{0}` is not there at present; create it, or try again")]
    TopicGone(String),
    /// The client reported an error it cannot recover from.
    #[error("Kafka's client cannot go on: {0}; start Farol again, nothing that was read is lost")]
    ConsumerFatal(String),
    /// A drain could not commit what it read.
    #[error(
        "gave up after {attempts} attempts to commit to `{table}`: {reason}; what was not committed stays on Kafka and is read again"
    )]
    GaveUp {
        /// The table.
        table: String,
        /// Attempts made.
        attempts: u32,
        /// The last attempt's error.
        reason: String,
    },
    /// A thread of ingest ended before its time.
    #[error("ingest's {0} thread ended unexpectedly; see the log above")]
    ThreadEnded(&'static str),
    /// An operator's failpoint (tests only).
    #[error("failpoint {0}")]
    Failpoint(&'static str),
}
