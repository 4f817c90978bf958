//! The changes that an e-detector bets on, and how much it puts on each.
//!
//! ```text
//! baseline m ──arcsine scale: φ = 2 asin √m──▶ φ ∓ h for 11 sizes h ──back──▶ alternatives q
//!                                                                           │
//!                       x ──▶ 1 + (x − m)(q − m) / (m(1 − m)) for each ◀────┘   the factors
//! ```
//!
//! A drop by 0.05 is small at 0.5 and large at 0.99. On the arcsine scale changes of the same size h are about equally
//! hard to see at every baseline (Kullback–Leibler divergence near h² / 2 an observation), so one grid serves all rates.
//! Its sizes grow by √2 from 0.05 to 1.6.
//!
//! Detection of a change of size h is put off by about 2 ln(1 / weight) / h² observations by the others' weights. That
//! is much for small changes and next to nothing for large ones, so weights fall as h^−1.5 from 0.1 on (0.85 to 0.80 is
//! 0.13). The two sizes below share a tenth: they find in the end what is barely a change, at the cost of ln(1 / 0.9) to
//! all others.
//!
//! Source of the scale: J. Cohen, "Statistical Power Analysis for the Behavioral Sciences" (1988), chapter 6.

use super::Direction;

/// How many changes a detector bets on.
pub(super) const COUNT: usize = 11;
const SMALLEST: f64 = 0.05;
const BELOW_FULL_WEIGHT: usize = 2;
const WEIGHT_BELOW: f64 = 0.1;
const WEIGHT_EXPONENT: f64 = -1.5;
/// The part of the way to the end of the scale that an alternative keeps away from it: a bet of everything on one
/// outcome would be lost for good by the other.
const AWAY_FROM_END: f64 = 0.05;

/// One change bet on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Alternative {
    /// The part of the stake put on it; all weights sum to 1.
    pub weight: f64,
    /// What an observation of 1 multiplies the stake by.
    pub on_one: f64,
    /// What an observation of 0 multiplies the stake by.
    pub on_zero: f64,
}

/// The mean that lies `size` away from `baseline` on the arcsine scale.
fn alternative_mean(baseline: f64, direction: Direction, size: f64) -> f64 {
    let below = 2.0 * baseline.sqrt().asin();
    let above = std::f64::consts::PI - below;
    let angle = match direction {
        Direction::Decrease => (below - size).max(AWAY_FROM_END * below),
        Direction::Increase => below + size.min((1.0 - AWAY_FROM_END) * above),
    };
    (angle / 2.0).sin().powi(2)
}

/// The alternatives to a baseline strictly between 0 and 1.
pub(super) fn alternatives(baseline: f64, direction: Direction) -> [Alternative; COUNT] {
    let size = |place: usize| SMALLEST * 2.0_f64.powf(place as f64 / 2.0);
    let full: f64 = (BELOW_FULL_WEIGHT..COUNT)
        .map(|place| size(place).powf(WEIGHT_EXPONENT))
        .sum();
    std::array::from_fn(|place| {
        let mean = alternative_mean(baseline, direction, size(place));
        let weight = if place < BELOW_FULL_WEIGHT {
            WEIGHT_BELOW / BELOW_FULL_WEIGHT as f64
        } else {
            (1.0 - WEIGHT_BELOW) * size(place).powf(WEIGHT_EXPONENT) / full
        };
        Alternative {
            weight,
            on_one: mean / baseline,
            on_zero: (1.0 - mean) / (1.0 - baseline),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bets_are_fair_at_the_baseline_and_lose_beyond(
            baseline in 0.0001..0.9999_f64,
            increase in any::<bool>(),
        ) {
            let direction = if increase { Direction::Increase } else { Direction::Decrease };
            let found = alternatives(baseline, direction);
            let total: f64 = found.iter().map(|bet| bet.weight).sum();
            prop_assert!((total - 1.0).abs() < 1e-12);
            for bet in found {
                prop_assert!(bet.on_one > 0.0 && bet.on_zero > 0.0 && bet.weight > 0.0);
                let mean = baseline * bet.on_one + (1.0 - baseline) * bet.on_zero;
                prop_assert!((mean - 1.0).abs() < 1e-9);
                prop_assert_eq!(bet.on_one > bet.on_zero, increase);
            }
        }
    }
}
