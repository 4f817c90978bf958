//! Statistics: plain slices in, numbers out. No I/O, and nothing here knows of tables or of Kafka.
//!
//! * [`overlap`] says how alike texts are by the words that they use.
//! * [`series`] finds anomalies of time series: causal detectors, their ensemble, limits by extreme-value theory, and the rule
//!   of a benchmark that judges them.
//!
//! Each method names its source and is held against a reference implementation by a golden file beside the script that
//! made it (`tests/golden`).

pub mod overlap;
pub mod series;
