//! What can go wrong with a job, and what to do about it.

use farol_lake::LakeError;

/// A mistake in a file of a job or of a rule, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionError {
    /// The file.
    pub file: String,
    /// Its line, from 1; 0 where the mistake is in no single line.
    pub line: u64,
    /// Its column, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl std::error::Error for DefinitionError {}

impl std::fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message)?,
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.message)?,
        }
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// Why jobs could not be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Jobs' files are wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Definitions(Vec<DefinitionError>),
    /// The directory of jobs cannot be read.
    #[error("cannot read {path}: {reason}")]
    Directory {
        /// The directory, or a file in it.
        path: String,
        /// Why.
        reason: String,
    },
    /// The lake could not be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The job's SQL failed.
    #[error("SQL: {0}")]
    Query(#[from] datafusion::error::DataFusionError),
    /// What the SQL gave could not be put together.
    #[error("Arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// There is no such job.
    #[error("there is no job `{name}`; there are {}", .known.join(", "))]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The job's partials were made with another definition of it.
    #[error(
        "job `{job}` was changed since its partials were computed: {}; it is stopped, so that old and new are not mixed. `farol job recompute {job}` says which windows that is about and computes them anew; or take the change back", .differences.join("; ")
    )]
    Changed {
        /// The job.
        job: String,
        /// What was changed.
        differences: Vec<String>,
    },
    /// Others kept committing in between.
    #[error(
        "job `{job}` was overtaken {attempts} times in a row; is another process running it over the same range?"
    )]
    Overtaken {
        /// The job.
        job: String,
        /// Attempts made.
        attempts: u32,
    },
    /// Rows of the version that partials were computed from were vacuumed meanwhile.
    #[error(
        "files of the version of its input that job `{job}` is computed anew from were deleted meanwhile ({reason}); the same command begins anew"
    )]
    SnapshotGone {
        /// The job.
        job: String,
        /// The first of them.
        reason: String,
    },
    /// What was asked for makes no sense.
    #[error("{0}")]
    Range(String),
    /// A job's task ended without a result.
    #[error("a job's task ended unexpectedly: {0}")]
    TaskEnded(String),
    /// An operator's failpoint (tests only).
    #[error("failpoint {0}")]
    Failpoint(&'static str),
}
