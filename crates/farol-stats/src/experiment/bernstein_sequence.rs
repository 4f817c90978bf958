//! A confidence sequence for the mean of values in 0 to 1, exact at every sample size: empirical Bernstein.
//!
//! ```text
//! value ──▶ bet λ from the variance of the values before ──▶ Σλx / Σλ ± (ln(2/α) + Σ v ψ(λ)) / Σλ
//!                                                              └──▶ intersection of all intervals so far
//! ```
//!
//! Source: I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", Journal of the Royal
//! Statistical Society B 86 (2024), theorem 2 (predictable plug-in empirical Bernstein).

use serde::{Deserialize, Serialize};

use super::{Interval, is_error_level};

/// Bets stay below this part of the greatest one.
const GREATEST_BET: f64 = 0.5;

/// The state of the sequence: plain numbers, one observation after another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BernsteinSequence {
    alpha: f64,
    count: u64,
    sum: f64,
    squares: f64,
    bets: f64,
    bet_values: f64,
    penalty: f64,
    so_far: Interval,
}

impl BernsteinSequence {
    /// A sequence that the mean ever leaves with a chance of at most `alpha`, strictly between 0 and 1; `None` otherwise.
    pub fn new(alpha: f64) -> Option<Self> {
        is_error_level(alpha).then_some(Self {
            alpha,
            count: 0,
            sum: 0.0,
            squares: 0.0,
            bets: 0.0,
            bet_values: 0.0,
            penalty: 0.0,
            so_far: Interval {
                lower: 0.0,
                upper: 1.0,
            },
        })
    }

    /// Takes the next value and gives the interval after it. `None`, and no change, where it is outside 0 to 1 or NaN.
    ///
    /// Assumes that each value has the same mean given those before; nothing else of the distribution.
    pub fn observe(&mut self, value: f64) -> Option<Interval> {
        if !(0.0..=1.0).contains(&value) {
            return None;
        }
        // Means and variances start from a made-up value of ½ with variance ¼, so that the first bets are careful.
        let before = self.count as f64 + 1.0;
        let mean_before = (0.5 + self.sum) / before;
        let variance_before = (0.25 + self.squares) / before;
        let count = before;
        let bet = (2.0 * (2.0 / self.alpha).ln() / (variance_before * count * count.ln_1p()))
            .sqrt()
            .min(GREATEST_BET);
        self.bets += bet;
        self.bet_values += bet * value;
        // v ψ(λ) with v = 4 (x − mean)² and ψ(λ) = (−ln(1 − λ) − λ) / 4.
        self.penalty += (value - mean_before).powi(2) * (-(-bet).ln_1p() - bet);
        self.count += 1;
        self.sum += value;
        let mean = (0.5 + self.sum) / (self.count as f64 + 1.0);
        self.squares += (value - mean).powi(2);
        let middle = self.bet_values / self.bets;
        let radius = ((2.0 / self.alpha).ln() + self.penalty) / self.bets;
        self.so_far.lower = self.so_far.lower.max(middle - radius);
        self.so_far.upper = self.so_far.upper.min(middle + radius);
        Some(self.so_far)
    }

    /// The intersection of all intervals so far; 0 to 1 at the start. Where the mean does not stay the same it can become
    /// empty (`lower` above `upper`), which rejects that it does.
    pub fn interval(&self) -> Interval {
        self.so_far
    }

    /// How many values were taken.
    pub fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::BernsteinSequence;

    #[test]
    fn values_out_of_range_change_nothing() {
        assert_eq!(BernsteinSequence::new(1.0), None);
        let mut sequence = BernsteinSequence::new(0.05).unwrap();
        sequence.observe(0.3).unwrap();
        let before = sequence.clone();
        assert_eq!(sequence.observe(1.1), None);
        assert_eq!(sequence.observe(f64::NAN), None);
        assert_eq!(sequence, before);
    }

    #[test]
    fn little_variance_makes_it_narrow() {
        let mut steady = BernsteinSequence::new(0.05).unwrap();
        let mut wild = BernsteinSequence::new(0.05).unwrap();
        for place in 0..2000 {
            let even = place % 2 == 0;
            steady.observe(if even { 0.49 } else { 0.51 }).unwrap();
            wild.observe(if even { 0.0 } else { 1.0 }).unwrap();
        }
        assert!(steady.interval().contains(0.5) && wild.interval().contains(0.5));
        assert!(steady.interval().width() * 3.0 < wild.interval().width());
    }
}
