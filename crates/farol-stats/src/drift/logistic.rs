//! Logistic regression with a ridge penalty, by Newton's method.
//!
//! ```text
//! matrix, which side each row is of ──Newton, halved steps──▶ coefficients, intercept ──▶ log-odds of a row
//! ```
//!
//! Minimises Σ log-loss + ½ · penalty · ‖coefficients‖²; the intercept is free. The penalty keeps it finite where the sides
//! can be told apart entirely. Source: D. Cox, J. R. Stat. Soc. B 20 (1958); S. le Cessie, J. van Houwelingen, "Ridge
//! estimators in logistic regression", Appl. Stat. 41 (1992).

use ndarray::Array2;

use super::rows::Rows;

/// Newton's method doubles the right digits with each step; some ten are usual.
const STEPS: u32 = 50;

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub struct Logistic {
    /// One for each column.
    pub coefficients: Vec<f64>,
    /// The log-odds of a row of zeros.
    pub intercept: f64,
}

impl Logistic {
    /// Fits the log-odds that a row is `true`. `None` where both sides are not there, the lengths differ, the penalty is
    /// not above 0, or a figure overflows. Equals scikit-learn's `LogisticRegression(C=1 / penalty)`.
    pub fn fit(rows: Rows, labels: &[bool], penalty: f64) -> Option<Self> {
        let all: Vec<usize> = (0..rows.count()).collect();
        Self::fit_matrix(&rows.matrix_of(&all), labels, penalty)
    }

    /// The same of a matrix with a row for each label.
    pub(super) fn fit_matrix(matrix: &Array2<f64>, labels: &[bool], penalty: f64) -> Option<Self> {
        let both = labels.contains(&true) && labels.contains(&false);
        if !both || labels.len() != matrix.nrows() || penalty.is_nan() || penalty <= 0.0 {
            return None;
        }
        let width = matrix.ncols();
        // The intercept is the last weight.
        let mut weights = vec![0.0; width + 1];
        let mut loss = loss_of(matrix, labels, penalty, &weights);
        for _ in 0..STEPS {
            let (gradient, curvature) = derivatives(matrix, labels, penalty, &weights);
            let step = solve(curvature, gradient)?;
            let Some((next, next_loss)) = descend(&weights, &step, loss, |weights| {
                loss_of(matrix, labels, penalty, weights)
            }) else {
                break;
            };
            let moved = step.iter().fold(0.0_f64, |most, part| most.max(part.abs()));
            (weights, loss) = (next, next_loss);
            if moved <= 1e-10 {
                break;
            }
        }
        let intercept = weights.pop()?;
        let finite = intercept.is_finite() && weights.iter().all(|value| value.is_finite());
        finite.then_some(Self {
            coefficients: weights,
            intercept,
        })
    }

    /// The log-odds that a row of as many values as there are coefficients is `true`.
    pub fn log_odds(&self, row: &[f64]) -> f64 {
        let products = self.coefficients.iter().zip(row).map(|(a, b)| a * b);
        self.intercept + products.sum::<f64>()
    }
}

/// The log-odds of a row of the matrix.
fn score(matrix: &Array2<f64>, row: usize, weights: &[f64]) -> f64 {
    let products = matrix.row(row).into_iter().zip(weights).map(|(x, w)| x * w);
    products.sum::<f64>() + weights[matrix.ncols()]
}

fn loss_of(matrix: &Array2<f64>, labels: &[bool], penalty: f64, weights: &[f64]) -> f64 {
    let losses = labels.iter().enumerate().map(|(row, &label)| {
        let margin = if label { 1.0 } else { -1.0 } * score(matrix, row, weights);
        // ln(1 + e^−margin) without overflow.
        (-margin).max(0.0) + (-margin.abs()).exp().ln_1p()
    });
    let ridge: f64 = weights[..matrix.ncols()].iter().map(|w| w * w).sum();
    losses.sum::<f64>() + penalty / 2.0 * ridge
}

/// The gradient of the loss and the matrix of its second derivatives.
fn derivatives(
    matrix: &Array2<f64>,
    labels: &[bool],
    penalty: f64,
    weights: &[f64],
) -> (Vec<f64>, Vec<Vec<f64>>) {
    let width = matrix.ncols();
    let mut gradient = vec![0.0; width + 1];
    let mut curvature = vec![vec![0.0; width + 1]; width + 1];
    for (row, &label) in labels.iter().enumerate() {
        let chance = 1.0 / (1.0 + (-score(matrix, row, weights)).exp());
        let (off, spread) = (chance - f64::from(label), chance * (1.0 - chance));
        let values: Vec<f64> = matrix.row(row).into_iter().copied().chain([1.0]).collect();
        for (place, x) in values.iter().enumerate() {
            gradient[place] += off * x;
            for (sum, y) in curvature[place].iter_mut().zip(&values) {
                *sum += spread * x * y;
            }
        }
    }
    for place in 0..width {
        gradient[place] += penalty * weights[place];
        curvature[place][place] += penalty;
    }
    (gradient, curvature)
}

/// The weights less the step, or less a half of it and so on until the loss does not rise; `None` where it always does.
fn descend(
    weights: &[f64],
    step: &[f64],
    loss: f64,
    loss_of: impl Fn(&[f64]) -> f64,
) -> Option<(Vec<f64>, f64)> {
    (0..30).find_map(|halvings| {
        let factor = 0.5_f64.powi(halvings);
        let next: Vec<f64> = weights
            .iter()
            .zip(step)
            .map(|(w, s)| w - factor * s)
            .collect();
        let next_loss = loss_of(&next);
        (next_loss <= loss).then_some((next, next_loss))
    })
}

/// Solves a symmetric positive definite system by elimination, which needs no pivots then. `None` where it is not one.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let size = right.len();
    for pivot in 0..size {
        let line = matrix[pivot].clone();
        if line[pivot].is_nan() || line[pivot] <= 0.0 {
            return None;
        }
        for below in pivot + 1..size {
            let factor = matrix[below][pivot] / line[pivot];
            for (entry, above) in matrix[below].iter_mut().zip(&line) {
                *entry -= factor * above;
            }
            right[below] -= factor * right[pivot];
        }
    }
    for place in (0..size).rev() {
        let known: f64 = (place + 1..size)
            .map(|other| matrix[place][other] * right[other])
            .sum();
        right[place] = (right[place] - known) / matrix[place][place];
    }
    Some(right)
}
