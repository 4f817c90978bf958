//! What can go wrong with triggers, and what to do about it.

use farol_jobs::{DefinitionError, JobError};
use farol_kafka::KafkaError;
use farol_lake::LakeError;

/// Why triggers could not be loaded, decided or published.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// Rules' files are wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Rules(Vec<DefinitionError>),
    /// There is no such rule.
    #[error("there is no rule `{name}`; there are {}", .known.join(", "))]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// There is no such budget.
    #[error("there is no budget `{name}`; there are {}", if .known.is_empty() { "none".to_owned() } else { .known.join(", ") })]
    UnknownBudget {
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
    /// Findings could not be read.
    #[error(transparent)]
    Detector(#[from] farol_detectors::DetectorError),
    /// Kafka did not take the messages.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// A query failed.
    #[error("SQL: {0}")]
    Query(#[from] datafusion::error::DataFusionError),
    /// Rows could not be put together.
    #[error("Arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The `actions` table holds what this version does not understand.
    #[error(
        "the actions table was written by another version: {0}; use that version, or another lake"
    )]
    Actions(String),
    /// What operators said could not be understood.
    #[error(
        "what operators said was written by another version: {0}; use that version, or another lake"
    )]
    Operators(String),
    /// Others wrote to a table all the time.
    #[error("the table `{0}` is written to all the time by others; try again")]
    Busy(String),
    /// Some rules could not be evaluated before the end.
    #[error("not evaluated: {0}")]
    RulesFailed(String),
    /// A rule would hold more rows in memory than it may.
    #[error(
        "rule `{rule}` needs more than {most} windows of segments in memory; keep fewer segments in `by`, make `window` wider or look back less far"
    )]
    TooManyRows {
        /// The rule.
        rule: String,
        /// The most it may hold.
        most: usize,
    },
    /// What the publisher finds published is not of this lake.
    #[error("{0}")]
    Progress(String),
    /// An operator's failpoint (tests only).
    #[error("failpoint {0}")]
    Failpoint(&'static str),
}

impl TriggerError {
    /// Whether it is one rule's alone, rather than the lake's.
    pub(crate) fn is_of_the_rule(&self) -> bool {
        matches!(
            self,
            Self::TooManyRows { .. }
                | Self::Query(_)
                | Self::Arrow(_)
                | Self::Lake(LakeError::Query(_))
        )
    }
}
