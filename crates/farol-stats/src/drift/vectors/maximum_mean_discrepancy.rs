//! Maximum mean discrepancy: the distance of two distributions as a Gaussian kernel sees them.
//!
//! ```text
//! reference ──median distance──▶ bandwidth ──▶ random features ─┐
//! reference, window ────────────────────────────────────────────┴──▶ mean features ──‖a − b‖²──▶ MMD² ──bootstrap──▶ p
//! small sets ──every pair's kernel──▶ MMD² exactly
//! ```
//!
//! Source: A. Gretton et al., "A kernel two-sample test", J. Mach. Learn. Res. 13 (2012). The kernel is
//! exp(−‖x − y‖² / 2σ²); with enough vectors any difference of the distributions shows, soonest one at the scale of σ.

use rand::Rng;

use super::VectorTest;
use super::means::null_of_means;
use super::random_features::RandomFeatures;
use crate::drift::resampling::{Resampling, generator};
use crate::drift::rows::Rows;

/// The median distance of pairs of vectors, for a bandwidth: of all pairs where there are at most `pairs`, else of as many
/// drawn with the seed. `None` where there is no pair or the median is 0.
///
/// Source: the heuristic of Gretton et al. (2012), section 8.
pub fn median_distance(rows: Rows, pairs: usize, seed: u64) -> Option<f64> {
    let vectors: Vec<&[f64]> = rows.each().collect();
    let count = vectors.len();
    let all = count.checked_mul(count - 1)? / 2;
    let between = |a: usize, b: usize| square_distance(vectors[a], vectors[b]).sqrt();
    let mut distances: Vec<f64> = if all <= pairs {
        (0..count)
            .flat_map(|a| (a + 1..count).map(move |b| (a, b)))
            .map(|(a, b)| between(a, b))
            .collect()
    } else {
        let mut generator = generator(seed);
        (0..pairs)
            .map(|_| {
                let a = generator.random_range(0..count);
                // One of the others.
                let b = (a + generator.random_range(1..count)) % count;
                between(a, b)
            })
            .collect()
    };
    distances.sort_unstable_by(f64::total_cmp);
    let middle = distances.len() / 2;
    let upper = *distances.get(middle)?;
    let median = if distances.len().is_multiple_of(2) {
        f64::midpoint(distances[middle - 1], upper)
    } else {
        upper
    };
    (median > 0.0).then_some(median)
}

fn square_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// MMD² from every pair (the biased estimate, at least 0). `None` where the widths differ or the bandwidth is not above 0.
/// Takes (n + m)² / 2 kernels, so it is for small sets.
pub fn maximum_mean_discrepancy(reference: Rows, window: Rows, bandwidth: f64) -> Option<f64> {
    if reference.width() != window.width() || !bandwidth.is_finite() || bandwidth <= 0.0 {
        return None;
    }
    let mean_kernel = |left: Rows, right: Rows| {
        let sum: f64 = left
            .each()
            .flat_map(|a| right.each().map(move |b| square_distance(a, b)))
            .map(|square| (-square / (2.0 * bandwidth * bandwidth)).exp())
            .sum();
        sum / (left.count() as f64 * right.count() as f64)
    };
    let within = mean_kernel(reference, reference) + mean_kernel(window, window);
    Some((within - 2.0 * mean_kernel(reference, window)).max(0.0))
}

/// MMD² by random features: the squared distance of the mean features, at least 0. `None` where a width is not that of
/// the features. Takes (n + m) · features steps.
pub fn random_feature_discrepancy(
    reference: Rows,
    window: Rows,
    features: &RandomFeatures,
) -> Option<f64> {
    let (before, after) = (features.of(reference)?, features.of(window)?);
    let mean = |values: &[f64]| Some(Rows::new(values, features.features())?.mean());
    Some(square_distance(&mean(&before)?, &mean(&after)?))
}

/// Tests MMD² by random features against windows of the same size out of the reference.
///
/// The effect is √(MMD² − expected), so that it grows as a shift does: about 0.4 where normal values of one
/// dimension shift by their standard deviation. `None` where a width is not that of the features or there are no rounds. Assumes independent vectors. Takes
/// rounds · (n + m) · features steps.
pub fn discrepancy_test(
    reference: Rows,
    window: Rows,
    features: &RandomFeatures,
    level: f64,
    resampling: Resampling,
) -> Option<VectorTest> {
    let statistic = random_feature_discrepancy(reference, window, features)?;
    let mapped = features.of(reference)?;
    let mapped = Rows::new(&mapped, features.features())?;
    let null = null_of_means(mapped, window.count(), resampling, square_distance);
    VectorTest::of(statistic, &null, level, f64::sqrt)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    fn normals(count: usize, scale: f64, seed: u64) -> Vec<f64> {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        (0..count * 3)
            .map(|_| scale * generator.sample::<f64, _>(StandardNormal))
            .collect()
    }

    #[test]
    fn features_come_near_to_every_pair() {
        let (reference, window) = (normals(80, 1.0, 1), normals(60, 1.8, 2));
        let [reference, window] = [&reference, &window].map(|rows| Rows::new(rows, 3).unwrap());
        let bandwidth = median_distance(reference, 10_000, 0).unwrap();
        let exact = maximum_mean_discrepancy(reference, window, bandwidth).unwrap();
        let features = RandomFeatures::new(3, 2_048, bandwidth, 3).unwrap();
        let near = random_feature_discrepancy(reference, window, &features).unwrap();
        assert!((near - exact).abs() < 0.1 * exact, "{near} {exact}");
    }

    #[test]
    fn some_pairs_have_nearly_the_median_of_all() {
        let rows = normals(200, 1.0, 4);
        let rows = Rows::new(&rows, 3).unwrap();
        let all = median_distance(rows, usize::MAX, 0).unwrap();
        let some = median_distance(rows, 4_000, 0).unwrap();
        assert!((some / all - 1.0).abs() < 0.05);
        assert_eq!(median_distance(Rows::new(&[1.0], 1).unwrap(), 9, 0), None);
        assert_eq!(
            median_distance(Rows::new(&[1.0; 3], 1).unwrap(), 9, 0),
            None
        );
    }

    #[test]
    fn the_level_holds_and_a_wider_spread_is_seen() {
        let (mut alarms, mut seen) = (0, 0);
        for seed in 0..40 {
            let reference = normals(120, 1.0, 3 * seed);
            let reference = Rows::new(&reference, 3).unwrap();
            let features = RandomFeatures::new(3, 64, 2.2, seed).unwrap();
            let test = |window: &[f64]| {
                let resampling = Resampling { rounds: 99, seed };
                let window = Rows::new(window, 3).unwrap();
                discrepancy_test(reference, window, &features, 0.05, resampling).unwrap()
            };
            let same = test(&normals(50, 1.0, 3 * seed + 1));
            alarms += u32::from(same.p_value <= 0.05);
            assert_eq!(
                same.p_value <= 0.05,
                same.threshold.is_some_and(|at| same.statistic > at)
            );
            let wider = test(&normals(50, 2.0, 3 * seed + 2));
            seen += u32::from(wider.p_value <= 0.05 && wider.effect >= 0.1);
        }
        // Binomial(40, 0.05) exceeds 7 with a chance of 0.0007.
        assert!(alarms <= 7 && seen >= 38, "{alarms} {seen}");
    }
}
