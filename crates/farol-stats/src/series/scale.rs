//! The typical size of a residual, learned as it comes, that a few wild values do not spoil.
//!
//! ```text
//! residual ──|·|, cut at 4 scales──▶ exponentially weighted mean ──▶ scale     score = |residual| / scale so far
//! ```

use serde::{Deserialize, Serialize};

/// Beyond how many scales a residual counts as no more than that.
const CUT: f64 = 4.0;
/// The smallest scale, as a share of the level: a series that never moved has no scale of its own.
const FLOOR_SHARE: f64 = 1e-6;

/// An exponentially weighted mean of absolute residuals, each cut at four times the mean so far (Huber's idea).
///
/// Source: P. J. Huber, "Robust Estimation of a Location Parameter" (1964), with the winsorized update that is common in
/// robust exponential smoothing (S. Gelper et al., "Robust forecasting with exponential and Holt–Winters smoothing", 2010).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RobustScale {
    mean: f64,
    seen: u32,
    memory: u32,
}

impl RobustScale {
    /// A scale that remembers about `memory` residuals.
    pub fn new(memory: u32) -> Self {
        Self {
            mean: 0.0,
            seen: 0,
            memory,
        }
    }

    /// The residual in scales, judged by what came before; then learns it. `level` sets the smallest scale there can be.
    pub fn score(&mut self, residual: f64, level: f64) -> f64 {
        let size = residual.abs();
        let before = self.value(level);
        let score = size / before;
        self.seen = self.seen.saturating_add(1).min(self.memory);
        let rate = 1.0 / f64::from(self.seen);
        let cut = if self.seen <= 8 {
            size
        } else {
            size.min(CUT * before)
        };
        self.mean += rate * (cut - self.mean);
        score
    }

    /// The scale so far.
    pub fn value(&self, level: f64) -> f64 {
        self.mean.max(floor(level))
    }
}

/// The smallest scale that residuals at a level are measured by.
fn floor(level: f64) -> f64 {
    FLOOR_SHARE * level.abs() + 1e-12
}
