//! What applications say: the kinds of events, their fields, their Arrow schemas, and the decoder
//! from JSON straight into Arrow buffers. No I/O.
//!
//! Data flows one way: a record's bytes go through the [`Decoder`], which either appends exactly
//! one row or gives a [`Reject`] that says why not; from time to time the caller takes the rows as
//! one Arrow batch ([`Decoded`]). The table in [`field`] is the only place that lists fields:
//! schemas, decoder and published schema files follow it.

pub mod field;
mod kind;
pub mod money;
mod schema;

pub use field::FieldType;
pub use kind::{Kind, UnknownKind};
pub use schema::{data_type, dead_letter_schema, event_schema, table_schema};
