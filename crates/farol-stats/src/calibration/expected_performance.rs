//! Confidence-based performance estimation: what a classifier's calibrated probabilities lead to expect of it.
//!
//! ```text
//! probability p, predicted positive ──▶ true positive += p,       false positive += 1 − p
//! probability p, predicted negative ──▶ false negative += p,      true negative += 1 − p
//!                                             └──▶ accuracy, precision, recall, F1
//! ```
//!
//! It sees a change of what is asked (the mix of inputs), since that moves probabilities. It does **not** see a change of
//! what is right (the labels given the input): then the calibration itself is out of date, and new labels are needed.
//!
//! Source: the CBPE method of NannyML (documentation, "How it works: estimating performance", 2022) after D. Guillory et
//! al., "Predicting with confidence on unseen distributions" (ICCV 2021). Precision, recall and F1 are ratios of
//! expected counts, which differ from expected ratios by the order of 1/n.

/// An expected confusion matrix, in rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExpectedConfusion {
    /// Predicted positive, and expected to be.
    pub true_positives: f64,
    /// Predicted positive, and expected not to be.
    pub false_positives: f64,
    /// Predicted negative, and expected to be.
    pub true_negatives: f64,
    /// Predicted negative, and expected not to be.
    pub false_negatives: f64,
    /// Σ p(1 − p): how much the number of right predictions varies when the probabilities are right.
    variance: f64,
}

impl ExpectedConfusion {
    /// From calibrated probabilities of the positive class and what was predicted. `None` where there are none, the
    /// lengths differ, or a probability is outside 0 to 1 or NaN.
    ///
    /// Assumes that the probabilities are calibrated on rows like these.
    pub fn of(probabilities: &[f64], predicted: &[bool]) -> Option<Self> {
        if probabilities.is_empty() || probabilities.len() != predicted.len() {
            return None;
        }
        let mut found = Self {
            true_positives: 0.0,
            false_positives: 0.0,
            true_negatives: 0.0,
            false_negatives: 0.0,
            variance: 0.0,
        };
        for (probability, positive) in probabilities.iter().zip(predicted) {
            if !(0.0..=1.0).contains(probability) {
                return None;
            }
            if *positive {
                found.true_positives += probability;
                found.false_positives += 1.0 - probability;
            } else {
                found.false_negatives += probability;
                found.true_negatives += 1.0 - probability;
            }
            found.variance += probability * (1.0 - probability);
        }
        Some(found)
    }

    fn rows(&self) -> f64 {
        self.true_positives + self.false_positives + self.true_negatives + self.false_negatives
    }

    /// The expected share of right predictions.
    pub fn accuracy(&self) -> f64 {
        (self.true_positives + self.true_negatives) / self.rows()
    }

    /// The standard deviation of the share of right predictions around [`accuracy`](Self::accuracy), from the labels'
    /// chance alone.
    pub fn accuracy_deviation(&self) -> f64 {
        self.variance.sqrt() / self.rows()
    }

    /// The expected share of right ones among positive predictions; `None` where there are no such predictions.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.true_positives, self.false_positives)
    }

    /// The expected share of positives that are predicted; `None` where no positives are expected.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.true_positives, self.false_negatives)
    }

    /// The harmonic mean of precision and recall; `None` where there are neither positives nor predictions of them.
    pub fn f1(&self) -> Option<f64> {
        let wrong = self.false_positives + self.false_negatives;
        ratio(2.0 * self.true_positives, wrong)
    }
}

fn ratio(part: f64, rest: f64) -> Option<f64> {
    (part + rest > 0.0).then(|| part / (part + rest))
}

/// The expected area under the receiver operating characteristic: each row counts as a positive with weight p and as a
/// negative with weight 1 − p, and a positive above a negative counts 1, at the same score ½. `scores` may be on any
/// scale. `None` where there are none, the lengths differ, a score is NaN, a probability is out of range, or one class is
/// not expected at all.
pub fn expected_area_under_curve(scores: &[f64], probabilities: &[f64]) -> Option<f64> {
    if scores.len() != probabilities.len() {
        return None;
    }
    let mut rows: Vec<(f64, f64)> = Vec::with_capacity(scores.len());
    for (score, probability) in scores.iter().zip(probabilities) {
        if score.is_nan() || !(0.0..=1.0).contains(probability) {
            return None;
        }
        rows.push((*score, *probability));
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut positives, mut negatives, mut in_order) = (0.0, 0.0, 0.0);
    // In ascending order, at least is equal.
    for group in rows.chunk_by(|a, b| a.0 >= b.0) {
        let here: f64 = group.iter().map(|row| row.1).sum();
        let not_here = group.iter().map(|row| 1.0 - row.1).sum::<f64>();
        in_order += here * (negatives + not_here / 2.0);
        positives += here;
        negatives += not_here;
    }
    let pairs = positives * negatives;
    (pairs > 0.0).then(|| in_order / pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certain_probabilities_are_counts() {
        let found = ExpectedConfusion::of(&[1.0, 1.0, 0.0, 0.0], &[true, false, true, false]);
        let found = found.unwrap();
        assert!((found.accuracy() - 0.5).abs() < 1e-15);
        assert!(found.accuracy_deviation().abs() < 1e-15);
        assert_eq!(found.precision(), Some(0.5));
        assert_eq!(found.recall(), Some(0.5));
        assert_eq!(found.f1(), Some(0.5));
        assert_eq!(
            expected_area_under_curve(&[2.0, 1.0], &[1.0, 0.0]),
            Some(1.0)
        );
    }

    #[test]
    fn what_is_not_there_is_not_known() {
        assert_eq!(ExpectedConfusion::of(&[], &[]), None);
        assert_eq!(ExpectedConfusion::of(&[f64::NAN], &[true]), None);
        assert_eq!(ExpectedConfusion::of(&[1.5], &[true]), None);
        let none = ExpectedConfusion::of(&[0.0], &[false]).unwrap();
        assert_eq!(
            (none.precision(), none.recall(), none.f1()),
            (None, None, None)
        );
        assert_eq!(expected_area_under_curve(&[0.1, 0.2], &[1.0, 1.0]), None);
        assert_eq!(expected_area_under_curve(&[], &[]), None);
    }
}
