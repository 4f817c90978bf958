//! Lasting changes of how high a series runs and of how much it moves.
//!
//! ```text
//! value ──▶ fast mean − slow mean, / slow scale ──────────────▶ level score
//! change since the last value ──▶ ln(fast scale / slow scale) ─▶ variance score
//! ```

use serde::{Deserialize, Serialize};

use super::scale::RobustScale;

/// Means of the recent and the long past.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LevelShift {
    fast: f64,
    slow: f64,
    scale: RobustScale,
    seen: u32,
}

impl Default for LevelShift {
    fn default() -> Self {
        Self {
            fast: 0.0,
            slow: 0.0,
            scale: RobustScale::new(1000),
            seen: 0,
        }
    }
}

impl LevelShift {
    /// How far the mean of about 12 values lies from that of about 500, in scales of that distance.
    pub fn observe(&mut self, value: f64) -> Option<f64> {
        if self.seen == 0 {
            (self.fast, self.slow) = (value, value);
        }
        self.seen = self.seen.saturating_add(1);
        self.fast += (value - self.fast) / 12.0;
        let score = self.scale.score(self.fast - self.slow, self.slow);
        self.slow += (value - self.slow) * (1.0 / f64::from(self.seen)).max(0.002);
        (self.seen > 48).then_some(score)
    }
}

/// How much the size of changes differs between the recent and the long past.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct VarianceShift {
    last: Option<f64>,
    fast: f64,
    slow: f64,
    seen: u32,
}

impl VarianceShift {
    /// The absolute logarithm of the ratio of the mean absolute change of about 12 values to that of about 500.
    pub fn observe(&mut self, value: f64) -> Option<f64> {
        let last = self.last.replace(value)?;
        let change = (value - last).abs();
        self.seen = self.seen.saturating_add(1);
        let rate = 1.0 / f64::from(self.seen);
        self.fast += (change - self.fast) * rate.max(1.0 / 12.0);
        self.slow += (change - self.slow) * rate.max(0.002);
        let floor = 1e-6 * value.abs() + 1e-12;
        let score = ((self.fast + floor) / (self.slow + floor)).ln();
        (self.seen > 48).then_some(score.abs())
    }
}
