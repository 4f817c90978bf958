//! What can go wrong while events are made from files.

use std::{io, path::PathBuf};

/// A fault met while events are made from files.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// One line cannot become an event. The line is left out, the rest goes on.
    #[error("{}:{line}: {reason}", file.display())]
    Line {
        /// The file, as it was named on the command line or found in a directory.
        file: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// The file as a whole is not what its format says. Nothing more can be made from it.
    #[error("{}:{line}: {reason}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// The line at which it showed, counted from 1.
        line: u64,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// The file cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file or directory.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory holds no file of the format.
    #[error("{}: no file ending in {expected} here", directory.display())]
    NothingFound {
        /// The directory.
        directory: PathBuf,
        /// The file endings that were looked for.
        expected: &'static str,
    },
}

impl EmitError {
    /// Whether only one line is affected, so that the rest can go on.
    pub fn is_line(&self) -> bool {
        matches!(self, Self::Line { .. })
    }
}
