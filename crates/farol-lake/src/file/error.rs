//! What can go wrong between rows and a file in the store.

use arrow::datatypes::DataType;

/// Why a file was not written. Nothing of it is in the table; at most an orphan is left in the store.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The rows lack a column of the table.
    #[error("the rows lack the table's column {column}")]
    MissingColumn {
        /// The column's name.
        column: String,
    },
    /// A column of the rows has another type than the table's.
    #[error("column {column} is {found}, the table's is {expected}")]
    ColumnType {
        /// The column's name.
        column: String,
        /// The type of the rows' column.
        found: DataType,
        /// The type of the table's column.
        expected: DataType,
    },
    /// A day outside the years 0 to 9999, which a partition's name cannot hold.
    #[error("day {0} since 1970-01-01 is outside the years 0 to 9999")]
    DateOutOfRange(i32),
    /// The rows could not be encoded.
    #[error("could not encode rows as Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Columns could not be put together.
    #[error("could not put columns together: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The store refused the file.
    #[error("the store refused the file: {0}")]
    Store(#[from] object_store::Error),
    /// A worker panicked; `object_store` does so where a local disk is full.
    #[error("the worker that {doing} panicked ({reason}); is the disk full?")]
    Panicked {
        /// What it was doing.
        doing: &'static str,
        /// What the panic said.
        reason: String,
    },
}
