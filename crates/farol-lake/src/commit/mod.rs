//! The commit: files and progress in one atomic entry of a table's log.
//!
//! A commit is written as the log's next version with put-if-absent, by a writer that has read every version
//! before it. So the marks that were checked are exactly the marks that the commit builds on: whoever is
//! second finds the version taken, reads what took it, and decides anew. The decision itself is a pure
//! function in [`decide`]; reading the log is in [`log`].
//!
//! An answer can be lost: the entry lands and the store reports an error. Every commit therefore carries a
//! UUID in its `commitInfo`, and before anything is written again the log is searched for it.

pub mod decide;
pub mod log;
pub(crate) mod write;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::SystemTime;

use deltalake::kernel::{Add, Remove};
use uuid::Uuid;

use crate::redefinition::Redefinition;

/// The commit information key that holds a commit's UUID.
pub(crate) const COMMIT_ID: &str = "farolCommitId";

/// The values of a table's application transactions, by application id.
pub type Marks = BTreeMap<String, i64>;

/// A Parquet file in the store that no commit names yet.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// When it was put there.
    pub uploaded_at: SystemTime,
    pub(crate) add: Add,
}

/// One owner's progress: a mark that must be found as it is, and the marks to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The application id whose value decides whether this step may be taken.
    pub guard: String,
    /// The value it must have in the table; `None`: it must not be set.
    pub from: Option<i64>,
    /// Everything to set, the guard included. None may decrease, except in a reset.
    pub marks: Vec<(String, i64)>,
}

/// What kind of change a commit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Rows are added, or marks alone.
    Append,
    /// Files are rewritten; the rows stay the same.
    Compact,
    /// Rows are dropped.
    Delete,
    /// An operator moves marks, back if need be.
    Reset,
}

impl Operation {
    /// The name in the log's `commitInfo`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Append => "WRITE",
            Self::Compact => "OPTIMIZE",
            Self::Delete => "DELETE",
            Self::Reset => "RESET MARKS",
        }
    }
}

/// A commit that can be tried again until its outcome is known.
#[derive(Debug)]
pub struct Commit {
    /// What finds it in the log again.
    pub id: Uuid,
    /// What kind of change it is.
    pub operation: Operation,
    /// Progress; all steps are taken, or none.
    pub steps: Vec<Step>,
    /// Files to add.
    pub uploads: Vec<Upload>,
    /// Files to remove.
    pub removes: Vec<Remove>,
    /// Whether rows change.
    pub data_change: bool,
    /// Other columns for the table, or other notes of it.
    pub redefinition: Option<Redefinition>,
    /// The version before the first try: our entry can only be later.
    tried_after: OnceLock<i64>,
}

impl Commit {
    /// A commit of any kind.
    pub fn new(
        operation: Operation,
        steps: Vec<Step>,
        uploads: Vec<Upload>,
        removes: Vec<Remove>,
    ) -> Self {
        Self {
            id: Uuid::new_v4(),
            operation,
            steps,
            uploads,
            removes,
            data_change: operation != Operation::Compact,
            redefinition: None,
            tried_after: OnceLock::new(),
        }
    }

    /// Rows to add, with the progress they stand for.
    pub fn append(steps: Vec<Step>, uploads: Vec<Upload>) -> Self {
        Self::new(Operation::Append, steps, uploads, Vec::new())
    }

    /// Marks to set by an operator's word, back if need be.
    pub fn reset(steps: Vec<Step>) -> Self {
        Self::new(Operation::Reset, steps, Vec::new(), Vec::new())
    }

    /// Gives the table another definition, in the same entry of the log.
    pub fn redefining(self, redefinition: Redefinition) -> Self {
        Self {
            redefinition: Some(redefinition),
            ..self
        }
    }

    /// Says that the files to remove were chosen at `version`: one that another removed since is an error.
    pub fn planned_at(self, version: i64) -> Self {
        let tried_after = OnceLock::from(version);
        Self {
            tried_after,
            ..self
        }
    }

    /// The version after which our entry must be looked for; `now` where this is the first try.
    pub(crate) fn tried_after(&self, now: i64) -> i64 {
        *self.tried_after.get_or_init(|| now)
    }
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log.
    Committed {
        /// As this version.
        version: i64,
    },
    /// Nothing of it is in the log, and never will be: these steps' guards have other values.
    Overtaken {
        /// The step's place in the commit, and the guard's value now.
        steps: Vec<(usize, Option<i64>)>,
    },
}

impl From<crate::file::Written> for Upload {
    fn from(written: crate::file::Written) -> Self {
        let crate::file::Written {
            add,
            rows,
            uploaded_at,
        } = written;
        Self {
            rows,
            bytes: add.size.max(0) as u64,
            uploaded_at,
            add,
        }
    }
}
