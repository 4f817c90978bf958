//! Null distributions by resampling: what a statistic would be if nothing had changed.
//!
//! ```text
//! seed ──ChaCha8──▶ draw a world without change ──▶ its statistic      (rounds times)
//!                                                       │
//! observed statistic ───────────────▶ share at or above it: p; their mean: what no change looks like; quantile: threshold
//! ```

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// How often to draw from the null, and from which seed. The same seed gives the same numbers.
///
/// The smallest p-value is 1 / (rounds + 1). Where many tests are adjusted together, rounds must be several times
/// tests / level, or none can be significant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resampling {
    /// How many draws; 0 gives no p-value below 1.
    pub rounds: u32,
    /// The seed of the generator.
    pub seed: u64,
}

impl Resampling {
    /// Draws the null distribution of a statistic.
    pub(super) fn draw(&self, mut statistic: impl FnMut(&mut ChaCha8Rng) -> f64) -> Null {
        let mut generator = generator(self.seed);
        let mut draws: Vec<f64> = (0..self.rounds)
            .map(|_| statistic(&mut generator))
            .collect();
        draws.sort_unstable_by(f64::total_cmp);
        Null { draws }
    }
}

/// The generator of a seed, at its start.
pub(super) fn generator(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Draws of a statistic under no change, in order.
pub(super) struct Null {
    draws: Vec<f64>,
}

impl Null {
    /// The share of worlds without change, the observed one among them, whose statistic is at least the observed.
    ///
    /// Counting the observed one makes the level hold exactly for any number of draws. Source: B. Phipson, G. Smyth,
    /// "Permutation p-values should never be zero", Stat. Appl. Genet. Mol. Biol. 9 (2010).
    pub fn p_value(&self, observed: f64) -> f64 {
        // Equal worlds summed in another order must count as equal.
        let equal = observed - 1e-12 * observed.abs();
        let below = self.draws.partition_point(|draw| *draw < equal);
        (self.draws.len() - below + 1) as f64 / (self.draws.len() + 1) as f64
    }

    /// What the statistic is on average; `None` without draws.
    pub fn mean(&self) -> Option<f64> {
        let sum: f64 = self.draws.iter().sum();
        (!self.draws.is_empty()).then(|| sum / self.draws.len() as f64)
    }

    /// The smallest threshold that, by these draws, at most a share `level` of worlds without change exceeds.
    ///
    /// The observed world counts among them, so `None` where the draws are too few for the level.
    pub fn threshold(&self, level: f64) -> Option<f64> {
        let allowed = (level * (self.draws.len() + 1) as f64).floor() as usize;
        let place = (self.draws.len() + 1).checked_sub(allowed)?;
        (allowed > 0).then(|| self.draws.get(place.checked_sub(1)?).copied())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_observed_world_counts_among_the_draws() {
        let null = Null {
            draws: (1..=99).map(f64::from).collect(),
        };
        assert!((null.p_value(200.0) - 0.01).abs() < 1e-15);
        assert!((null.p_value(0.0) - 1.0).abs() < 1e-15);
        assert!((null.p_value(95.0) - 0.06).abs() < 1e-15);
        assert_eq!(null.mean(), Some(50.0));
    }

    #[test]
    fn above_the_threshold_is_significant_and_at_it_is_not() {
        let null = Null {
            draws: (1..=99).map(f64::from).collect(),
        };
        let threshold = null.threshold(0.05).unwrap();
        assert!(null.p_value(threshold + 0.5) <= 0.05);
        assert!(null.p_value(threshold) > 0.05);
        assert_eq!(null.threshold(0.001), None);
        assert_eq!(Null { draws: vec![] }.threshold(0.05), None);
        assert_eq!(Null { draws: vec![] }.mean(), None);
    }
}
