//! One arm of an experiment as three numbers: how many, their mean, their variance.
//!
//! ```text
//! values ──────────┐
//! k of n ──────────┼──▶ Arm { count, mean, variance } ──▶ difference of two, with its variance
//! sums from a query┘
//! ```

use serde::{Deserialize, Serialize};

/// Count, mean and sample variance of an arm's values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// How many units (users, traces) there are.
    pub count: u64,
    /// The mean of their values.
    pub mean: f64,
    /// The sample variance, with n − 1 in the denominator.
    pub variance: f64,
}

impl Arm {
    /// From values. `None` where there are fewer than two or one is not finite.
    pub fn of_values(values: &[f64]) -> Option<Self> {
        if values.len() < 2 || !values.iter().all(|value| value.is_finite()) {
            return None;
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self {
            count: values.len() as u64,
            mean,
            variance: squares / (count - 1.0),
        })
    }

    /// From `successes` among `trials`. `None` where there are fewer than two trials or more successes than trials.
    pub fn of_successes(successes: u64, trials: u64) -> Option<Self> {
        if trials < 2 || successes > trials {
            return None;
        }
        let count = trials as f64;
        let mean = successes as f64 / count;
        Some(Self {
            count: trials,
            mean,
            variance: mean * (1.0 - mean) * count / (count - 1.0),
        })
    }

    /// The variance of the mean; `None` where the arm is empty or its numbers are not finite.
    pub fn variance_of_mean(&self) -> Option<f64> {
        let known = self.count > 0 && self.mean.is_finite() && self.variance.is_finite();
        (known && self.variance >= 0.0).then(|| self.variance / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::Arm;

    #[test]
    fn successes_are_values_of_one_and_zero() {
        let counted = Arm::of_successes(3, 5).unwrap();
        let listed = Arm::of_values(&[1.0, 0.0, 1.0, 1.0, 0.0]).unwrap();
        assert_eq!(counted.count, listed.count);
        assert!((counted.mean - listed.mean).abs() < 1e-15);
        assert!((counted.variance - listed.variance).abs() < 1e-15);
    }

    #[test]
    fn too_few_are_no_arm() {
        assert_eq!(Arm::of_values(&[1.0]), None);
        assert_eq!(Arm::of_values(&[1.0, f64::INFINITY]), None);
        assert_eq!(Arm::of_successes(1, 1), None);
        assert_eq!(Arm::of_successes(3, 2), None);
        let empty = Arm {
            count: 0,
            mean: 0.0,
            variance: 0.0,
        };
        assert_eq!(empty.variance_of_mean(), None);
    }
}
