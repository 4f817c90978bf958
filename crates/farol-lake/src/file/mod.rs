//! One Parquet file: how rows become its bytes, and how the bytes reach the store.
//!
//! ```text
//! record batches ──▶ Layout::conform ──▶ row groups ──▶ FileEncoder ──▶ bytes ──▶ store
//!                    (columns checked)   (bounded)      (a column at     └─▶ the Delta `add` with its
//!                                                        a time)             statistics
//! ```
//!
//! What each column gets (encoding, dictionary, statistics, and whether its extremes may appear in the
//! table's log) is decided once, in [`columns`], from its name and type; [`layout`] turns that into the
//! writer's properties. A column is written over the whole row group before the next one begins: the
//! encoder's tables stay in the cache, which is a fifth of the cost of a row.

mod columns;
mod encoder;
mod error;
mod layout;
mod row_groups;
mod statistics;
mod upload;

pub use columns::log_statistics_columns;
pub use encoder::{Encoded, FileEncoder, encode};
pub use error::FileError;
pub use layout::{Layout, Purpose, sort_columns};
pub use row_groups::{RowGroupLimits, row_groups};
pub(crate) use upload::{FileStream, Written, upload};
