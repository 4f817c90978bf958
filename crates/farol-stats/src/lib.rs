//! Statistics: plain slices in, numbers out. No I/O, and nothing here knows of tables or of Kafka.
//!
//! * [`drift`] says whether a window differs from its reference: numbers, categories, many columns and vectors.
//! * [`sequential`] watches rates and bounded scores, with a stated number of false alarms.
//! * [`calibration`] makes probabilities of a classifier's scores, and from them its performance without labels.
//! * [`experiment`] compares variants with results that may be looked at whenever one likes.
//! * [`watch`] makes incidents of all that: one opening and one end, window by window.
//! * [`overlap`] says how alike texts are by the words that they use.
//! * [`series`] finds anomalies of time series: causal detectors, their ensemble, limits by extreme-value theory, and the rule
//!   of a benchmark that judges them.
//!
//! Each method names its source and is held against a reference implementation by a golden file beside the script that
//! made it (`tests/golden`).

pub mod calibration;
pub mod drift;
pub mod experiment;
pub mod overlap;
pub mod sequential;
pub mod series;
mod special;
pub mod watch;
