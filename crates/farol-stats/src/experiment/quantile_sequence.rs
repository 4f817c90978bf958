//! A confidence sequence for a quantile (the median, the 95th percentile of a latency) of any distribution.
//!
//! ```text
//! n, level p ──two one-sided Beta-Binomial mixtures on "how many are at or below"──▶ ranks of two order statistics
//!                                                                                          │
//! sorted values ────────────────────────────────────────────────────────────▶ lower, upper ◀┘
//! ```
//!
//! At or below the true quantile a value falls with probability p or more, strictly below with p or less. So the number at
//! or below can be rejected for being too small, the number below for being too large, by coin-tossing alone: nothing is
//! assumed of the distribution, which may have ties and jumps.
//!
//! Source: S. R. Howard, A. Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm
//! identification", Bernoulli 28 (2022), its Beta-Binomial mixture, here one-sided for each end.

use super::{is_error_level, mixture_strength};
use crate::special::beta::{ln_beta, regularized_incomplete_beta};

/// The ranks, from 1, of the order statistics that bound a quantile; `None` for an end that is still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuantileRanks {
    /// The quantile is at least the value of this rank.
    pub lower: Option<u64>,
    /// The quantile is at most the value of this rank.
    pub upper: Option<u64>,
}

/// An interval for a quantile; `None` for an end that is still open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileInterval {
    /// The lower end.
    pub lower: Option<f64>,
    /// The upper end.
    pub upper: Option<f64>,
}

/// ln of the mixture of likelihood ratios of rates below `level` (against `level`) after `below` of `count`: a
/// Beta(`strength · level`, `strength · (1 − level)`) prior cut off at `level`.
fn ln_e_value_of_fewer(below: u64, count: u64, level: f64, strength: f64) -> f64 {
    let (a, b) = (strength * level, strength * (1.0 - level));
    let (inside, outside) = (below as f64, (count - below) as f64);
    let posterior = regularized_incomplete_beta(a + inside, b + outside, level);
    let prior = regularized_incomplete_beta(a, b, level);
    let likelihood = inside * level.ln() + outside * (-level).ln_1p();
    ln_beta(a + inside, b + outside) - ln_beta(a, b) + (posterior / prior).ln() - likelihood
}

/// The smallest number of values at or below the quantile that is not too small to be believed.
fn fewest_not_rejected(count: u64, level: f64, strength: f64, limit: f64) -> u64 {
    let (mut rejected, mut believed) = (0, count);
    if ln_e_value_of_fewer(0, count, level, strength) < limit {
        return 0;
    }
    while believed - rejected > 1 {
        let middle = u64::midpoint(rejected, believed);
        if ln_e_value_of_fewer(middle, count, level, strength) < limit {
            believed = middle;
        } else {
            rejected = middle;
        }
    }
    believed
}

/// The ranks of the values that bound the quantile at `level` after `count` values, at this time of a confidence sequence
/// that the quantile ever leaves with a chance of at most `alpha` (half for each end).
///
/// * `level`: strictly between 0 and 1, such as 0.95.
/// * `tuned_for`: the number of values at which the sequence is about narrowest, fixed before the first look.
///
/// Assumes independent values of one distribution; of which, does not matter. Ranks serve sketches too, which give the
/// value of a rank. `None` where an argument is out of range.
pub fn quantile_confidence_ranks(
    count: u64,
    level: f64,
    tuned_for: u64,
    alpha: f64,
) -> Option<QuantileRanks> {
    let between = level > 0.0 && level < 1.0;
    if !between || tuned_for == 0 || !is_error_level(alpha) {
        return None;
    }
    if count == 0 {
        return Some(QuantileRanks {
            lower: None,
            upper: None,
        });
    }
    let strength = mixture_strength(tuned_for as f64, alpha);
    let limit = -(alpha / 2.0).ln();
    let at_or_below = fewest_not_rejected(count, level, strength, limit);
    // "Too many below" at a level is "too few not below" at the level's complement.
    let not_below = fewest_not_rejected(count, 1.0 - level, strength, limit);
    Some(QuantileRanks {
        lower: (at_or_below >= 1).then_some(at_or_below),
        upper: (not_below >= 1).then(|| count - not_below + 1),
    })
}

/// The interval for the quantile at `level` of `sorted` values (ascending), as by [`quantile_confidence_ranks`]. `None`
/// where an argument is out of range or the values are not in order (NaN never is).
pub fn quantile_confidence_interval(
    sorted: &[f64],
    level: f64,
    tuned_for: u64,
    alpha: f64,
) -> Option<QuantileInterval> {
    if !sorted.is_sorted() || sorted.iter().any(|value| value.is_nan()) {
        return None;
    }
    let ranks = quantile_confidence_ranks(sorted.len() as u64, level, tuned_for, alpha)?;
    let value = |rank: Option<u64>| rank.and_then(|rank| sorted.get(rank as usize - 1).copied());
    Some(QuantileInterval {
        lower: value(ranks.lower),
        upper: value(ranks.upper),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_values_leave_the_ends_open() {
        let open = Some(QuantileRanks {
            lower: None,
            upper: None,
        });
        assert_eq!(quantile_confidence_ranks(0, 0.5, 100, 0.05), open);
        assert_eq!(quantile_confidence_ranks(3, 0.5, 100, 0.05), open);
        assert_eq!(quantile_confidence_ranks(10, 1.0, 100, 0.05), None);
        assert_eq!(quantile_confidence_ranks(10, 0.5, 0, 0.05), None);
        assert_eq!(
            quantile_confidence_interval(&[2.0, 1.0], 0.5, 100, 0.05),
            None
        );
        assert_eq!(
            quantile_confidence_interval(&[f64::NAN], 0.5, 100, 0.05),
            None
        );
    }

    proptest! {
        #[test]
        fn ranks_surround_the_quantile_and_mirror(
            count in 1..200_000_u64,
            level in 0.01..0.99_f64,
        ) {
            let found = quantile_confidence_ranks(count, level, 1000, 0.05).unwrap();
            let at = level * count as f64;
            prop_assert!(found.lower.is_none_or(|rank| rank as f64 <= at + 1.0));
            prop_assert!(found.upper.is_none_or(|rank| rank as f64 >= at));
            let mirrored = quantile_confidence_ranks(count, 1.0 - level, 1000, 0.05).unwrap();
            prop_assert_eq!(found.upper, mirrored.lower.map(|rank| count + 1 - rank));
        }
    }
}
