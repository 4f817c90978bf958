//! Wasserstein-1: how far, on average, values have to move to turn one distribution into the other.
//!
//! ```text
//! reference, window ──walk──▶ W = ∫ |F − G| ──÷ reference's standard deviation──▶ ratio
//! sketches' bins ────walk──▶ W of the bins ──± relative accuracy──▶ W and ratio with their bounds
//! ```
//!
//! Source: L. Kantorovich (1942), L. Vaserstein (1969); for one dimension S. Vallender, "Calculation of the Wasserstein
//! distance between probability distributions on the line", Theory Probab. Appl. 18 (1974). It grows with sampling noise
//! alone, so it is no alarm by itself: see [`wasserstein_test`](super::wasserstein_test).

use super::distribution::{Bounded, Distribution, SketchAccuracy};

/// W, in the unit of the values. Equals `scipy.stats.wasserstein_distance`.
pub fn wasserstein(reference: &Distribution, window: &Distribution) -> f64 {
    let (n, m) = (reference.count() as f64, window.count() as f64);
    let mut sum = 0.0;
    let mut before: Option<(f64, f64)> = None;
    for step in reference.walk(window) {
        if let Some((value, distance)) = before {
            sum += distance * (step.value - value);
        }
        let distance = (step.reference as f64 / n - step.window as f64 / m).abs();
        before = Some((step.value, distance));
    }
    sum
}

/// W in standard deviations of the reference (divided by n, as NumPy's `std`). `None` where the reference has but one
/// value: it has no scale then, and Kolmogorov–Smirnov still tells of a change.
pub fn wasserstein_ratio(reference: &Distribution, window: &Distribution) -> Option<f64> {
    let deviation = reference.standard_deviation();
    (deviation > 0.0).then(|| wasserstein(reference, window) / deviation)
}

/// W of two sketches and its ratio, with the range in which those of the values lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SketchedWasserstein {
    /// In the unit of the values.
    pub distance: Bounded,
    /// In standard deviations of the reference; `None` where the sketch of the reference has but one bin.
    pub ratio: Option<Bounded>,
}

/// W from the bins of two sketches. `None` where the accuracy is none.
///
/// A value moves by at most α/(1 − α)·|v| to its bin's value v, so by the triangle inequality W moves by at most the sum of
/// both sketches' means of that, and by Minkowski's the standard deviation by at most its root mean square. With α = 0.01,
/// two sketches of positive values around μ give W within about 0.02·μ.
pub fn wasserstein_of_sketches(
    reference: &Distribution,
    window: &Distribution,
    accuracy: SketchAccuracy,
) -> Option<SketchedWasserstein> {
    if !accuracy.is_valid() {
        return None;
    }
    let moved = |sketch: &Distribution| sketch.mean_of(|value| accuracy.farthest(value));
    let value = wasserstein(reference, window);
    let error = moved(reference) + moved(window);
    let distance = Bounded {
        value,
        lower: (value - error).max(0.0),
        upper: value + error,
    };
    let deviation = reference.standard_deviation();
    let off = reference
        .mean_of(|value| accuracy.farthest(value).powi(2))
        .sqrt();
    let ratio = (deviation > 0.0).then(|| Bounded {
        value: value / deviation,
        lower: distance.lower / (deviation + off),
        upper: if deviation > off {
            distance.upper / (deviation - off)
        } else {
            f64::INFINITY
        },
    });
    Some(SketchedWasserstein { distance, ratio })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_is_its_own_distance() {
        let reference = Distribution::from_samples(&[1.0, 2.0, 3.0]).unwrap();
        let window = Distribution::from_samples(&[11.0, 12.0, 13.0]).unwrap();
        assert!((wasserstein(&reference, &window) - 10.0).abs() < 1e-12);
        let ratio = wasserstein_ratio(&reference, &window).unwrap();
        assert!((ratio - 10.0 / (2.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_constant_reference_has_no_ratio() {
        let constant = Distribution::from_samples(&[2.0, 2.0]).unwrap();
        let window = Distribution::from_samples(&[2.0, 3.0]).unwrap();
        assert_eq!(wasserstein_ratio(&constant, &window), None);
        let accuracy = SketchAccuracy {
            relative: 0.01,
            near_zero: 1e-9,
        };
        let sketched = wasserstein_of_sketches(&constant, &window, accuracy).unwrap();
        assert_eq!(sketched.ratio, None);
        let none = SketchAccuracy {
            relative: 1.0,
            near_zero: 0.0,
        };
        assert_eq!(wasserstein_of_sketches(&constant, &window, none), None);
    }
}
