//! The cumulative sum of Bernoulli log-likelihood ratios: the classic rule that e-detectors are compared with.
//!
//! ```text
//! yes or no ──▶ score ← max(0, score + step) ──≥ threshold──▶ alarm
//!                              ▲                   ▲
//!   ln(q/m) or ln((1−q)/(1−m)) in whole units      Markov chain: mean run length at the baseline
//! ```
//!
//! It is tuned to one alternative q and one exact rate m. Where the true rate before the change is only bounded by m, its
//! run length is at least the one computed, since a better rate gives smaller steps.
//!
//! Sources: E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954); M. R. Reynolds, Z. G. Stoumbos, "A CUSUM
//! chart for monitoring a proportion when inspecting continuously", Journal of Quality Technology 31 (1999), for
//! rounding the steps to a lattice, on which the chain is exact.

use serde::{Deserialize, Serialize};

use super::cusum_run_length::average_run_length;

/// The larger step has this many units at least, so that rounding changes the ratio of steps by under 1 %.
const UNITS_OF_LARGER_STEP: f64 = 50.0;
/// The highest threshold that is tried.
const MOST_UNITS: u32 = 1 << 17;

/// A CUSUM on the outcomes of a rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BernoulliCusum {
    /// Whether an outcome of 1 raises the score (an increase is looked for) or lowers it.
    rises_on_one: bool,
    /// Units that the score goes up by on the one outcome.
    up: u32,
    /// Units that it goes down by on the other.
    down: u32,
    threshold: u32,
    score: u32,
}

impl BernoulliCusum {
    /// The rule for a rate of `baseline` that changes to `alternative`, both strictly between 0 and 1 and not the same,
    /// with the lowest threshold whose mean run length at the baseline is `asked_run_length` or more. `None` where the
    /// rates are out of range, or no threshold within reach is enough.
    pub fn new(baseline: f64, alternative: f64, asked_run_length: f64) -> Option<Self> {
        let between = |rate: f64| rate > 0.0 && rate < 1.0;
        if !between(baseline) || !between(alternative) || !asked_run_length.is_finite() {
            return None;
        }
        let on_one = (alternative / baseline).ln();
        let on_zero = ((1.0 - alternative) / (1.0 - baseline)).ln();
        let rises_on_one = on_one > 0.0;
        let (up, down) = if rises_on_one {
            (on_one, -on_zero)
        } else {
            (on_zero, -on_one)
        };
        let smaller = up.min(down);
        if smaller <= 0.0 {
            return None;
        }
        let unit = smaller / (UNITS_OF_LARGER_STEP * smaller / up.max(down)).ceil();
        let mut rule = Self {
            rises_on_one,
            up: (up / unit).round() as u32,
            down: (down / unit).round() as u32,
            threshold: 0,
            score: 0,
        };
        rule.threshold = rule.lowest_threshold(baseline, asked_run_length)?;
        Some(rule)
    }

    /// The mean number of observations until an alarm, from a score of 0, at a steady rate strictly between 0 and 1.
    /// `None` for other rates.
    ///
    /// Source: D. Brook, D. A. Evans, "An approach to the probability distribution of CUSUM run length", Biometrika 59
    /// (1972).
    pub fn average_run_length(&self, rate: f64) -> Option<f64> {
        (rate > 0.0 && rate < 1.0).then(|| self.run_length_to(self.threshold, rate))
    }

    fn run_length_to(&self, threshold: u32, rate: f64) -> f64 {
        let rising = if self.rises_on_one { rate } else { 1.0 - rate };
        average_run_length(self.up, self.down, threshold, rising)
    }

    fn lowest_threshold(&self, baseline: f64, asked: f64) -> Option<u32> {
        let enough = |threshold| self.run_length_to(threshold, baseline) >= asked;
        let mut high = 1;
        while !enough(high) {
            high *= 2;
            if high > MOST_UNITS {
                return None;
            }
        }
        let mut low = high / 2;
        while high - low > 1 {
            let middle = u32::midpoint(low, high);
            if enough(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(high)
    }

    /// Takes one outcome and gives the score after it, in units.
    pub fn observe(&mut self, one: bool) -> u32 {
        self.score = if one == self.rises_on_one {
            self.score.saturating_add(self.up)
        } else {
            self.score.saturating_sub(self.down)
        };
        self.score
    }

    /// Whether the score has come to the threshold.
    pub fn is_alarm(&self) -> bool {
        self.score >= self.threshold
    }

    /// Starts again.
    pub fn reset(&mut self) {
        self.score = 0;
    }

    /// The steps up and down and the threshold, in units.
    pub fn lattice(&self) -> (u32, u32, u32) {
        (self.up, self.down, self.threshold)
    }
}
