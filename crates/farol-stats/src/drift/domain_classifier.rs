//! Drift of many columns at once: can a classifier tell the window's rows from the reference's?
//!
//! ```text
//! reference rows ─┐                  ┌ fit on all folds but one ┐
//!                 ├ pooled, scaled ──┤ score the one left out   ├──▶ mean AUC of the folds ─┐
//! window rows ────┘                  └ each fold in turn        ┘                           ├──▶ p, effect
//!       sides dealt anew, the same again ×R ─────────────────────▶ mean AUC of each ────────┘
//! ```
//!
//! It sees changes of how columns lie together that no column alone shows, as far as a linear rule can: a changed mean in
//! any direction. Give products or squares as columns to see more, and categories as columns of 0 and 1.
//!
//! Source: D. Lopez-Paz, M. Oquab, "Revisiting classifier two-sample tests", ICLR (2017); S. Rabanser, S. Günnemann, Z.
//! Lipton, "Failing loudly", NeurIPS (2019). The null is by permutation, not the binomial of the papers, because folds
//! share their training rows.

use ndarray::{Array2, Axis};
use rand::Rng;
use rand::seq::SliceRandom;

use super::area_under_curve::area_under_curve;
use super::logistic::Logistic;
use super::resampling::{Resampling, generator};
use super::rows::Rows;

/// The ridge penalty on coefficients of columns scaled to a deviation of 1.
const PENALTY: f64 = 1.0;

/// How well the window is told from the reference, beside chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DomainClassifier {
    /// The mean out-of-fold area under the curve: ½ where nothing tells them apart, 1 where everything does.
    pub area_under_curve: f64,
    /// The mean area under no change.
    pub expected: f64,
    /// 2 · (area − expected), at least 0 and at most about 1.
    pub effect: f64,
    /// P(an area at least as large) under no change.
    pub p_value: f64,
}

/// Tests rows of one width for drift, in `folds` folds of both sides.
///
/// `None` where the widths differ, there are fewer than two folds, a side has fewer than two rows a fold, there are no
/// rounds or the fit fails. The p-value is exact for independent rows. Takes rounds · folds fits, each some tens of
/// passes over the rows: 200 rounds of 5 folds over 1,600 rows of 10 columns take a few seconds.
pub fn domain_classifier(
    reference: Rows,
    window: Rows,
    folds: usize,
    resampling: Resampling,
) -> Option<DomainClassifier> {
    let fewer = reference.count().min(window.count());
    if reference.width() != window.width() || folds < 2 || fewer / 2 < folds {
        return None;
    }
    let matrix = scaled(reference, window);
    // Values near to a double's largest overflow.
    if matrix.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mut labels = vec![false; reference.count()];
    labels.resize(matrix.nrows(), true);
    // The observed folds come from a seed of their own, so that they are not those of the first draw.
    let mut apart = generator(resampling.seed ^ 0x9E37_79B9_7F4A_7C15);
    let area = out_of_fold_area(&matrix, &labels, folds, &mut apart)?;
    let null = resampling.draw(|generator| {
        labels.shuffle(generator);
        // A fit that fails must not make the observed look rare.
        out_of_fold_area(&matrix, &labels, folds, generator).unwrap_or(f64::INFINITY)
    });
    let expected = null.mean()?;
    Some(DomainClassifier {
        area_under_curve: area,
        expected,
        effect: 2.0 * (area - expected).max(0.0),
        p_value: null.p_value(area),
    })
}

/// Both sides' rows, each column with mean 0 and deviation 1 over both (a constant one is 0). It does not look at the sides,
/// so nothing leaks from them.
fn scaled(reference: Rows, window: Rows) -> Array2<f64> {
    let values: Vec<f64> = reference
        .each()
        .chain(window.each())
        .flatten()
        .copied()
        .collect();
    let width = reference.width();
    let rows = values.len() / width;
    let mut matrix =
        Array2::from_shape_fn((rows, width), |(row, column)| values[row * width + column]);
    for mut column in matrix.columns_mut() {
        let mean = column.sum() / rows as f64;
        column -= mean;
        let deviation = (column.dot(&column) / rows as f64).sqrt();
        let factor = if deviation > 1e-12 * mean.abs() {
            1.0 / deviation
        } else {
            0.0
        };
        column *= factor;
    }
    matrix
}

