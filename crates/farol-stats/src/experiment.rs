//! Comparing variants (models, prompts, versions) with results that may be looked at at any time.
//!
//! ```text
//! counts, means, variances of each arm ──▶ mixture_sprt: p-value and interval of the difference, valid at all times
//!        ▲ with less variance                sample_ratio: were the arms given the shares they should have?
//! values before and during ──cuped──┘        beta_posterior: the picture to show
//!
//! one stream: mean_sequence (any), bernstein_sequence (0 to 1), proportion_sequence (yes or no), quantile_sequence
//!             ──▶ intervals that hold at all times at once
//! ```
//!
//! An ordinary interval or p-value is right at one sample size fixed beforehand. Looked at every day, it is wrong sooner or
//! later. A *confidence sequence* with error α contains the truth at **all** times at once with probability 1 − α, so an
//! experiment may be stopped, or go on, for any reason. The price is a width of about 1.6 to 2.2 times the ordinary one.

pub mod arm;
pub mod bernstein_sequence;
pub mod beta_posterior;
pub mod cuped;
pub mod mean_sequence;
pub mod mixture_sprt;
pub mod proportion_sequence;
pub mod quantile_sequence;
pub mod sample_ratio;

use serde::{Deserialize, Serialize};

/// An interval with both ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

impl Interval {
    /// Whether a value is within, ends included.
    pub fn contains(&self, value: f64) -> bool {
        (self.lower..=self.upper).contains(&value)
    }

    /// How wide it is.
    pub fn width(&self) -> f64 {
        self.upper - self.lower
    }
}

/// Whether a number is an error probability: strictly between 0 and 1.
fn is_error_level(alpha: f64) -> bool {
    alpha > 0.0 && alpha < 1.0
}

/// The strength of a mixture, in observations, that makes a two-sided sequence of error `alpha` narrowest at
/// `tuned_for` observations.
///
/// Source: S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
/// sequences", Annals of Statistics 49 (2021), on tuning mixtures, with the expansion of the Lambert function.
fn mixture_strength(tuned_for: f64, alpha: f64) -> f64 {
    let twice = -2.0 * alpha.ln();
    tuned_for / (twice + twice.ln_1p())
}
