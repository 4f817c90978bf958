//! Errors of reconstruction: how much of a vector the reference's main directions do not explain.
//!
//! ```text
//! reference ─┬─ half ──PCA──────────▶ mean, k directions ─┐
//!            ├─ other half ───────────────────────────────┼──▶ errors ──mean──▶ e₀ ─┐
//! window ────┴────────────────────────────────────────────┴──▶ errors ──mean──▶ e₁ ─┴──▶ e₁ / e₀ − 1 ──bootstrap──▶ p
//! ```
//!
//! The errors of the rows that a PCA was fitted to are too small, so those of the other half are compared. It sees new
//! directions, and not a change within the main ones. Source: I. Jolliffe, "Principal Component Analysis" (2002); for
//! drift S. Rabanser, S. Günnemann, Z. Lipton, "Failing loudly", NeurIPS (2019).

use rand::Rng;
use rand::seq::SliceRandom;

use super::VectorTest;
use super::principal_components::principal_components;
use crate::drift::resampling::{Resampling, generator};
use crate::drift::rows::Rows;

/// The main directions of a set of vectors.
#[derive(Debug, Clone)]
pub struct Reconstruction {
    mean: Vec<f64>,
    directions: Vec<Vec<f64>>,
}

impl Reconstruction {
    /// Fits the mean and as many directions as `components`, or fewer where the rows have no more. `None` where they are
    /// none, more than the width or as many as the rows or more, or a square overflows.
    pub fn fit(rows: Rows, components: usize) -> Option<Self> {
        if components == 0 || components > rows.width() || components >= rows.count() {
            return None;
        }
        let mean = rows.mean();
        let directions = principal_components(rows, &mean, components)?;
        Some(Self { mean, directions })
    }

    /// For each row the squared distance to its reconstruction, divided by the width. `None` where the width is another.
    pub fn errors(&self, rows: Rows) -> Option<Vec<f64>> {
        if rows.width() != self.mean.len() {
            return None;
        }
        Some(rows.each().map(|row| self.error(row)).collect())
    }

    fn error(&self, row: &[f64]) -> f64 {
        let mut rest: Vec<f64> = row.iter().zip(&self.mean).map(|(x, m)| x - m).collect();
        for direction in &self.directions {
            let along: f64 = rest.iter().zip(direction).map(|(x, d)| x * d).sum();
            for (x, d) in rest.iter_mut().zip(direction) {
                *x -= along * d;
            }
        }
        rest.iter().map(|x| x * x).sum::<f64>() / row.len() as f64
    }
}

/// Tests whether a window is reconstructed worse than the reference. The statistic and the effect are the relative increase
/// of the mean error.
///
/// The reference is halved by the seed; the null draws both sizes from the errors of the half that was not fitted. `None`
/// where the widths differ, the components are too many for half of the reference, that half is reconstructed without any
/// error, or there are no rounds. Assumes independent vectors and some tens of rows a half.
pub fn reconstruction_test(
    reference: Rows,
    window: Rows,
    components: usize,
    level: f64,
    resampling: Resampling,
) -> Option<VectorTest> {
    let mut places: Vec<usize> = (0..reference.count()).collect();
    places.shuffle(&mut generator(resampling.seed));
    let (fitted, left_out) = places.split_at(places.len() / 2);
    let rows: Vec<&[f64]> = reference.each().collect();
    let half: Vec<f64> = fitted
        .iter()
        .flat_map(|place| rows[*place])
        .copied()
        .collect();
    let model = Reconstruction::fit(Rows::new(&half, reference.width())?, components)?;
    let after = model.errors(window)?;
    let all = model.errors(reference)?;
    let before: Vec<f64> = left_out.iter().map(|place| all[*place]).collect();
    let statistic = relative_increase(mean(&before), mean(&after))?;
    let null = resampling.draw(|generator| {
        let mut drawn = |count: usize| {
            let sum: f64 = (0..count)
                .map(|_| before[generator.random_range(0..before.len())])
                .sum();
            sum / count as f64
        };
        // A drawn half without error makes any increase infinite, which keeps the level.
        relative_increase(drawn(before.len()), drawn(after.len())).unwrap_or(f64::INFINITY)
    });
    VectorTest::of(statistic, &null, level, |above| above)
}

fn mean(errors: &[f64]) -> f64 {
    errors.iter().sum::<f64>() / errors.len() as f64
}

fn relative_increase(before: f64, after: f64) -> Option<f64> {
    (before > 0.0 && before.is_finite() && after.is_finite()).then(|| after / before - 1.0)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    /// Vectors near to a plane of two directions among six, or near to another one.
    fn vectors(count: usize, first: usize, seed: u64) -> Vec<f64> {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        (0..count)
            .flat_map(|_| {
                let mut row = [0.0; 6];
                for (place, value) in row.iter_mut().enumerate() {
                    let scale = if (first..first + 2).contains(&place) {
                        3.0
                    } else {
                        0.3
                    };
                    *value = scale * generator.sample::<f64, _>(StandardNormal);
                }
                row
            })
            .collect()
    }

    #[test]
    fn a_new_direction_is_seen_and_no_change_rarely() {
        let mut alarms = 0;
        for seed in 0..40 {
            let reference = vectors(160, 0, 3 * seed);
            let reference = Rows::new(&reference, 6).unwrap();
            let test = |window: &[f64]| {
                let resampling = Resampling { rounds: 99, seed };
                let window = Rows::new(window, 6).unwrap();
                reconstruction_test(reference, window, 2, 0.05, resampling).unwrap()
            };
            alarms += u32::from(test(&vectors(60, 0, 3 * seed + 1)).p_value <= 0.05);
            let turned = test(&vectors(60, 1, 3 * seed + 2));
            assert!(turned.p_value <= 0.01 && turned.effect > 1.0);
        }
        // Binomial(40, 0.05) exceeds 7 with a chance of 0.0007.
        assert!(alarms <= 7, "{alarms}");
    }

    #[test]
    fn what_has_no_directions() {
        let values = vectors(10, 0, 1);
        let rows = Rows::new(&values, 6).unwrap();
        assert!(Reconstruction::fit(rows, 0).is_none());
        assert!(Reconstruction::fit(rows, 7).is_none());
        let model = Reconstruction::fit(rows, 2).unwrap();
        assert_eq!(model.errors(Rows::new(&values, 5).unwrap()), None);
        let resampling = Resampling { rounds: 9, seed: 1 };
        assert_eq!(reconstruction_test(rows, rows, 5, 0.05, resampling), None);
    }
}
