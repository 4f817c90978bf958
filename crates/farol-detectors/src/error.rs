//! What can go wrong with detectors, and what to do about it.

use farol_jobs::{DefinitionError, JobError};
use farol_lake::LakeError;

/// Why detectors could not be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    /// Detectors' files are wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Definitions(Vec<DefinitionError>),
    /// There is no such detector.
    #[error("there is no detector `{name}`; there are {}", .known.join(", "))]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The lake could not be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Measures could not be read.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A query failed.
    #[error("SQL: {0}")]
    Query(#[from] datafusion::error::DataFusionError),
    /// Rows could not be put together.
    #[error("Arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The table of findings holds what this version does not understand.
    #[error(
        "the findings table was written by another version: {0}; use that version, or another lake"
    )]
    Findings(String),
    /// The state of a detector could not be written.
    #[error("the state of a detector: {0}")]
    State(String),
    /// Some detectors could not be brought to the end.
    #[error("not judged to the end: {0}")]
    Failed(String),
    /// An operator's failpoint (tests only).
    #[error("failpoint {0}")]
    Failpoint(&'static str),
}
