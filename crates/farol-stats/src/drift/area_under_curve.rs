//! How well scores tell two groups apart: the area under the receiver operating characteristic.
//!
//! ```text
//! scores of both, sorted ──ranks, ties share theirs──▶ rank sum of the positive ──▶ P(positive > negative) + ½ P(equal)
//! ```
//!
//! Source: J. Hanley, B. McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve",
//! Radiology 143 (1982); the rank sum is that of H. Mann, D. Whitney (1947).

/// The area, 0 to 1: ½ is no better than chance. `None` where a group is empty or a score is not finite. Equals
/// scikit-learn's `roc_auc_score`.
pub fn area_under_curve(positive: &[f64], negative: &[f64]) -> Option<f64> {
    let finite = |scores: &[f64]| scores.iter().all(|score| score.is_finite());
    if positive.is_empty() || negative.is_empty() || !finite(positive) || !finite(negative) {
        return None;
    }
    // Adding zero makes the two zeros one.
    let mut scores: Vec<(f64, bool)> = positive
        .iter()
        .map(|score| (score + 0.0, true))
        .chain(negative.iter().map(|score| (score + 0.0, false)))
        .collect();
    scores.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut wins, mut below) = (0.0, 0.0);
    for tied in scores.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let of_positive = tied.iter().filter(|score| score.1).count() as f64;
        let of_negative = tied.len() as f64 - of_positive;
        wins += of_positive * (below + of_negative / 2.0);
        below += of_negative;
    }
    Some(wins / (positive.len() as f64 * negative.len() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apart_equal_and_mixed() {
        assert_eq!(area_under_curve(&[2.0, 3.0], &[0.0, 1.0]), Some(1.0));
        assert_eq!(area_under_curve(&[0.0], &[1.0]), Some(0.0));
        assert_eq!(area_under_curve(&[0.0, 1.0], &[-0.0, 1.0]), Some(0.5));
        assert_eq!(area_under_curve(&[], &[1.0]), None);
        assert_eq!(area_under_curve(&[f64::NAN], &[1.0]), None);
    }
}
