//! Platt's calibration: a logistic curve through the scores, for few labels or scores of odd scale.
//!
//! ```text
//! scores, labels ──targets drawn in from 0 and 1──▶ Newton's method ──▶ slope, intercept ──▶ 1 / (1 + e^(slope · s + intercept))
//! ```
//!
//! Sources: J. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized likelihood
//! methods" (1999), for the curve and its targets (N₊ + 1)/(N₊ + 2) and 1/(N₋ + 2); H.-T. Lin, C.-J. Lin, R. C. Weng, "A
//! note on Platt's probabilistic outputs for support vector machines", Machine Learning 68 (2007), for the optimization.

use serde::{Deserialize, Serialize};

const MOST_STEPS: usize = 200;
const MOST_HALVINGS: usize = 40;

/// A fitted logistic curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlattCalibration {
    /// What the score is multiplied by; below 0 where higher scores are more likely positive.
    pub slope: f64,
    /// What is added to it.
    pub intercept: f64,
}

/// Loss, its gradient and its curvature at one place, in standardized scores.
struct Place {
    loss: f64,
    gradient: (f64, f64),
    curvature: (f64, f64, f64),
}

/// ln(1 + e^x) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn place(scores: &[f64], targets: &[f64], slope: f64, intercept: f64) -> Place {
    let mut found = Place {
        loss: 0.0,
        gradient: (0.0, 0.0),
        curvature: (0.0, 0.0, 0.0),
    };
    for (score, target) in scores.iter().zip(targets) {
        let x = slope * score + intercept;
        let probability = logistic(-x);
        found.loss += softplus(-x) + target * x;
        let error = target - probability;
        found.gradient.0 += error * score;
        found.gradient.1 += error;
        let weight = probability * (1.0 - probability);
        found.curvature.0 += weight * score * score;
        found.curvature.1 += weight * score;
        found.curvature.2 += weight;
    }
    found
}

impl PlattCalibration {
    /// Fits to scores with their labels. `None` where there is not one of each label, the lengths differ, a score is not
    /// finite, or all scores are the same.
    pub fn fit(scores: &[f64], labels: &[bool]) -> Option<Self> {
        let count = scores.len() as f64;
        let positive = labels.iter().filter(|label| **label).count() as f64;
        let negative = labels.len() as f64 - positive;
        if scores.len() != labels.len() || positive < 1.0 || negative < 1.0 {
            return None;
        }
        let mean = scores.iter().sum::<f64>() / count;
        let spread = (scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / count).sqrt();
        if !spread.is_finite() || spread <= 0.0 {
            return None;
        }
        // Standardized, the curve's two numbers are of the size of 1 whatever the scores' scale.
        let standard: Vec<f64> = scores.iter().map(|s| (s - mean) / spread).collect();
        let high = (positive + 1.0) / (positive + 2.0);
        let low = 1.0 / (negative + 2.0);
        let targets: Vec<f64> = labels.iter().map(|l| if *l { high } else { low }).collect();
        let start = ((negative + 1.0) / (positive + 1.0)).ln();
        let (slope, intercept) = minimize(&standard, &targets, start);
        Some(Self {
            slope: slope / spread,
            intercept: intercept - slope * mean / spread,
        })
    }

    /// The probability of the positive class at a score. `None` for NaN.
    pub fn probability(&self, score: f64) -> Option<f64> {
        let probability = logistic(-(self.slope * score + self.intercept));
        (!probability.is_nan()).then_some(probability)
    }
}

/// Newton's method with steps halved until the loss falls.
fn minimize(scores: &[f64], targets: &[f64], start: f64) -> (f64, f64) {
    let (mut slope, mut intercept) = (0.0, start);
    let mut here = place(scores, targets, slope, intercept);
    for _ in 0..MOST_STEPS {
        let (first, both, second) = here.curvature;
        let gradient = here.gradient;
        let determinant = first * second - both * both;
        if determinant <= 0.0 {
            break;
        }
        let step = (
            (both * gradient.1 - second * gradient.0) / determinant,
            (both * gradient.0 - first * gradient.1) / determinant,
        );
        let mut size = 1.0;
        let mut next = place(scores, targets, slope + step.0, intercept + step.1);
        for _ in 0..MOST_HALVINGS {
            if next.loss <= here.loss {
                break;
            }
            size /= 2.0;
            next = place(
                scores,
                targets,
                slope + size * step.0,
                intercept + size * step.1,
            );
        }
        if next.loss > here.loss {
            break;
        }
        slope += size * step.0;
        intercept += size * step.1;
        here = next;
        if step.0.abs() + step.1.abs() < 1e-13 {
            break;
        }
    }
    (slope, intercept)
}

#[cfg(test)]
mod tests {
    use super::PlattCalibration;

    #[test]
    fn one_label_alone_or_one_score_alone_fits_no_curve() {
        assert_eq!(PlattCalibration::fit(&[0.1, 0.2], &[true, true]), None);
        assert_eq!(PlattCalibration::fit(&[0.1, 0.1], &[true, false]), None);
        assert_eq!(
            PlattCalibration::fit(&[0.1, f64::NAN], &[true, false]),
            None
        );
        assert_eq!(PlattCalibration::fit(&[0.1], &[true, false]), None);
    }

    #[test]
    fn separated_labels_still_have_a_finite_curve() {
        let scores = [1e6, 2e6, 3e6, 4e6];
        let fitted = PlattCalibration::fit(&scores, &[false, false, true, true]).unwrap();
        // With two of each label the targets are 1/4 and 3/4, and the curve goes through the middle.
        assert!((fitted.probability(2.5e6).unwrap() - 0.5).abs() < 1e-9);
        assert!(fitted.slope < 0.0);
    }
}
