//! The lake: Delta Lake tables on an object store, and the one commit that every writer uses.
//!
//! ```text
//!  rows ──▶ file: Parquet, uploaded ──▶ commit: files + marks, atomically ──▶ the table's log
//!                                          ▲                                     │
//!                 maintenance: compact ────┘                sql: sessions ◀──────┴──▶ changes: what a version added
//! ```
//!
//! * [`Lake`] is a place; [`Table`] a handle on one table, which follows its log.
//! * [`commit`] is how anything gets into a table: exactly once, whoever else writes.
//! * [`file`](mod@file) encodes and uploads; [`maintenance`] keeps files few and storage small.
//! * [`sketch`] summarises values so that summaries merge exactly.
//! * [`sql`] answers queries.

mod additions;
pub mod commit;
mod error;
pub mod file;
mod joined;
mod lake;
mod live;
pub mod maintenance;
mod newest;
mod redefinition;
pub mod sketch;
mod spec;
pub mod sql;
mod table;

pub use additions::{AddedFile, AdditionLimits, Additions};
pub use commit::{Commit, Marks, Operation, Outcome, Step, Upload};
pub use error::LakeError;
pub use joined::{CALL_COLUMNS, Joined, PLACE};
pub use lake::Lake;
pub use newest::Newest;
pub use redefinition::{Notes, Redefinition, same_type};
pub use spec::{ACKNOWLEDGEMENTS, ACTIONS, FINDINGS, SILENCES, TableSpec};
pub use table::{Table, VersionChange};
