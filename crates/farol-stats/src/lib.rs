//! Statistics: plain slices in, numbers out. No I/O, and nothing here knows of tables or of Kafka.
//!
//! * [`drift`] says whether a window differs from its reference: numbers, categories, many columns and vectors.
//! * [`overlap`] says how alike texts are by the words that they use.
//!
//! Each method names its source and is held against a reference implementation by a golden file beside the script that
//! made it (`tests/golden`).

pub mod drift;
pub mod overlap;
