//! The mixture Shiryaev–Roberts e-detector: an alarm when a mean leaves its baseline, with a guaranteed run length.
//!
//! ```text
//! x in 0 to 1 ──▶ factor_i = 1 + λ_i (x − m)   (mean ≤ 1 while there is no change)
//!                    │
//!   value_i ◀── factor_i · (value_i + 1)        a stake of 1 is put in before every observation
//!                    │
//!   Σ weight_i · value_i ──≥ average run length?──▶ alarm ──reset──▶ 0
//! ```
//!
//! At a run length of 100,000 the median delay for a rate that falls from 0.85 to 0.80 after 1,000 observations is about
//! 550 observations, that of a CUSUM tuned to just this change about 510; where the rate is low from the start on, about
//! 670 and 560. `examples/run_length.rs` prints other rates.
//!
//! Source: J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", New
//! England Journal of Statistics in Data Science (2023; arXiv:2203.03532): the Shiryaev–Roberts e-detector, mixed over a
//! grid of alternatives; factors by betting as in I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random
//! variables by betting", Journal of the Royal Statistical Society B 86 (2024). For observations of 0 and 1 the factors
//! are the likelihood ratios of Bernoulli rates, so nothing is lost against the parametric rule.

use serde::{Deserialize, Serialize};

use super::{Direction, alternatives, window};

/// Values are kept below this, so that a detector that is not reset stays a plain number. Less is on the safe side.
const MOST: f64 = 1e300;

/// One change that is bet on, with the running value of its bet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Bet {
    weight: f64,
    on_one: f64,
    on_zero: f64,
    /// The sum, over all starts, of the product of the factors since.
    value: f64,
    /// The largest of these products, and the number of observations before its start.
    largest: f64,
    largest_start: u64,
}

impl Bet {
    /// Follows the largest product over `product`, made of the observations after the first `before`.
    fn follow_largest(&mut self, product: f64, before: u64) {
        if self.largest <= 1.0 {
            self.largest = 1.0;
            self.largest_start = before;
        }
        self.largest = (self.largest * product).min(MOST);
    }

    fn reset(&mut self) {
        self.value = 0.0;
        self.largest = 0.0;
        self.largest_start = 0;
    }
}

/// Watches a mean of values in 0 to 1: a rate of yes and no, or a bounded score.
///
/// **Guarantee.** While every observation has a mean, given those before it, at or above the baseline (for
/// [`Direction::Decrease`]; at or below it for [`Direction::Increase`]), the mean number of observations until
/// [`is_alarm`](Self::is_alarm) is at least the average run length asked for. The chance of an alarm in the first n
/// observations is at most n over that length. Nothing is assumed of the distribution within 0 to 1, and observations
/// need not be alike or independent as long as that conditional mean holds. A baseline that is an estimate is not a
/// bound: take the lower (or upper) end of its confidence interval.
///
/// The state is plain numbers, well under 1 KiB, and holds the grid that it was made with: a detector read back goes
/// on as it was, even where a later version bets otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EDetector {
    direction: Direction,
    baseline: f64,
    average_run_length: f64,
    observations: u64,
    bets: Vec<Bet>,
}

impl EDetector {
    /// A detector of a change of a mean away from `baseline` (strictly between 0 and 1), whose false alarms are at least
    /// `average_run_length` observations apart on average (finite, at least 1). `None` where either is out of range.
    pub fn new(direction: Direction, baseline: f64, average_run_length: f64) -> Option<Self> {
        let known = baseline > 0.0 && baseline < 1.0;
        let asked = average_run_length.is_finite() && (1.0..=MOST).contains(&average_run_length);
        (known && asked).then(|| Self {
            direction,
            baseline,
            average_run_length,
            observations: 0,
            bets: alternatives::alternatives(baseline, direction)
                .iter()
                .map(|alternative| Bet {
                    weight: alternative.weight,
                    on_one: alternative.on_one,
                    on_zero: alternative.on_zero,
                    value: 0.0,
                    largest: 0.0,
                    largest_start: 0,
                })
                .collect(),
        })
    }

