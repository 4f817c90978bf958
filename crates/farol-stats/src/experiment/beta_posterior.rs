//! What is believed of a rate after some trials, for display: the Beta posterior.
//!
//! ```text
//! prior Beta(a, b) + k of n ──▶ Beta(a + k, b + n − k) ──▶ mean, credible interval, chance that one rate beats another
//! ```
//!
//! These are pictures for one look. To stop an experiment by them whenever they please is to be wrong more often than they
//! say; for that are the [sequences](super::proportion_sequence) and [tests](super::mixture_sprt).
//!
//! Source: A. Gelman et al., "Bayesian Data Analysis", third edition (2013), 2.4; the chance that one beats the other is
//! ∫ f_B(x) F_A(x) dx, integrated on the arcsine scale, where the densities are smooth and of known width.

use serde::{Deserialize, Serialize};

use super::{Interval, is_error_level};
use crate::special::beta::{beta_quantile, ln_beta, regularized_incomplete_beta};
use crate::special::quadrature::integrate;

/// Standard deviations on the arcsine scale to each side that are integrated over.
const REACH: f64 = 10.0;
const PANELS: usize = 24;

/// A Beta distribution of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BetaPosterior {
    alpha: f64,
    beta: f64,
}

impl BetaPosterior {
    /// The posterior after `successes` among `trials`, from a prior Beta(`prior_alpha`, `prior_beta`): 1 and 1 for uniform,
    /// ½ and ½ for Jeffreys'. `None` where there are more successes than trials or the prior's parameters are not finite
    /// and at least ½ (below, a density has poles too steep to integrate).
    pub fn new(prior_alpha: f64, prior_beta: f64, successes: u64, trials: u64) -> Option<Self> {
        let failures = trials.checked_sub(successes)?;
        let allowed = |parameter: f64| parameter.is_finite() && parameter >= 0.5;
        (allowed(prior_alpha) && allowed(prior_beta)).then_some(Self {
            alpha: prior_alpha + successes as f64,
            beta: prior_beta + failures as f64,
        })
    }

    /// The posterior mean.
    pub fn mean(&self) -> f64 {
        self.alpha / (self.alpha + self.beta)
    }

    /// The rate that is not exceeded with the given probability; `None` where that is not strictly between 0 and 1.
    pub fn quantile(&self, probability: f64) -> Option<f64> {
        is_error_level(probability).then(|| beta_quantile(self.alpha, self.beta, probability))
    }

    /// The interval between the quantiles that leave half of 1 − `level` on each side; `None` where `level` is not
    /// strictly between 0 and 1.
    pub fn credible_interval(&self, level: f64) -> Option<Interval> {
        let tail = (1.0 - level) / 2.0;
        Some(Interval {
            lower: self.quantile(tail)?,
            upper: self.quantile(1.0 - tail)?,
        })
    }

    /// The probability that this rate is higher than the other, the two being independent.
    pub fn probability_above(&self, other: &Self) -> f64 {
        // The narrower density is integrated against the wider distribution, which is smooth at its scale.
        if self.alpha + self.beta >= other.alpha + other.beta {
            self.mean_of_distribution(other)
        } else {
            1.0 - other.mean_of_distribution(self)
        }
    }

    /// ∫ f(x) F_other(x) dx with x = sin² θ.
    fn mean_of_distribution(&self, other: &Self) -> f64 {
        let center = self.mean().sqrt().asin();
        let reach = REACH / (2.0 * (self.alpha + self.beta).sqrt());
        let from = (center - reach).max(0.0);
        let to = (center + reach).min(std::f64::consts::FRAC_PI_2);
        let ln_scale = std::f64::consts::LN_2 - ln_beta(self.alpha, self.beta);
        let integrand = |theta: f64| {
            let (sine, cosine) = theta.sin_cos();
            let ln_density = (2.0 * self.alpha - 1.0) * sine.ln()
                + (2.0 * self.beta - 1.0) * cosine.ln()
                + ln_scale;
            ln_density.exp() * regularized_incomplete_beta(other.alpha, other.beta, sine * sine)
        };
        integrate(integrand, from, to, PANELS).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::BetaPosterior;

    #[test]
    fn nothing_seen_is_the_prior() {
        let found = BetaPosterior::new(1.0, 1.0, 0, 0).unwrap();
        assert!((found.mean() - 0.5).abs() < 1e-15);
        let interval = found.credible_interval(0.9).unwrap();
        assert!((interval.lower - 0.05).abs() < 1e-12 && (interval.upper - 0.95).abs() < 1e-12);
        assert!((found.probability_above(&found) - 0.5).abs() < 1e-12);
        assert_eq!(BetaPosterior::new(1.0, 1.0, 2, 1), None);
        assert_eq!(BetaPosterior::new(0.0, 1.0, 1, 2), None);
        assert_eq!(found.quantile(1.0), None);
        assert_eq!(found.credible_interval(f64::NAN), None);
    }

    proptest! {
        #[test]
        fn either_density_may_be_integrated(
            successes in (0..2000_u64, 0..2000_u64),
            failures in (1000..3000_u64, 1000..3000_u64),
        ) {
            let of = |successes: u64, failures: u64| {
                BetaPosterior::new(0.5, 0.5, successes, successes + failures).unwrap()
            };
            let a = of(successes.0, failures.0);
            let b = of(successes.1, failures.1);
            let sum = a.mean_of_distribution(&b) + b.mean_of_distribution(&a);
            prop_assert!((sum - 1.0).abs() < 1e-9, "{}", sum);
        }
    }
}
