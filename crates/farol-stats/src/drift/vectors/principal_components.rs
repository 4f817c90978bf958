//! The main directions of a set of vectors, by subspace iteration.
//!
//! ```text
//! rows − mean ──▶ covariance C ──┐
//! unit vectors ──▶ V ──▶ C·V ──orthonormal──▶ V, until it stands still or the steps are used up
//! ```
//!
//! It always ends, whatever the rank of the rows. Directions whose variances are nearly equal may not be told apart by then;
//! leaving out one or the other gives nearly the same errors. Source: G. Golub, C. Van Loan, "Matrix Computations" (1996),
//! section 7.3.

use crate::drift::rows::Rows;

/// After this many steps directions whose variances differ by a twentieth are apart to 1e-10.
const STEPS: u32 = 500;

/// Orthonormal directions of the largest variance, at most `count`; fewer where the rows have no more. `None` where a
/// square overflows.
pub(super) fn principal_components(
    rows: Rows,
    mean: &[f64],
    count: usize,
) -> Option<Vec<Vec<f64>>> {
    let covariance = covariance(rows, mean);
    let total: f64 = covariance.iter().step_by(rows.width() + 1).sum();
    if !total.is_finite() || covariance.iter().any(|value| !value.is_finite()) {
        return None;
    }
    // The coordinates of the largest variance are a start that already has a part of every main direction.
    let mut order: Vec<usize> = (0..rows.width()).collect();
    order.sort_by(|&a, &b| {
        let variance = |place: usize| covariance[place * rows.width() + place];
        variance(b).total_cmp(&variance(a))
    });
    let mut directions: Vec<Vec<f64>> = order[..count]
        .iter()
        .map(|&place| {
            // A little of all coordinates, so that no direction is missed for being at right angles to the start.
            let mut start: Vec<f64> = (0..rows.width())
                .map(|other| 0.1 * ((1 + place) as f64 * (1 + other) as f64).sin())
                .collect();
            start[place] += 1.0;
            start
        })
        .collect();
    for _ in 0..STEPS {
        let products: Vec<Vec<f64>> = directions
            .iter()
            .map(|direction| {
                let lines = covariance.chunks_exact(rows.width());
                lines.map(|line| product(line, direction)).collect()
            })
            .collect();
        let next = orthonormal(products, 1e-14 * total);
        let still = next.len() == directions.len()
            && next
                .iter()
                .zip(&directions)
                .all(|(a, b)| moved(a, b) <= 1e-26);
        directions = next;
        if still {
            break;
        }
    }
    Some(directions)
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The squared distance of two vectors.
fn moved(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// The covariance of the rows (divided by their count), line after line.
fn covariance(rows: Rows, mean: &[f64]) -> Vec<f64> {
    let width = rows.width();
    let mut sums = vec![0.0; width * width];
    for row in rows.each() {
        let centred: Vec<f64> = row.iter().zip(mean).map(|(x, m)| x - m).collect();
        for (line, x) in sums.chunks_exact_mut(width).zip(&centred) {
            for (sum, y) in line.iter_mut().zip(&centred) {
                *sum += x * y;
            }
        }
    }
    let count = rows.count() as f64;
    sums.iter_mut().for_each(|sum| *sum /= count);
    sums
}

/// The vectors made orthonormal in their order; those with nothing above `least` left are dropped.
fn orthonormal(vectors: Vec<Vec<f64>>, least: f64) -> Vec<Vec<f64>> {
    let mut found: Vec<Vec<f64>> = Vec::with_capacity(vectors.len());
    for mut vector in vectors {
        // Twice, since rounding leaves a part the first time.
        for _ in 0..2 {
            for other in &found {
                let along = product(&vector, other);
                vector
                    .iter_mut()
                    .zip(other)
                    .for_each(|(x, d)| *x -= along * d);
            }
        }
        let length = product(&vector, &vector).sqrt();
        if length > least {
            vector.iter_mut().for_each(|x| *x /= length);
            found.push(vector);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_found_and_those_without_variance_are_not() {
        // All on one line through (1, 2), around (1, 2).
        let values = [0.0, 0.0, 1.0, 2.0, 2.0, 4.0];
        let rows = Rows::new(&values, 2).unwrap();
        let found = principal_components(rows, &rows.mean(), 2).unwrap();
        assert_eq!(found.len(), 1);
        let expected = [1.0 / 5.0_f64.sqrt(), 2.0 / 5.0_f64.sqrt()];
        assert!((product(&found[0], &expected).abs() - 1.0).abs() < 1e-12);
        let constant = Rows::new(&[3.0; 8], 2).unwrap();
        assert_eq!(
            principal_components(constant, &constant.mean(), 2),
            Some(vec![])
        );
        let huge = Rows::new(&[1e300, -1e300], 1).unwrap();
        assert_eq!(principal_components(huge, &huge.mean(), 1), None);
    }
}
