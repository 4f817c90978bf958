//! How rare a score is among all scores of the same detector so far: what makes detectors comparable.
//!
//! ```text
//! score ──▶ bin by its logarithm: 4 an octave, 40 in all ──▶ share of scores so far in higher bins, and half of its own
//!                                                               └──▶ −log10: 1 is one in ten, 3 one in a thousand
//! ```

use serde::{Deserialize, Serialize};

const BINS: usize = 40;
const BINS_PER_OCTAVE: f64 = 4.0;
/// The binary logarithm of the lowest bin's lower end; smaller scores fall into the lowest bin.
const LOWEST: f64 = -3.0;
/// All counts are halved beyond this number, so that they fit their integers and old scores fade.
const MOST: u32 = 60_000;

/// The empirical tail probability of a detector's scores, by a histogram of 40 bins with equal ratios, from 1/8 to 128.
///
/// Source: the empirical survival function with mid-ranks and half a count added, so that the rarest score of `n` has the
/// probability `0.5 / (n + 1)` and never 0.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TailRank {
    counts: Box<[u16]>,
    total: u32,
}

impl Default for TailRank {
    fn default() -> Self {
        Self {
            counts: vec![0; BINS].into(),
            total: 0,
        }
    }
}

impl TailRank {
    /// The negative decimal logarithm of the share of scores that were as high, 0 or above; then counts the score.
    pub fn rank(&mut self, score: f64) -> f64 {
        let bin = bin(score);
        let above: u32 = self.counts[bin + 1..].iter().map(|n| u32::from(*n)).sum();
        let above = f64::from(above) + 0.5 * f64::from(self.counts[bin]) + 0.5;
        let rank = (f64::from(self.total + 1) / above).log10();
        self.counts[bin] += 1;
        self.total += 1;
        if self.total >= MOST {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().map(|n| u32::from(*n)).sum();
        }
        rank.max(0.0)
    }
}

fn bin(score: f64) -> usize {
    // A float that is too low, or not a number, becomes 0.
    (((score.log2() - LOWEST) * BINS_PER_OCTAVE) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_counted_by_hand() {
        let mut rank = TailRank::default();
        for _ in 0..98 {
            rank.rank(1.0);
        }
        // None of 98 was higher: half a count of 99.
        assert!((rank.rank(10.0) - (99.0_f64 / 0.5).log10()).abs() < 1e-12);
        // One was higher, and half of the 98 in the same bin count.
        assert!((rank.rank(1.0) - (100.0_f64 / (1.0 + 49.0 + 0.5)).log10()).abs() < 1e-12);
        // Whatever cannot be binned is common, or the rarest.
        assert!(rank.rank(f64::NAN) < 0.01);
        assert!(rank.rank(f64::INFINITY) > 2.0);
    }

    #[test]
    fn counts_are_halved_before_they_overflow() {
        let mut rank = TailRank::default();
        for _ in 0..200_000 {
            rank.rank(1.0);
        }
        assert!(rank.total < MOST);
        assert!(rank.rank(10.0) > 4.0);
    }
}
