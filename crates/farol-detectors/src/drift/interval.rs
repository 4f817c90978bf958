//! The interval of an effect: how far it could be from what was seen, by drawing both sides again.
//!
//! Source: N. Chamandy, O. Muralidharan, A. Najmi, S. Naidu, "Estimating uncertainty for massive data streams" (2012), on Poisson
//! draws in the place of drawing rows; B. Efron, R. J. Tibshirani, "An introduction to the bootstrap" (1993), on the basic interval,
//! which takes the bias of drawing again out.

use rand::SeedableRng as _;
use rand::distr::Distribution as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::Poisson;

use super::Counts;

/// How often both sides are drawn again.
const ROUNDS: usize = 200;
const SEED: u64 = 2;
/// The ends of a 95 % interval, among the draws in order.
const LOW: usize = ROUNDS / 40;
const HIGH: usize = ROUNDS - 1 - ROUNDS / 40;

/// The 95 % interval of a statistic's effect: what of it, `value`, is above what no change gives, which is `value - effect`.
/// `None` where the statistic of some draws is not known.
pub(super) fn interval(
    reference: &Counts,
    window: &Counts,
    (value, effect): (f64, f64),
    statistic: impl Fn(&Counts, &Counts) -> Option<f64>,
) -> Option<(f64, f64)> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut draws = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let drawn = statistic(
            &drawn(reference, &mut random)?,
            &drawn(window, &mut random)?,
        )?;
        draws.push(drawn);
    }
    draws.sort_by(f64::total_cmp);
    let without_change = value - effect;
    let of = |place: usize| {
        draws
            .get(place)
            .map(|draw| 2.0 * value - draw - without_change)
    };
    Some((of(HIGH)?.max(0.0), of(LOW)?.max(0.0)))
}

fn drawn(counts: &Counts, random: &mut ChaCha8Rng) -> Option<Counts> {
    let mut found = Counts::new();
    for (value, count) in counts {
        let often = Poisson::new(*count as f64).ok()?.sample(random);
        if often > 0.0 {
            found.insert(value.clone(), often as u64);
        }
    }
    Some(found)
}
