//! Watching any score, without knowing its distribution, with a stated number of false alarms.
//!
//! ```text
//! score ──▶ rank among the last 720 ──▶ p = (scores as high + 1) / (scores + 1)
//!                                        │
//!        value_κ ◀── κ p^(κ−1) · (value_κ + 1)     a stake of 1 is put in before every observation
//!                        │
//!        mean over κ ──≥ average run length?──▶ alarm ──reset──▶ 0
//! ```
//!
//! One score that is higher than 720 others has a p of 1/721, which happens by chance twice a day where a window is a minute.
//! Of thousands of series that are watched all the time, only a row of high scores can be believed, and the value says
//! how long a row: about four of the highest at a run length of 200,000.
//!
//! Sources: V. Vovk, "Testing randomness online", Statistical Science 36 (2021), for the Shiryaev–Roberts procedure over
//! conformal p-values; D. Volkhonskiy, E. Burnaev, I. Nouretdinov, A. Gammerman, V. Vovk, "Inductive conformal martingales
//! for change-point detection", COPA (2017), for the power betting functions and their mixture.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How many scores are remembered.
pub const REMEMBERED: usize = 720;

/// The exponents that are bet on: the smaller, the more is won by the rarest scores alone. Equal stakes.
const EXPONENTS: [f64; 4] = [0.15, 0.3, 0.5, 0.75];

const STEPS_PER_DOUBLING: f64 = 2048.0;

/// Values are kept below this, so that a detector that is not reset stays a plain number.
const MOST: f64 = 1e300;

/// One exponent with the running value of its bet.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Bet {
    /// The sum, over all starts, of the product of the factors since.
    value: f64,
    /// The largest of these products, and the number of observations since its start.
    largest: f64,
    since: u32,
}

/// Watches scores, of which high ones are bad, for a lasting change upwards.
///
/// **Guarantee.** Without a change, that is while scores are exchangeable, each p-value is at least as large as a uniform
/// one, so that each factor is at most 1 on average, and the mean number of observations until
/// [`value`](Self::value) comes to a threshold is about that threshold or more. It is exact where nothing is forgotten and
/// ties are broken at random; here 720 scores are remembered and ties count against an alarm, which is on the safe side.
/// Scores that depend on the ones just before them are not exchangeable: what is predictable should be taken out first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ConformalDetector {
    /// As [`ranked`] makes them, in two bytes each: of thousands of series this is most of what is kept.
    past: VecDeque<i16>,
    bets: [Bet; EXPONENTS.len()],
}

impl ConformalDetector {
    /// The share of remembered scores, this one among them, that are as high; `None` for a score that is not finite.
    pub fn p_value(&self, score: f64) -> Option<f64> {
        let score = ranked(score)?;
        let as_high = self.past.iter().filter(|past| **past >= score).count();
        Some((as_high + 1) as f64 / (self.past.len() + 1) as f64)
    }

    /// Takes one score and gives the value after it; `None`, and no change, where it is not finite.
    pub fn observe(&mut self, score: f64) -> Option<f64> {
        let p_value = self.p_value(score)?;
        for (bet, exponent) in self.bets.iter_mut().zip(EXPONENTS) {
            let factor = exponent * p_value.powf(exponent - 1.0);
            bet.value = (factor * (bet.value + 1.0)).min(MOST);
            if bet.largest <= 1.0 {
                (bet.largest, bet.since) = (1.0, 0);
            }
            bet.largest = (bet.largest * factor).min(MOST);
            bet.since = bet.since.saturating_add(1);
        }
        self.remember(score);
        Some(self.value())
    }

    /// Remembers a score without betting on it, as before there is enough to compare with.
    pub fn remember(&mut self, score: f64) {
        let Some(score) = ranked(score) else {
            return;
        };
        if self.past.len() == REMEMBERED {
            self.past.pop_front();
        } else if self.past.is_empty() {
            // Not the next power of two.
            self.past.reserve_exact(REMEMBERED);
        }
        self.past.push_back(score);
    }

    /// The value: 0 at the start, and while there is no change on average at most the number of observations.
    pub fn value(&self) -> f64 {
        let sum: f64 = self.bets.iter().map(|bet| bet.value).sum();
        sum / self.bets.len() as f64
    }

    /// How many observations ago the change most likely began: the start of the largest product of the bet that won most.
    /// 0 before the first observation.
    pub fn likely_change(&self) -> u32 {
        let most = self.bets.iter().max_by(|a, b| a.value.total_cmp(&b.value));
        most.map_or(0, |bet| bet.since)
    }

    /// How many scores are remembered, 720 at the most.
    pub fn remembered(&self) -> usize {
        self.past.len()
    }

    /// Bets anew, as after an alarm; what is remembered stays.
    pub fn reset(&mut self) {
        self.bets = Default::default();
    }
}

/// A score as it is remembered and compared: in steps of a 2048th of a doubling of 1 + its size, so that scores within 0.04 %
/// of each other are ties, and those beyond 65,000.
fn ranked(score: f64) -> Option<i16> {
    let steps = (STEPS_PER_DOUBLING * score.abs().ln_1p() / std::f64::consts::LN_2).round();
    score.is_finite().then(|| steps.copysign(score) as i16)
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn false_alarms_are_as_far_apart_as_the_threshold_says() {
        let (runs, threshold) = (300, 1_000.0);
        let mut lengths = 0_u64;
        for seed in 0..runs {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut detector = ConformalDetector::default();
            loop {
                lengths += 1;
                // Heavy tails: only ranks count.
                let score = 1.0 / random.random::<f64>().max(1e-12);
                if detector.observe(score).expect("a number") >= threshold {
                    break;
                }
            }
        }
        let mean = lengths as f64 / runs as f64;
        assert!(mean >= threshold, "a mean run length of {mean}");
        assert!(mean < 4.0 * threshold, "and not far beyond: {mean}");
    }

    #[test]
    fn a_lasting_change_is_found_and_dated() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut detector = ConformalDetector::default();
        for _ in 0..REMEMBERED {
            detector.observe(random.random()).expect("a number");
        }
        detector.reset();
        for _ in 0..50 {
            detector.observe(random.random()).expect("a number");
        }
        let mut delay = 0;
        while detector.value() < 200_000.0 {
            detector
                .observe(2.0 + random.random::<f64>())
                .expect("a number");
            delay += 1;
        }
        assert!((4..=8).contains(&delay), "{delay}");
        assert!(detector.likely_change().abs_diff(delay) <= 2);
    }

    #[test]
    fn equal_scores_and_what_is_no_number_say_nothing() {
        let mut detector = ConformalDetector::default();
        for _ in 0..2_000 {
            let value = detector.observe(0.0).expect("a number");
            assert!(value < 10.0, "{value}");
        }
        let before = detector.clone();
        assert_eq!(detector.observe(f64::NAN), None);
        assert_eq!(detector, before);
        assert_eq!(detector.remembered(), REMEMBERED);
    }
}