/// The mean over folds of the area under the curve of rows that the fit has not seen. Both sides are in every fold in
/// proportion.
fn out_of_fold_area(
    matrix: &Array2<f64>,
    labels: &[bool],
    folds: usize,
    generator: &mut impl Rng,
) -> Option<f64> {
    let mut fold_of = vec![0; labels.len()];
    for side in [false, true] {
        let mut places: Vec<usize> = (0..labels.len())
            .filter(|row| labels[*row] == side)
            .collect();
        places.shuffle(generator);
        for (place, row) in places.into_iter().enumerate() {
            fold_of[row] = place % folds;
        }
    }
    let mut sum = 0.0;
    for fold in 0..folds {
        let (left_out, seen): (Vec<usize>, Vec<usize>) =
            (0..labels.len()).partition(|row| fold_of[*row] == fold);
        let seen_labels: Vec<bool> = seen.iter().map(|row| labels[*row]).collect();
        let model = Logistic::fit_matrix(&matrix.select(Axis(0), &seen), &seen_labels, PENALTY)?;
        let (mut positive, mut negative) = (Vec::new(), Vec::new());
        for row in left_out {
            let score = model.log_odds(matrix.row(row).as_slice()?);
            if labels[row] {
                &mut positive
            } else {
                &mut negative
            }
            .push(score);
        }
        sum += area_under_curve(&positive, &negative)?;
    }
    Some(sum / folds as f64)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    /// Rows of three columns, the first two of which lie together by `correlation`; the product is a fourth.
    fn rows(count: usize, correlation: f64, seed: u64) -> Vec<f64> {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || generator.sample::<f64, _>(StandardNormal);
        (0..count)
            .flat_map(|_| {
                let (a, b, c) = (normal(), normal(), normal());
                let together = correlation * a + (1.0 - correlation * correlation).sqrt() * b;
                [a, together, c, a * together]
            })
            .collect()
    }

    #[test]
    fn a_change_of_correlation_is_told_and_no_change_is_not() {
        let resampling = Resampling {
            rounds: 59,
            seed: 5,
        };
        let reference = rows(150, 0.0, 1);
        let reference = Rows::new(&reference, 4).unwrap();
        let same = rows(120, 0.0, 2);
        let same =
            domain_classifier(reference, Rows::new(&same, 4).unwrap(), 4, resampling).unwrap();
        assert!(same.p_value > 0.05, "{same:?}");
        let moved = rows(120, 0.9, 3);
        let moved =
            domain_classifier(reference, Rows::new(&moved, 4).unwrap(), 4, resampling).unwrap();
        assert!(moved.p_value < 0.02 && moved.effect > 0.1, "{moved:?}");
        assert!((moved.expected - 0.5).abs() < 0.05);
    }

    #[test]
    fn the_level_holds() {
        let mut alarms = 0;
        for seed in 0..60 {
            let (reference, window) = (rows(24, 0.0, 2 * seed), rows(16, 0.0, 2 * seed + 1));
            let found = domain_classifier(
                Rows::new(&reference, 4).unwrap(),
                Rows::new(&window, 4).unwrap(),
                2,
                Resampling { rounds: 19, seed },
            );
            alarms += u32::from(found.unwrap().p_value <= 0.1);
        }
        // Binomial(60, 0.1) exceeds 14 with a chance of 0.0006.
        assert!(alarms <= 14, "{alarms}");
    }

    #[test]
    fn what_cannot_be_told_has_no_answer() {
        let resampling = Resampling { rounds: 9, seed: 5 };
        let values = rows(6, 0.0, 1);
        let (four, two) = (
            Rows::new(&values, 4).unwrap(),
            Rows::new(&values, 2).unwrap(),
        );
        assert_eq!(domain_classifier(four, two, 2, resampling), None);
        assert_eq!(domain_classifier(four, four, 1, resampling), None);
        assert_eq!(domain_classifier(four, four, 4, resampling), None);
        let constant = Rows::new(&[1.0; 40], 1).unwrap();
        let found = domain_classifier(constant, constant, 2, resampling).unwrap();
        assert!((found.p_value - 1.0).abs() < 1e-12 && found.effect.abs() < 1e-12);
    }
}
