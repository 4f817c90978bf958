//! The mixture sequential probability ratio test for the difference of two means or proportions.
//!
//! ```text
//! control, treatment ──▶ difference Δ with variance V ──▶ Λ = √(V/(V+τ²)) · e^(τ²Δ² / (2V(V+τ²)))
//!                                                         ├──▶ p ← min(p, 1/Λ), valid at all times
//!                                                         └──▶ Δ ± radius, a confidence sequence
//! ```
//!
//! Source: R. Johari, P. Koomen, L. Pekelis, D. Walsh, "Always valid inference: continuous monitoring of A/B tests",
//! Operations Research 70 (2022), with the normal mixture N(0, τ²) over the effect; the test itself is of H. Robbins
//! (1970).

use serde::{Deserialize, Serialize};

use super::arm::Arm;
use super::{Interval, is_error_level};

/// What the test says at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The treatment's mean less the control's.
    pub difference: f64,
    /// ln Λ: the evidence against no difference; above ln(1/α) it is rejected at α.
    pub ln_likelihood_ratio: f64,
    /// The p-value of this look alone, which is valid at all times; the smallest of all looks is so as well.
    pub p_value: f64,
    variance: f64,
    mixture_variance: f64,
}

/// Compares two arms at this time.
///
/// * `control`, `treatment`: all units up to now.
/// * `effect_scale`: τ, the size of differences that one expects, in the values' units; fixed before the first look. The
///   test is right for any; it is fastest for differences of about this size.
///
/// Assumes independent units and, since variances are estimated, samples large enough for the central limit theorem at
/// the first look. `None` where an arm is empty or not finite, both have no variance, or `effect_scale` is not positive.
pub fn compare(control: &Arm, treatment: &Arm, effect_scale: f64) -> Option<Comparison> {
    let variance = control.variance_of_mean()? + treatment.variance_of_mean()?;
    if !(effect_scale.is_finite() && effect_scale > 0.0) || variance <= 0.0 {
        return None;
    }
    let difference = treatment.mean - control.mean;
    let mixture_variance = effect_scale * effect_scale;
    let total = variance + mixture_variance;
    let ln_likelihood_ratio = 0.5 * (variance / total).ln()
        + mixture_variance * difference * difference / (2.0 * variance * total);
    Some(Comparison {
        difference,
        ln_likelihood_ratio,
        p_value: (-ln_likelihood_ratio).exp().min(1.0),
        variance,
        mixture_variance,
    })
}

impl Comparison {
    /// The differences not rejected at `alpha` at this time: an interval of a confidence sequence that the true
    /// difference ever leaves with a chance of at most `alpha`. `None` where `alpha` is not strictly between 0 and 1.
    pub fn confidence_interval(&self, alpha: f64) -> Option<Interval> {
        if !is_error_level(alpha) {
            return None;
        }
        let total = self.variance + self.mixture_variance;
        let ln = 0.5 * (total / self.variance).ln() - alpha.ln();
        let radius = (2.0 * self.variance * total / self.mixture_variance * ln).sqrt();
        Some(Interval {
            lower: self.difference - radius,
            upper: self.difference + radius,
        })
    }
}

/// The smallest p-value of all looks so far, which is still valid and never rises.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AlwaysValidPValue(f64);

impl Default for AlwaysValidPValue {
    fn default() -> Self {
        Self(1.0)
    }
}

impl AlwaysValidPValue {
    /// Takes another look and gives the p-value after it.
    pub fn observe(&mut self, look: &Comparison) -> f64 {
        self.0 = self.0.min(look.p_value);
        self.0
    }

    /// The p-value so far; 1 before the first look.
    pub fn value(&self) -> f64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn arms_without_variance_cannot_be_compared() {
        let still = Arm {
            count: 5,
            mean: 1.0,
            variance: 0.0,
        };
        assert_eq!(compare(&still, &still, 0.1), None);
        let arm = Arm {
            variance: 1.0,
            ..still
        };
        assert_eq!(compare(&arm, &arm, 0.0), None);
        assert_eq!(compare(&arm, &arm, f64::NAN), None);
        assert_eq!(
            compare(&arm, &arm, 0.1).unwrap().confidence_interval(1.0),
            None
        );
    }

    proptest! {
        #[test]
        fn no_difference_is_outside_just_where_the_p_value_is_small(
            shift in -0.5..0.5_f64,
            count in 2..5000_u64,
            scale in 0.01..2.0_f64,
        ) {
            let control = Arm { count, mean: 0.0, variance: 1.0 };
            let treatment = Arm { mean: shift, ..control };
            let look = compare(&control, &treatment, scale).unwrap();
            let interval = look.confidence_interval(0.05).unwrap();
            prop_assert_eq!(look.p_value < 0.05, !interval.contains(0.0));
            let mut lowest = AlwaysValidPValue::default();
            let first = lowest.observe(&look);
            let later = lowest.observe(&compare(&control, &control, scale).unwrap());
            prop_assert!(later <= first && (lowest.value() - later).abs() < 1e-15);
        }
    }
}
