//! What applications say: the kinds of events, their fields, their Arrow schemas, and the decoder
//! from JSON straight into Arrow buffers. No I/O.
//!
//! Data flows one way: a record's bytes go through the [`Decoder`], which either appends exactly
//! one row or gives a [`Reject`] that says why not; from time to time the caller takes the rows as
//! one Arrow batch ([`Decoded`]). The table in [`field`] is the only place that lists fields:
//! schemas, decoder and published schema files follow it.

mod buffers;
mod column;
pub mod decimal;
mod decoder;
pub mod field;
mod fingerprint;
mod keys;
mod kind;
mod nested;
mod notes;
mod number;
mod refusal;
mod reject;
mod scan;
mod schema;
mod text;
pub mod time_text;
mod value;

pub use decoder::{Decoded, Decoder, TimeRange};
pub use field::FieldType;
pub use fingerprint::{event_fingerprint, fingerprint, span_fingerprint};
pub use kind::{Kind, UnknownKind};
pub use reject::{ReasonCode, Reject};
pub use schema::{data_type, dead_letter_schema, event_schema, table_schema};
