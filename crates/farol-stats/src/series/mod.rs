//! Anomalies of time series: cheap detectors that look at the past only, and what makes alarms of their scores.
//!
//! ```text
//! time, value or missing ──▶ [counter: rate of a counter]
//!        │
//!        ├─▶ seasonal, difference ────────────────▶ rank ─▶ surprise ─┐
//!        ├─▶ shift: level (raw, and deseasonalized) ▶ rank ─▶ level ───┼─▶ mean of the highest two ─▶ incidents ─▶ alarm
//!        └─▶ shift: variance, autoregression, ────▶ rank ─▶ motion ───┘   (ensemble)                    │ one an incident
//!            neighbours, components                                                                    ▼
//!                                                                              change: spike, or shift of level
//!
//! beside them: range, flat, forest (score alone) · extremes, threshold (limits by extreme-value theory) · windows (NAB's rule)
//! ```
//!
//! Each detector is a plain struct of bounded size that can be serialized; its score at a time depends on values up to
//! that time only, so a replay gives the same scores. A missing value, or one that is not finite, gives no score and is
//! skipped: the values on both sides of a gap count as neighbours. Scores of different detectors have different scales;
//! [`rank::TailRank`] makes them comparable.

pub mod autoregression;
pub mod change;
pub mod components;
pub mod counter;
pub mod cuts;
pub mod difference;
pub mod ensemble;
pub mod extremes;
pub mod flat;
pub mod forest;
pub mod incidents;
pub mod neighbours;
pub mod range;
pub mod rank;
pub mod scale;
pub mod seasonal;
pub mod shift;
pub mod threshold;
pub mod windows;

/// The largest absolute value that a detector takes; beyond it a value counts as missing, so that squares stay finite.
pub const LARGEST: f64 = 1e30;

/// A detector of anomalies in one series.
pub trait Detector {
    /// How unusual a value is, 0 or above, by what came before it; then learns the value. `time` is in seconds since 1970.
    /// `None` during warm-up.
    fn score(&mut self, time: i64, value: f64) -> Option<f64>;

    /// As [`Detector::score`], but for a value that may be missing, not finite, or beyond [`LARGEST`]: then there is no
    /// score and nothing is learned.
    fn observe(&mut self, time: i64, value: Option<f64>) -> Option<f64> {
        self.score(time, usable(value)?)
    }
}

/// A value that detectors can take, if it is one.
fn usable(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.abs() <= LARGEST)
}
