//! What the last few values did not foretell.
//!
//! ```text
//! last 5 values, standardized, and 1 ──▶ weights ──▶ forecast ──▶ value − forecast ──▶ / robust scale ──▶ score
//!                                          ▲                            │ cut at 4 scales
//!                                          └── recursive least squares ◀┘
//! ```

use serde::{Deserialize, Serialize};

use super::Detector;
use super::scale::RobustScale;

/// The largest entry that the inverse may grow to.
const LARGEST_INVERSE: f64 = 1e4;

/// Linear regression of a target on features, learned one row at a time, old rows forgotten exponentially.
///
/// With `forgetting` 1 the weights are those of ridge regression on all rows, with penalty `1 / initial variance`.
///
/// Source: S. Haykin, "Adaptive Filter Theory" (the exponentially weighted recursive least squares algorithm).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecursiveLeastSquares {
    weights: Box<[f64]>,
    /// The inverse of the weighted second moments, row by row.
    inverse: Box<[f64]>,
    forgetting: f64,
}

impl RecursiveLeastSquares {
    /// Weights for `features` features, all zero. `forgetting` in (0, 1]; `initial_variance` above 0 says how little is
    /// known of the weights.
    pub fn new(features: usize, forgetting: f64, initial_variance: f64) -> Self {
        let mut inverse = vec![0.0; features * features];
        for place in 0..features {
            inverse[place * features + place] = initial_variance;
        }
        Self {
            weights: vec![0.0; features].into(),
            inverse: inverse.into(),
            forgetting,
        }
    }

    /// The weights so far.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The forecast of a row's target.
    pub fn predict(&self, features: &[f64]) -> f64 {
        let pairs = self.weights.iter().zip(features);
        pairs.map(|(weight, feature)| weight * feature).sum()
    }

    /// Learns that `features` came with a target that the forecast missed by `error`.
    pub fn learn(&mut self, features: &[f64], error: f64) {
        let size = self.weights.len();
        if features.len() != size {
            return;
        }
        let moved: Vec<f64> = self
            .inverse
            .chunks_exact(size)
            .map(|row| row.iter().zip(features).map(|(a, b)| a * b).sum())
            .collect();
        let spread: f64 = moved.iter().zip(features).map(|(a, b)| a * b).sum();
        let denominator = self.forgetting + spread;
        for (weight, gain) in self.weights.iter_mut().zip(&moved) {
            *weight += gain / denominator * error;
        }
        for (row, left) in self.inverse.chunks_exact_mut(size).zip(&moved) {
            for (cell, right) in row.iter_mut().zip(&moved) {
                let value = (*cell - left * right / denominator) / self.forgetting;
                // Forgetting inflates directions that are not excited; the cap keeps them finite.
                *cell = value.clamp(-LARGEST_INVERSE, LARGEST_INVERSE);
            }
        }
    }
}

const ORDER: usize = 5;

/// Residuals of an autoregression of order 5 that is learned by recursive least squares.
///
/// Values are standardized by a running mean and scale, so that the ridge means the same for every series.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Autoregression {
    regression: RecursiveLeastSquares,
    last: Vec<f32>,
    level: f64,
    spread: RobustScale,
    scale: RobustScale,
    seen: u32,
}

impl Default for Autoregression {
    fn default() -> Self {
        Self {
            regression: RecursiveLeastSquares::new(ORDER + 1, 0.9995, 1.0),
            last: Vec::with_capacity(ORDER),
            level: 0.0,
            spread: RobustScale::new(2000),
            scale: RobustScale::new(1000),
            seen: 0,
        }
    }
}

impl Detector for Autoregression {
    /// The residual in scales; `None` for the first 18 values.
    fn score(&mut self, _time: i64, value: f64) -> Option<f64> {
        if self.seen == 0 {
            self.level = value;
        }
        self.seen = self.seen.saturating_add(1);
        self.level += (value - self.level) * (1.0 / f64::from(self.seen)).max(0.0005);
        self.spread.score(value - self.level, self.level);
        let spread = self.spread.value(self.level);
        let mut score = None;
        if self.last.len() == ORDER {
            let mut features = [1.0; ORDER + 1];
            for (feature, last) in features.iter_mut().zip(&self.last) {
                *feature = ((f64::from(*last) - self.level) / spread).clamp(-20.0, 20.0);
            }
            let target = (value - self.level) / spread;
            let residual = target - self.regression.predict(&features);
            let found = self.scale.score(residual, 1.0);
            let cut = 4.0 * self.scale.value(1.0);
            self.regression.learn(&features, residual.clamp(-cut, cut));
            score = (self.seen as usize > 3 * (ORDER + 1)).then_some(found);
            self.last.remove(0);
        }
        self.last.push(value as f32);
        score
    }
}
