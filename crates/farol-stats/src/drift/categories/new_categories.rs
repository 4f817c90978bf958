//! The share of a window in categories that the reference never had.
//!
//! ```text
//! counts ──reference has none──▶ k of m values ──▶ share k / m, with its exact interval
//! ```
//!
//! Under no change new categories still come, the more the longer the tail of rare ones is, so the share alone is no
//! alarm: [`compare`](super::compare) with [`Measure::NewCategoryMass`](super::Measure) says what to expect.

use super::totals;
use crate::special::beta::beta_quantile;

/// A share of values with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proportion {
    /// The share seen, 0 to 1.
    pub share: f64,
    /// The lower end of the interval.
    pub lower: f64,
    /// The upper end of the interval.
    pub upper: f64,
}

/// The share of the window in categories without a value in the reference, with its Clopper–Pearson interval. `None` where
/// a side is empty, the lengths differ or the confidence is not between 0 and 1.
pub fn new_category_mass(reference: &[u64], window: &[u64], confidence: f64) -> Option<Proportion> {
    let (_, m) = totals(reference, window)?;
    clopper_pearson(new_values(reference, window), m, confidence)
}

/// How many values of the window are in categories that the reference has not.
pub(super) fn new_values(reference: &[u64], window: &[u64]) -> u64 {
    let pairs = reference.iter().zip(window);
    pairs.filter(|(r, _)| **r == 0).map(|(_, w)| *w).sum()
}

/// The exact interval of a proportion from `successes` of `trials`: it covers the true one with at least the confidence
/// given. `None` where there are no trials, more successes than trials or the confidence is not between 0 and 1.
///
/// Source: C. Clopper, E. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
/// Biometrika 26 (1934). Equals `binomtest(k, n).proportion_ci(confidence, method="exact")` of SciPy.
pub fn clopper_pearson(successes: u64, trials: u64, confidence: f64) -> Option<Proportion> {
    if trials == 0 || successes > trials || !(confidence > 0.0 && confidence < 1.0) {
        return None;
    }
    let tail = (1.0 - confidence) / 2.0;
    let (k, n) = (successes as f64, trials as f64);
    let lower = if successes == 0 {
        0.0
    } else {
        beta_quantile(k, n - k + 1.0, tail)
    };
    let upper = if successes == trials {
        1.0
    } else {
        beta_quantile(k + 1.0, n - k, 1.0 - tail)
    };
    Some(Proportion {
        share: k / n,
        lower,
        upper,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_reference_never_had_is_new() {
        let mass = new_category_mass(&[5, 0, 2, 0], &[3, 1, 0, 4], 0.95).unwrap();
        assert!((mass.share - 5.0 / 8.0).abs() < 1e-15);
        assert!(mass.lower < mass.share && mass.share < mass.upper);
    }

    #[test]
    fn none_and_all_reach_the_ends() {
        let none = clopper_pearson(0, 10, 0.95).unwrap();
        assert!(none.share.abs() < 1e-15 && none.lower.abs() < 1e-15);
        // 1 − (0.025)^(1/10), known in closed form.
        assert!((none.upper - (1.0 - 0.025_f64.powf(0.1))).abs() < 1e-12);
        let all = clopper_pearson(10, 10, 0.95).unwrap();
        assert!((all.lower - 0.025_f64.powf(0.1)).abs() < 1e-12);
        assert!((all.upper - 1.0).abs() < 1e-15);
        assert_eq!(clopper_pearson(0, 0, 0.95), None);
        assert_eq!(clopper_pearson(3, 2, 0.95), None);
        assert_eq!(clopper_pearson(1, 2, 1.0), None);
    }
}
