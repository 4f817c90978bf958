//! What can go wrong between the lake and Kafka, and what to do about it.

use farol_jobs::JobError;
use farol_kafka::{KafkaError, TransactionError};
use farol_lake::LakeError;

/// Why triggers or the publisher could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// The lake could not be read or written.
    #[error("lake: {0}")]
    Lake(#[from] LakeError),
    /// Measures could not be read.
    #[error("measures: {0}")]
    Job(#[from] JobError),
    /// A query failed.
    #[error("query: {0}")]
    Query(#[from] datafusion::error::DataFusionError),
    /// Rows could not be put together.
    #[error("Arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// Kafka could not be used.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// Messages could not be published.
    #[error("publishing: {0}")]
    Transaction(#[from] TransactionError),
    /// The `actions` table does not hold what its marks say.
    #[error(
        "the `actions` table lacks action {number}, which its marks count; has the table been changed by hand?"
    )]
    ActionMissing {
        /// The number.
        number: i64,
    },
    /// What was found cannot be understood.
    #[error("{0}")]
    Malformed(String),
    /// A file that marks who publishes could not be used.
    #[error("the lock {path}: {reason}")]
    Lock {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A thread ended before its time.
    #[error("a thread of the publisher ended unexpectedly: {0}")]
    ThreadEnded(String),
    /// An operator's failpoint (tests only).
    #[error("failpoint {0}")]
    Failpoint(&'static str),
}