    /// Takes one observation, 0 to 1 (a score on another scale is brought to it first), and gives the detector's value after it. `None`, and no change, where the
    /// observation is outside (or NaN): unknown is not 0.
    pub fn observe(&mut self, value: f64) -> Option<f64> {
        if !(0.0..=1.0).contains(&value) {
            return None;
        }
        for bet in &mut self.bets {
            let factor = value * bet.on_one + (1.0 - value) * bet.on_zero;
            bet.value = (factor * (bet.value + 1.0)).min(MOST);
            bet.follow_largest(factor, self.observations);
        }
        self.observations += 1;
        Some(self.value())
    }

    /// Takes a window of `trials` observations of which `ones` were 1 and the rest 0, in an order that is not known, and
    /// gives the detector's value after it: the **mean, over all orders, of what one by one would give**. A window of
    /// one is exactly one observation. `None`, and no change, where there are more ones than trials.
    ///
    /// The guarantee stays, in observations, with alarms looked for at the ends of windows only: any set of factors has
    /// a product of mean at most 1 without a change, so the mean over orders has the same bound as each order. It assumes
    /// that the number of trials does not depend on how they turn out. The value does depend on where windows end: of two
    /// windows the first is known to come first.
    ///
    /// The work is that of some hundred single observations, and hardly more for a large window.
    pub fn observe_window(&mut self, ones: u64, trials: u64) -> Option<f64> {
        let zeros = trials.checked_sub(ones)?;
        match trials {
            0 => return Some(self.value()),
            1 => return self.observe(ones as f64),
            _ => {}
        }
        for bet in &mut self.bets {
            let product = (ones as f64 * bet.on_one.ln() + zeros as f64 * bet.on_zero.ln()).exp();
            let before = if bet.value > 0.0 {
                bet.value * product
            } else {
                0.0
            };
            let within = window::starts_within(bet.on_one, bet.on_zero, ones, zeros);
            bet.value = (before + within).min(MOST);
            bet.follow_largest(product, self.observations);
        }
        self.observations += trials;
        Some(self.value())
    }

    /// The e-detector's value: 0 at the start, and while there is no change on average at most the number of
    /// observations since then.
    pub fn value(&self) -> f64 {
        self.bets.iter().map(|bet| bet.weight * bet.value).sum()
    }

    /// What the value is compared with: the average run length asked for.
    pub fn threshold(&self) -> f64 {
        self.average_run_length
    }

    /// Whether the value has come to the threshold.
    pub fn is_alarm(&self) -> bool {
        self.value() >= self.average_run_length
    }

    /// Starts again, as after an alarm: the next run has the same guarantee.
    pub fn reset(&mut self) {
        self.observations = 0;
        self.bets.iter_mut().for_each(Bet::reset);
    }

    /// How many observations were taken since the start or the last reset.
    pub fn observations(&self) -> u64 {
        self.observations
    }

    /// How many observations ago the change most likely began, if there is one: the start with the largest likelihood
    /// ratio, for the alternative that holds most of the value. With windows it is the start of one. `None` before the
    /// first observation.
    ///
    /// It is an estimate without a guarantee: for a small change, off by hundreds of observations.
    ///
    /// Source: D. V. Hinkley, "Inference about the change-point in a sequence of random variables", Biometrika 57 (1970).
    pub fn likely_change(&self) -> Option<u64> {
        let weighted = |bet: &&Bet| bet.weight * bet.value;
        let most = self
            .bets
            .iter()
            .max_by(|a, b| weighted(a).total_cmp(&weighted(b)))?;
        (self.observations > 0).then(|| self.observations - most.largest_start)
    }

    /// The bound on the mean without a change.
    pub fn baseline(&self) -> f64 {
        self.baseline
    }

    /// The change looked for.
    pub fn direction(&self) -> Direction {
        self.direction
    }
}
