//! What can go wrong in the lake, and what to do about it.

use std::time::Duration;

use crate::file::FileError;

/// Why the lake could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The lake's address cannot be used.
    #[error(
        "`{uri}` is not a place for a lake: {reason}; give a directory, or a file://, s3://, gs:// or az:// URL"
    )]
    Uri {
        /// What was given.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The Delta library reported an error.
    #[error("Delta Lake: {0}")]
    Delta(#[from] deltalake::DeltaTableError),
    /// The object store reported an error.
    #[error("object store: {0}")]
    Store(#[from] object_store::Error),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A query failed.
    #[error("SQL: {0}")]
    Query(#[from] datafusion::error::DataFusionError),
    /// Rows could not be put together.
    #[error("Arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A Parquet file could not be read.
    #[error("Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The table's log says something that Farol does not understand.
    #[error("the log of table `{table}` cannot be followed at version {version}: {reason}")]
    Log {
        /// The table.
        table: String,
        /// The version.
        version: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// A table exists with columns other than Farol's.
    #[error(
        "table `{table}` is there with other columns: {reason}; use another lake, or upgrade the table"
    )]
    OtherColumns {
        /// The table.
        table: String,
        /// The first difference.
        reason: String,
    },
    /// An upload has lain about for too long: vacuum may take its file before a commit names it.
    #[error("`{path}` was uploaded {} s ago and is too old to be committed; write its rows again", .age.as_secs())]
    StaleUpload {
        /// The file.
        path: String,
        /// Its age.
        age: Duration,
    },
    /// A commit would have set a mark back.
    #[error("a commit to `{table}` would set mark `{mark}` back from {present} to {wanted}")]
    MarkDecreases {
        /// The table.
        table: String,
        /// The mark's application id.
        mark: String,
        /// Its value in the table.
        present: i64,
        /// The value that was to be set.
        wanted: i64,
    },
    /// Files that a commit was to remove are not in the table any more.
    #[error("file `{path}` of table `{table}` was removed by another writer meanwhile; plan anew")]
    FileGone {
        /// The table.
        table: String,
        /// The file.
        path: String,
    },
    /// The store kept failing, and whether the commit landed is not known. Committing the same commit again is safe.
    #[error("no commit to `{table}` after {attempts} attempts: {reason}")]
    Undecided {
        /// The table.
        table: String,
        /// Attempts made.
        attempts: u32,
        /// The last error.
        reason: String,
    },
    /// Maintenance refused to go on.
    #[error("maintenance of table `{table}`: {reason}")]
    Maintenance {
        /// The table.
        table: String,
        /// Why.
        reason: String,
    },
    /// An operator's failpoint (tests only).
    #[error("failpoint {0}")]
    Failpoint(&'static str),
}
