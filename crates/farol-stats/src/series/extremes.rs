//! The tail of a distribution: a generalized Pareto fit to what exceeds a high threshold.
//!
//! ```text
//! excesses ──▶ one unknown x = shape / scale: roots of u(x) · v(x) = 1 (Grimshaw) ──▶ the most likely ──▶ shape, scale
//!                                                                                     └──▶ level of a given risk
//! ```
//!
//! By the theorem of Pickands, Balkema and de Haan, excesses over a high threshold have this distribution in the limit.

use serde::{Deserialize, Serialize};

/// Where |x| is taken as 0, as a share of `1 / mean`: the exponential distribution.
const NEAR_ZERO: f64 = 1e-8;

/// A generalized Pareto distribution from 0 on: `P(Y > y) = (1 + shape · y / scale)^(−1/shape)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GeneralizedPareto {
    /// Above 0 a heavy tail, 0 an exponential one, below 0 one that ends at `−scale / shape`.
    pub shape: f64,
    /// In the unit of the values, above 0.
    pub scale: f64,
}

impl GeneralizedPareto {
    /// The maximum-likelihood fit to excesses above 0. `None` with fewer than 2, with one that is not finite or not above
    /// 0, and where all are equal.
    ///
    /// Shapes of −1 and below are left out: there the likelihood has no maximum, and at −1 the distribution would just end at
    /// the largest excess.
    ///
    /// Source: S. D. Grimshaw, "Computing Maximum Likelihood Estimates for the Generalized Pareto Distribution",
    /// Technometrics 35 (1993).
    pub fn maximum_likelihood(excesses: &[f64]) -> Option<Self> {
        let (mean, _) = moments(excesses)?;
        let largest = excesses.iter().copied().fold(0.0, f64::max);
        let mut best = Self {
            shape: 0.0,
            scale: mean,
        };
        let mut likelihood = best.log_likelihood(excesses);
        // The lower end is where the largest excess would be the end of the distribution.
        let negative = geometric(NEAR_ZERO / mean, (1.0 - 1e-9) / largest, 40).map(|x| -x);
        let positive = geometric(NEAR_ZERO / mean, 1e3 / mean, 24);
        for x in roots(excesses, negative)
            .into_iter()
            .chain(roots(excesses, positive))
        {
            let shape = mean_logarithm(excesses, x);
            let found = Self {
                shape,
                scale: shape / x,
            };
            let its = found.log_likelihood(excesses);
            if shape > -1.0 && its > likelihood {
                (best, likelihood) = (found, its);
            }
        }
        Some(best)
    }

    /// The fit whose mean and variance are those of the excesses; cheaper, but with shapes below 1/2 only. `None` as for
    /// [`GeneralizedPareto::maximum_likelihood`].
    ///
    /// Source: J. R. M. Hosking, J. R. Wallis, "Parameter and Quantile Estimation for the Generalized Pareto Distribution",
    /// Technometrics 29 (1987).
    pub fn method_of_moments(excesses: &[f64]) -> Option<Self> {
        let (mean, variance) = moments(excesses)?;
        let ratio = mean * mean / variance;
        Some(Self {
            shape: 0.5 * (1.0 - ratio),
            scale: 0.5 * mean * (ratio + 1.0),
        })
    }

    /// The logarithm of the density of all excesses; −∞ where one is beyond the end.
    pub fn log_likelihood(&self, excesses: &[f64]) -> f64 {
        let each = excesses.iter().map(|excess| {
            let inside = 1.0 + self.shape * excess / self.scale;
            if self.shape == 0.0 {
                -self.scale.ln() - excess / self.scale
            } else if inside <= 0.0 {
                f64::NEG_INFINITY
            } else {
                -self.scale.ln() - (1.0 / self.shape + 1.0) * inside.ln()
            }
        });
        each.sum()
    }

    /// The probability of more than `excess`.
    pub fn survival(&self, excess: f64) -> f64 {
        if self.shape.abs() < 1e-12 {
            return (-excess / self.scale).exp();
        }
        let inside = (1.0 + self.shape * excess / self.scale).max(0.0);
        inside.powf(-1.0 / self.shape)
    }

    /// The excess that is exceeded with a probability in (0, 1].
    pub fn level(&self, probability: f64) -> f64 {
        if self.shape.abs() < 1e-12 {
            return -self.scale * probability.ln();
        }
        self.scale / self.shape * (probability.powf(-self.shape) - 1.0)
    }
}

/// Mean and variance (of the population) of excesses that a fit can take.
fn moments(excesses: &[f64]) -> Option<(f64, f64)> {
    let fit = excesses
        .iter()
        .all(|excess| excess.is_finite() && *excess > 0.0);
    if excesses.len() < 2 || !fit {
        return None;
    }
    let count = excesses.len() as f64;
    let mean = excesses.iter().sum::<f64>() / count;
    let variance = excesses
        .iter()
        .map(|excess| (excess - mean).powi(2))
        .sum::<f64>()
        / count;
    (variance > 0.0).then_some((mean, variance))
}

/// Grimshaw's `v(x) − 1`, which is the shape at a root.
fn mean_logarithm(excesses: &[f64], x: f64) -> f64 {
    let sum: f64 = excesses.iter().map(|excess| (x * excess).ln_1p()).sum();
    sum / excesses.len() as f64
}

/// `u(x) · v(x) − 1`, which is 0 where the likelihood along `x = shape / scale` is stationary.
fn stationarity(excesses: &[f64], x: f64) -> f64 {
    let reciprocals: f64 = excesses.iter().map(|excess| 1.0 / (1.0 + x * excess)).sum();
    reciprocals / excesses.len() as f64 * (1.0 + mean_logarithm(excesses, x)) - 1.0
}

/// The roots between neighbouring places at which the sign differs. Not a number, as beyond the distribution's end, differs
/// from nothing.
fn roots(excesses: &[f64], places: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut found = Vec::new();
    let mut last: Option<(f64, f64)> = None;
    for place in places {
        let at_place = stationarity(excesses, place);
        if let Some((before, at_before)) = last
            && at_before * at_place < 0.0
        {
            found.push(bisect(excesses, before, place, at_before));
        }
        last = Some((place, at_place));
    }
    found
}

/// The root between two places, the sign at the first of which is known.
fn bisect(excesses: &[f64], mut from: f64, mut to: f64, at_from: f64) -> f64 {
    for _ in 0..52 {
        let middle = 0.5 * (from + to);
        if stationarity(excesses, middle) * at_from > 0.0 {
            from = middle;
        } else {
            to = middle;
        }
    }
    0.5 * (from + to)
}

/// So many places and one more, from one number above 0 to another, each the same multiple of the last.
fn geometric(from: f64, to: f64, steps: u32) -> impl Iterator<Item = f64> {
    let ratio = to / from;
    (0..=steps).map(move |step| from * ratio.powf(f64::from(step) / f64::from(steps)))
}
