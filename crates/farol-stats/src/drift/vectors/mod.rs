//! Drift of vectors, such as embeddings of texts.
//!
//! ```text
//! reference, window ─┬─ as they are ────────────▶ means ──▶ cosine distance ─────┐
//!                    ├─ random Fourier features ▶ means ──▶ MMD² ────────────────┤ observed
//!                    └─ PCA of half a reference ▶ errors of reconstruction ──────┤
//!                                                                                ▼
//! reference ──drawn with replacement, twice, at both sizes ×R──▶ threshold, p, expected ──▶ VectorTest
//! ```
//!
//! The cosine sees a moved centre, reconstruction a new direction, and MMD any change of the distribution, at the scale of
//! its bandwidth.

pub mod cosine;
pub mod maximum_mean_discrepancy;
mod means;
mod principal_components;
pub mod random_features;
pub mod reconstruction;

use super::resampling::Null;

/// A statistic of vectors beside what the reference gives at the same sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VectorTest {
    /// What was observed.
    pub statistic: f64,
    /// Above this the statistic is significant at the level asked for; `None` where the rounds are too few for it.
    pub threshold: Option<f64>,
    /// The mean under no change.
    pub expected: f64,
    /// P(a statistic at least as large) under no change.
    pub p_value: f64,
    /// What is above `expected`, at least 0, in the unit that the test states.
    pub effect: f64,
}

impl VectorTest {
    fn of(statistic: f64, null: &Null, level: f64, effect: fn(f64) -> f64) -> Option<Self> {
        let expected = null.mean()?;
        Some(Self {
            statistic,
            threshold: null.threshold(level),
            expected,
            p_value: null.p_value(statistic),
            effect: effect((statistic - expected).max(0.0)),
        })
    }
}
