//! Logistic regression with a ridge penalty, by linfa.
//!
//! ```text
//! matrix, which side each row is of ──L-BFGS──▶ coefficients, intercept ──▶ log-odds of a row
//! ```
//!
//! Minimises Σ log-loss + ½ · penalty · ‖coefficients‖²; the intercept is free. The penalty keeps it finite where the sides
//! can be told apart entirely. Source: D. Cox, J. R. Stat. Soc. B 20 (1958); S. le Cessie, J. van Houwelingen, "Ridge
//! estimators in logistic regression", Appl. Stat. 41 (1992).

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};

use super::rows::Rows;

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
    /// not above 0, or the optimiser fails. Equals scikit-learn's `LogisticRegression(C=1 / penalty)`.
    pub fn fit(rows: Rows, labels: &[bool], penalty: f64) -> Option<Self> {
        let all: Vec<usize> = (0..rows.count()).collect();
        Self::fit_matrix(rows.matrix_of(&all), labels, penalty)
    }

    /// The same of a matrix with a row for each label.
    pub(super) fn fit_matrix(matrix: Array2<f64>, labels: &[bool], penalty: f64) -> Option<Self> {
        let both = labels.contains(&true) && labels.contains(&false);
        if !both || labels.len() != matrix.nrows() || penalty.is_nan() || penalty <= 0.0 {
            return None;
        }
        let targets: Array1<bool> = labels.iter().copied().collect();
        let fitted = LogisticRegression::default()
            .alpha(penalty)
            .max_iterations(200)
            .gradient_tolerance(1e-10)
            .fit(&DatasetBase::new(matrix, targets))
            .ok()?;
        // Which side linfa models is its own choice; turned to the side asked for.
        let sign = if fitted.labels().pos.class { 1.0 } else { -1.0 };
        let model = Self {
            coefficients: fitted.params().iter().map(|value| sign * value).collect(),
            intercept: sign * fitted.intercept(),
        };
        model
            .coefficients
            .iter()
            .all(|value| value.is_finite())
            .then_some(model)
    }

    /// The log-odds that a row of as many values as there are coefficients is `true`.
    pub fn log_odds(&self, row: &[f64]) -> f64 {
        let products = self.coefficients.iter().zip(row).map(|(a, b)| a * b);
        self.intercept + products.sum::<f64>()
    }
}
