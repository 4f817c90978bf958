//! Lasting changes of how high a series runs and of how much it moves.
//!
//! ```text
//! value ──▶ fast mean − slow mean, / its scale ────────────────▶ level score
//! change since the last value ──▶ ln(fast mean / slow mean) ───▶ variance score
//! ```

use serde::{Deserialize, Serialize};

use super::Detector;
use super::scale::RobustScale;

/// The weight of a value in a slow mean: a memory of about 500 values.
const SLOW: f64 = 0.002;
/// How many values come before the first score.
const WARM_UP: u32 = 48;

/// How far the mean of the recent past lies from that of the long past, in robust scales of that distance.
///
/// Source: the crossing of two exponentially weighted moving averages, after S. W. Roberts, "Control Chart Tests Based on
/// Geometric Moving Averages" (1959).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LevelShift {
    fast: f64,
    slow: f64,
    span: f64,
    scale: RobustScale,
    seen: u32,
}

impl LevelShift {
    /// A detector whose recent past is about `span` values, 1 or more.
    pub fn new(span: f64) -> Self {
        Self {
            fast: 0.0,
            slow: 0.0,
            span: span.max(1.0),
            scale: RobustScale::new(1000),
            seen: 0,
        }
    }
}

impl Detector for LevelShift {
    /// The distance in scales; `None` for the first 48 values.
    fn score(&mut self, _time: i64, value: f64) -> Option<f64> {
        if self.seen == 0 {
            (self.fast, self.slow) = (value, value);
        }
        self.seen = self.seen.saturating_add(1);
        self.fast += (value - self.fast) / self.span;
        let score = self.scale.score(self.fast - self.slow, self.slow);
        self.slow += (value - self.slow) * (1.0 / f64::from(self.seen)).max(SLOW);
        (self.seen > WARM_UP).then_some(score)
    }
}

/// How much the size of changes differs between the recent and the long past.
///
/// Source: exponentially weighted moving variance charts (J. F. MacGregor, T. J. Harris, "The Exponentially Weighted Moving
/// Variance", 1993), with absolute changes, which a few wild values inflate less than squares.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct VarianceShift {
    last: Option<f64>,
    fast: f64,
    slow: f64,
    seen: u32,
}

impl Detector for VarianceShift {
    /// The absolute logarithm of the ratio of the mean absolute change of about 12 values to that of about 500; `None` for
    /// the first 49 values.
    fn score(&mut self, _time: i64, value: f64) -> Option<f64> {
        let last = self.last.replace(value)?;
        let change = (value - last).abs();
        self.seen = self.seen.saturating_add(1);
        let rate = 1.0 / f64::from(self.seen);
        self.fast += (change - self.fast) * rate.max(1.0 / 12.0);
        self.slow += (change - self.slow) * rate.max(SLOW);
        let floor = 1e-6 * value.abs() + 1e-12;
        let score = ((self.fast + floor) / (self.slow + floor)).ln();
        (self.seen > WARM_UP).then_some(score.abs())
    }
}
