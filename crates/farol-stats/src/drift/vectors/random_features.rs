//! Random Fourier features: vectors whose inner products are nearly a Gaussian kernel.
//!
//! ```text
//! bandwidth, seed ──normal, width / bandwidth──▶ frequencies w₁ … w_D
//! x ──w·x──▶ (cos w₁x, sin w₁x, …, cos w_Dx, sin w_Dx) / √D        φ(x)·φ(y) ≈ exp(−‖x − y‖² / 2σ²)
//! ```
//!
//! Source: A. Rahimi, B. Recht, "Random features for large-scale kernel machines", NIPS (2007). The error of a kernel value
//! falls as 1/√D and is about 0.04 with D = 256.

use rand::Rng;
use rand_distr::StandardNormal;

use crate::drift::resampling::generator;
use crate::drift::rows::Rows;

/// Frequencies drawn for a kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomFeatures {
    frequencies: Vec<f64>,
    width: usize,
}

impl RandomFeatures {
    /// Draws `count` frequencies for vectors of a width. `None` where a figure is zero or the bandwidth is not above 0.
    pub fn new(width: usize, count: usize, bandwidth: f64, seed: u64) -> Option<Self> {
        if width == 0 || count == 0 || !bandwidth.is_finite() || bandwidth <= 0.0 {
            return None;
        }
        let mut generator = generator(seed);
        let frequencies = (0..width * count)
            .map(|_| generator.sample::<f64, _>(StandardNormal) / bandwidth)
            .collect();
        Some(Self { frequencies, width })
    }

    /// Takes frequencies as they are, one row each.
    pub fn from_frequencies(frequencies: Rows) -> Self {
        Self {
            frequencies: frequencies.each().flatten().copied().collect(),
            width: frequencies.width(),
        }
    }

    /// How many features a vector gets: two for each frequency.
    pub fn features(&self) -> usize {
        2 * self.frequencies.len() / self.width
    }

    /// The features of rows, row after row. `None` where the width is another or a product overflows.
    pub fn of(&self, rows: Rows) -> Option<Vec<f64>> {
        if rows.width() != self.width {
            return None;
        }
        let scale = (2.0 / self.features() as f64).sqrt();
        let features: Vec<f64> = rows
            .each()
            .flat_map(|row| {
                self.frequencies
                    .chunks_exact(self.width)
                    .map(move |w| (row, w))
            })
            .flat_map(|(row, frequency)| {
                let phase: f64 = row.iter().zip(frequency).map(|(x, w)| x * w).sum();
                [scale * phase.cos(), scale * phase.sin()]
            })
            .collect();
        features
            .iter()
            .all(|value| value.is_finite())
            .then_some(features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_products_are_the_kernel() {
        let values = [0.0, 0.0, 1.0, 0.5, -2.0, 1.0];
        let rows = Rows::new(&values, 2).unwrap();
        let features = RandomFeatures::new(2, 4_096, 1.5, 11).unwrap();
        let mapped = features.of(rows).unwrap();
        let mapped: Vec<&[f64]> = mapped.chunks_exact(features.features()).collect();
        let plain: Vec<&[f64]> = rows.each().collect();
        for (a, x) in mapped.iter().zip(&plain) {
            for (b, y) in mapped.iter().zip(&plain) {
                let product: f64 = a.iter().zip(*b).map(|(a, b)| a * b).sum();
                let square: f64 = x.iter().zip(*y).map(|(x, y)| (x - y).powi(2)).sum();
                let kernel = (-square / (2.0 * 1.5 * 1.5)).exp();
                assert!((product - kernel).abs() < 4.0 / 64.0, "{product} {kernel}");
            }
        }
    }

    #[test]
    fn what_has_no_features() {
        assert_eq!(RandomFeatures::new(0, 1, 1.0, 0), None);
        assert_eq!(RandomFeatures::new(1, 0, 1.0, 0), None);
        assert_eq!(RandomFeatures::new(1, 1, 0.0, 0), None);
        assert_eq!(RandomFeatures::new(1, 1, f64::NAN, 0), None);
        let rows = Rows::new(&[1.0], 1).unwrap();
        assert_eq!(RandomFeatures::new(2, 1, 1.0, 0).unwrap().of(rows), None);
    }
}
