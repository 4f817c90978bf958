//! A confidence sequence for a proportion, exact at every sample size: all rates that a uniform mixture does not reject.
//!
//! ```text
//! k of n ──▶ e(p) = ∫ q^k (1−q)^(n−k) dq / (p^k (1−p)^(n−k)) = B(k+1, n−k+1) / (p^k (1−p)^(n−k))
//!                └──▶ { p : e(p) < 1/α }, an interval around k/n
//! ```
//!
//! Source: H. Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of Mathematical
//! Statistics 41 (1970), for a binomial rate with a uniform mixture.

use super::{Interval, is_error_level};
use crate::special::beta::ln_beta;

/// The logarithm of the e-value against the hypothesis that the rate is `rate`: large values speak against it, and under
/// it the e-value ever comes to 1/α with a chance of at most α. Looks may be made at any time; the counts do not depend on
/// the order.
///
/// `None` where there are more successes than trials, or `rate` is outside 0 to 1.
pub fn proportion_ln_e_value(successes: u64, trials: u64, rate: f64) -> Option<f64> {
    let failures = trials.checked_sub(successes)?;
    if !(0.0..=1.0).contains(&rate) {
        return None;
    }
    let (successes, failures) = (successes as f64, failures as f64);
    // 0 · ln 0 is 0: no success says nothing against a rate of 0.
    let term = |count: f64, ln: f64| if count > 0.0 { count * ln } else { 0.0 };
    let likelihood = term(successes, rate.ln()) + term(failures, (-rate).ln_1p());
    Some(ln_beta(successes + 1.0, failures + 1.0) - likelihood)
}

/// The interval, at this time, of a confidence sequence for a rate after `successes` among `trials`, that the rate ever
/// leaves with a chance of at most `alpha`. With no trials it is 0 to 1.
///
/// Assumes outcomes of one rate, independent or at least with that rate given those before.
///
/// `None` where there are more successes than trials or `alpha` is not strictly between 0 and 1.
pub fn proportion_confidence_interval(successes: u64, trials: u64, alpha: f64) -> Option<Interval> {
    if successes > trials || !is_error_level(alpha) {
        return None;
    }
    if trials == 0 {
        return Some(Interval {
            lower: 0.0,
            upper: 1.0,
        });
    }
    let limit = -alpha.ln();
    let rejected = |rate: f64| {
        proportion_ln_e_value(successes, trials, rate).is_some_and(|e_value| e_value >= limit)
    };
    let observed = successes as f64 / trials as f64;
    // The e-value falls towards the observed rate and rises beyond, so each side has one end.
    let end = |mut outside: f64| {
        if !rejected(outside) {
            return outside;
        }
        let mut inside = observed;
        for _ in 0..200 {
            let middle = f64::midpoint(inside, outside);
            if middle <= inside.min(outside) || middle >= inside.max(outside) {
                break;
            }
            if rejected(middle) {
                outside = middle;
            } else {
                inside = middle;
            }
        }
        inside
    };
    Some(Interval {
        lower: end(0.0),
        upper: end(1.0),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_trials_leave_everything_open() {
        assert_eq!(
            proportion_confidence_interval(0, 0, 0.05),
            Some(Interval {
                lower: 0.0,
                upper: 1.0
            })
        );
        assert_eq!(proportion_confidence_interval(2, 1, 0.05), None);
        assert_eq!(proportion_confidence_interval(1, 2, 1.5), None);
        assert_eq!(proportion_ln_e_value(1, 2, f64::NAN), None);
    }

    proptest! {
        #[test]
        fn the_ends_have_the_asked_e_value(trials in 1..1_000_000_u64, share in 0.0..=1.0_f64) {
            let successes = ((trials as f64) * share) as u64;
            let found = proportion_confidence_interval(successes, trials, 0.05).unwrap();
            prop_assert!(found.contains(successes as f64 / trials as f64));
            for end in [found.lower, found.upper] {
                if end > 0.0 && end < 1.0 {
                    let e_value = proportion_ln_e_value(successes, trials, end).unwrap();
                    prop_assert!((e_value - 20.0_f64.ln()).abs() < 1e-6, "{}", e_value);
                }
            }
            let mirrored = proportion_confidence_interval(trials - successes, trials, 0.05).unwrap();
            prop_assert!((found.lower - (1.0 - mirrored.upper)).abs() < 1e-9);
        }
    }
}
