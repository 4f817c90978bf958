//! Values that have not been seen for long.
//!
//! ```text
//! highest and lowest, each drawn slowly back to the level ──▶ how far the value lies outside, in ranges ──▶ score
//! ```

use serde::{Deserialize, Serialize};

use super::Detector;

/// How far a value lies outside of the range of the recent past, in widths of that range; 0 inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RangeNovelty {
    level: f64,
    high: f64,
    low: f64,
    seen: u32,
    /// What share of its distance to the level an end of the range loses with each value.
    forgetting: f64,
}

impl Default for RangeNovelty {
    fn default() -> Self {
        Self {
            level: 0.0,
            high: 0.0,
            low: 0.0,
            seen: 0,
            forgetting: 0.0005,
        }
    }
}

impl Detector for RangeNovelty {
    /// How far outside the value lies; `None` for the first 48 values.
    fn score(&mut self, _time: i64, value: f64) -> Option<f64> {
        if self.seen == 0 {
            (self.level, self.high, self.low) = (value, value, value);
        }
        self.seen = self.seen.saturating_add(1);
        let width = (self.high - self.low).max(1e-6 * self.level.abs() + 1e-12);
        let outside = (value - self.high).max(self.low - value).max(0.0) / width;
        self.level += (value - self.level) * (1.0 / f64::from(self.seen)).max(0.002);
        self.high = value.max(self.high + self.forgetting * (self.level - self.high));
        self.low = value.min(self.low + self.forgetting * (self.level - self.low));
        (self.seen > 48).then_some(outside)
    }
}
