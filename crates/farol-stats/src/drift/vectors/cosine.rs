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
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    /// Vectors of five around a centre.
    fn around(centre: [f64; 5], count: usize, seed: u64) -> Vec<f64> {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        (0..count)
            .flat_map(|_| centre.map(|at| at + generator.sample::<f64, _>(StandardNormal)))
            .collect()
    }

    #[test]
    fn the_level_holds_and_a_turned_centre_is_seen() {
        let here = [1.0, 0.5, 0.0, -0.5, 0.2];
        let there = [0.0, 0.5, 1.0, -0.5, 0.2];
        let mut alarms = 0;
        for seed in 0..60 {
            let reference = around(here, 100, 3 * seed);
            let reference = Rows::new(&reference, 5).unwrap();
            let test = |window: &[f64]| {
                let resampling = Resampling { rounds: 199, seed };
                let window = Rows::new(window, 5).unwrap();
                cosine_test(reference, window, 0.05, resampling).unwrap()
            };
            let same = test(&around(here, 40, 3 * seed + 1));
            alarms += u32::from(same.p_value <= 0.05);
            let turned = test(&around(there, 40, 3 * seed + 2));
            assert!(turned.statistic > turned.threshold.unwrap());
            assert!(turned.p_value <= 0.01 && turned.effect >= 0.1);
        }
        // Binomial(60, 0.05) exceeds 9 with a chance of 0.0009.
        assert!(alarms <= 9, "{alarms}");
    }

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
