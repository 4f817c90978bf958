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
/// How far the sum of many losses may be off: at the minimum a step is none that rises.
const ROUNDING: f64 = 1e-12;
/// After a step so small the next would be smaller than its square: nothing that a double shows.
const LAST_STEP: f64 = 1e-7;

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
        // The intercept is the last weight.
        let mut weights = vec![0.0; matrix.ncols() + 1];
        let mut here = Derivatives::at(matrix, labels, penalty, &weights);
        for _ in 0..STEPS {
            let step = solve(&here.curvature, &here.gradient)?;
            let Some((next, there)) = descend(&weights, &step, here.loss, |weights| {
                Derivatives::at(matrix, labels, penalty, weights)
            }) else {
                break;
            };
            let moved = step.iter().fold(0.0_f64, |most, part| most.max(part.abs()));
            (weights, here) = (next, there);
            if moved <= LAST_STEP {
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

/// The loss at some weights, its gradient and its second derivatives, from one pass over the rows.
struct Derivatives {
    loss: f64,
    gradient: Vec<f64>,
    /// Row after row; only the upper triangle is filled, as the lower is the same.
    curvature: Vec<f64>,
}

impl Derivatives {
    fn at(matrix: &Array2<f64>, labels: &[bool], penalty: f64, weights: &[f64]) -> Self {
        let size = weights.len();
        let width = size - 1;
        let mut found = Self {
            loss: 0.0,
            gradient: vec![0.0; size],
            curvature: vec![0.0; size * size],
        };
        // A row, and the 1 that the intercept goes with.
        let mut values = vec![1.0; size];
        for (row, &label) in matrix.rows().into_iter().zip(labels) {
            for (value, from) in values.iter_mut().zip(row) {
                *value = *from;
            }
            found.add(&values, label, weights);
        }
        // The intercept is free.
        for (place, weight) in weights.iter().enumerate().take(width) {
            found.loss += penalty / 2.0 * weight * weight;
            found.gradient[place] += penalty * weight;
            found.curvature[place * size + place] += penalty;
        }
        found
    }

    fn add(&mut self, values: &[f64], label: bool, weights: &[f64]) {
        let size = values.len();
        let score: f64 = values.iter().zip(weights).map(|(x, w)| x * w).sum();
        // e to the minus of its size, which does not overflow.
        let small = (-score.abs()).exp();
        let rare = small / (1.0 + small);
        let chance = if score >= 0.0 { 1.0 - rare } else { rare };
        let margin = if label { score } else { -score };
        self.loss += (-margin).max(0.0) + small.ln_1p();
        let (off, spread) = (chance - f64::from(label), rare * (1.0 - rare));
        for (sum, x) in self.gradient.iter_mut().zip(values) {
            *sum += off * x;
        }
        for (place, line) in self.curvature.chunks_exact_mut(size).enumerate() {
            let scaled = spread * values[place];
            for (sum, y) in line[place..].iter_mut().zip(&values[place..]) {
                *sum += scaled * y;
            }
        }
    }
}

/// The weights less the step, or less a half of it and so on until the loss does not rise; `None` where it always
/// does.
fn descend(
    weights: &[f64],
    step: &[f64],
    loss: f64,
    at: impl Fn(&[f64]) -> Derivatives,
) -> Option<(Vec<f64>, Derivatives)> {
    (0..30).find_map(|halvings| {
        let factor = 0.5_f64.powi(halvings);
        let next: Vec<f64> = weights
            .iter()
            .zip(step)
            .map(|(w, s)| w - factor * s)
            .collect();
        let there = at(&next);
        (there.loss <= loss + ROUNDING * loss).then_some((next, there))
    })
}

/// Solves a symmetric positive definite system, given by its upper triangle, by elimination, which needs no pivots then. `None`
/// where it is not one.
fn solve(upper: &[f64], right: &[f64]) -> Option<Vec<f64>> {
    let size = right.len();
    let entry = |row: usize, column: usize| upper[row.min(column) * size + row.max(column)];
    let mut matrix: Vec<Vec<f64>> = (0..size)
        .map(|row| (0..size).map(|column| entry(row, column)).collect())
        .collect();
    let mut right = right.to_vec();
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
