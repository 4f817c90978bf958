//! Isotonic calibration: the non-decreasing function of the score that fits the labels best.
//!
//! ```text
//! scores, labels ──sort, average equal scores──▶ pool adjacent violators ──▶ steps ──linear between──▶ probability
//! ```
//!
//! Sources: M. Ayer et al., "An empirical distribution function for sampling with incomplete information", Annals of
//! Mathematical Statistics 26 (1955), for pooling; B. Zadrozny, C. Elkan, "Transforming classifier scores into accurate
//! multiclass probability estimates" (2002), for calibration. Equal to scikit-learn's `IsotonicRegression` with
//! `out_of_bounds="clip"`.

use serde::{Deserialize, Serialize};

/// A fitted calibration: probabilities at the scores that were seen, and straight lines between.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IsotonicCalibration {
    scores: Vec<f64>,
    probabilities: Vec<f64>,
}

/// Neighbouring scores that share one fitted value.
struct Pool {
    sum: f64,
    weight: f64,
    scores: usize,
}

impl IsotonicCalibration {
    /// Fits to scores (any scale, higher for more likely) with their labels. `None` where there are none, the lengths
    /// differ, or a score is not finite.
    pub fn fit(scores: &[f64], labels: &[bool]) -> Option<Self> {
        if scores.is_empty() || scores.len() != labels.len() {
            return None;
        }
        if !scores.iter().all(|score| score.is_finite()) {
            return None;
        }
        let mut rows: Vec<_> = scores.iter().copied().zip(labels.iter().copied()).collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut unique: Vec<f64> = Vec::new();
        let mut pools: Vec<Pool> = Vec::new();
        // In ascending order, at least is equal.
        for group in rows.chunk_by(|a, b| a.0 >= b.0) {
            unique.push(group[0].0);
            pools.push(Pool {
                sum: group.iter().filter(|row| row.1).count() as f64,
                weight: group.len() as f64,
                scores: 1,
            });
        }
        let mut probabilities = Vec::with_capacity(unique.len());
        for pool in pool_adjacent_violators(pools) {
            let value = pool.sum / pool.weight;
            probabilities.resize(probabilities.len() + pool.scores, value);
        }
        Some(Self {
            scores: unique,
            probabilities,
        })
    }

    /// The probability of the positive class at a score; the nearest end's outside the scores seen. `None` for NaN.
    pub fn probability(&self, score: f64) -> Option<f64> {
        if score.is_nan() {
            return None;
        }
        let after = self.scores.partition_point(|seen| *seen < score);
        if after == 0 {
            return self.probabilities.first().copied();
        }
        let (Some(right), Some(above)) = (self.scores.get(after), self.probabilities.get(after))
        else {
            return self.probabilities.last().copied();
        };
        if score >= *right {
            return Some(*above);
        }
        let (left, below) = (self.scores[after - 1], self.probabilities[after - 1]);
        // Rounding must not carry it past the step that follows, or the function would fall there.
        Some((below + (above - below) * ((score - left) / (right - left))).min(*above))
    }
}

/// Merges neighbours until values do not fall.
fn pool_adjacent_violators(pools: Vec<Pool>) -> Vec<Pool> {
    let mut merged: Vec<Pool> = Vec::with_capacity(pools.len());
    for mut pool in pools {
        while let Some(last) =
            merged.pop_if(|last| last.sum * pool.weight >= pool.sum * last.weight)
        {
            pool.sum += last.sum;
            pool.weight += last.weight;
            pool.scores += last.scores;
        }
        merged.push(pool);
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::IsotonicCalibration;

    #[test]
    fn nothing_to_fit_is_not_known() {
        assert_eq!(IsotonicCalibration::fit(&[], &[]), None);
        assert_eq!(IsotonicCalibration::fit(&[0.1], &[]), None);
        assert_eq!(IsotonicCalibration::fit(&[f64::NAN], &[true]), None);
        let fitted = IsotonicCalibration::fit(&[0.4], &[true]).unwrap();
        assert_eq!(fitted.probability(f64::NAN), None);
        assert_eq!(fitted.probability(-3.0), Some(1.0));
    }

    #[test]
    fn rounding_does_not_make_it_fall() {
        // 1/9 + (2/3 - 1/9) is more than 2/3 in binary.
        let steps = IsotonicCalibration {
            scores: vec![0.0, 1.0, 2.0],
            probabilities: vec![1.0 / 9.0, 2.0 / 3.0, 2.0 / 3.0],
        };
        assert_eq!(steps.probability(1.0), Some(2.0 / 3.0));
        assert_eq!(steps.probability(1.5), Some(2.0 / 3.0));
    }

    proptest! {
        #[test]
        fn fits_rise_and_keep_the_mean(
            rows in prop::collection::vec((0..30_u32, any::<bool>()), 1..80),
        ) {
            let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.0)).collect();
            let labels: Vec<bool> = rows.iter().map(|row| row.1).collect();
            let fitted = IsotonicCalibration::fit(&scores, &labels).unwrap();
            let values: Vec<f64> = scores.iter().map(|s| fitted.probability(*s).unwrap()).collect();
            let positives = labels.iter().filter(|label| **label).count() as f64;
            prop_assert!((values.iter().sum::<f64>() - positives).abs() < 1e-9);
            for step in 0..59 {
                let at = f64::from(step) / 2.0;
                prop_assert!(fitted.probability(at) <= fitted.probability(at + 0.5));
            }
        }
    }
}
