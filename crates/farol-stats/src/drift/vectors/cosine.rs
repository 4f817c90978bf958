//! The cosine distance of the means of two sets of vectors.
//!
//! ```text
//! reference ──mean──▶ a ─┐
//! window ────mean──▶ b ──┴──▶ 1 − a·b / (‖a‖ ‖b‖)
//! ```
//!
//! It sees a centre that moved, at once and cheaply, and nothing else: two sets may differ in everything but their mean.

use super::VectorTest;
use super::means::null_of_means;
use crate::drift::resampling::Resampling;
use crate::drift::rows::Rows;

/// The distance, 0 (one direction) to 2 (opposite). `None` where the widths differ or a mean is zero and so has no direction.
pub fn cosine_distance_of_means(reference: Rows, window: Rows) -> Option<f64> {
    if reference.width() != window.width() {
        return None;
    }
    cosine_distance(&reference.mean(), &window.mean())
}

fn cosine_distance(a: &[f64], b: &[f64]) -> Option<f64> {
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let norms = (product(a, a) * product(b, b)).sqrt();
    (norms > 0.0).then(|| (1.0 - product(a, b) / norms).clamp(0.0, 2.0))
}

/// Tests the distance against windows of the same size out of the reference. The effect is in the distance's own unit.
///
/// `None` where there is no distance or no rounds. Assumes independent vectors. Takes rounds · (n + m) · width steps.
pub fn cosine_test(
    reference: Rows,
    window: Rows,
    level: f64,
    resampling: Resampling,
) -> Option<VectorTest> {
    let statistic = cosine_distance_of_means(reference, window)?;
    // A drawn mean without direction counts as farthest, which keeps the level.
    let null = null_of_means(reference, window.count(), resampling, |a, b| {
        cosine_distance(a, b).unwrap_or(2.0)
    });
    VectorTest::of(statistic, &null, level, |above| above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions() {
        let right = Rows::new(&[1.0, 0.0, 3.0, 0.0], 2).unwrap();
        let up = Rows::new(&[0.0, 2.0], 2).unwrap();
        let left = Rows::new(&[-1.0, 0.0], 2).unwrap();
        let nowhere = Rows::new(&[1.0, 0.0, -1.0, 0.0], 2).unwrap();
        assert_eq!(cosine_distance_of_means(right, right), Some(0.0));
        assert_eq!(cosine_distance_of_means(right, up), Some(1.0));
        assert_eq!(cosine_distance_of_means(right, left), Some(2.0));
        assert_eq!(cosine_distance_of_means(right, nowhere), None);
        let wider = Rows::new(&[1.0, 2.0, 3.0], 3).unwrap();
        assert_eq!(cosine_distance_of_means(right, wider), None);
    }
}
