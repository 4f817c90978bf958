//! The χ² test that two mixes of categories are one.
//!
//! ```text
//! counts ──margins──▶ expected counts ──▶ X² = Σ (count − expected)² / expected ──B − 1 degrees──▶ p
//! ```
//!
//! Source: K. Pearson, Phil. Mag. 50 (1900) and Biometrika 8 (1911).

use statrs::function::gamma::gamma_ur;

use super::totals;

/// A χ² test of homogeneity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    /// X².
    pub statistic: f64,
    /// Categories that either side has, less one.
    pub degrees_of_freedom: u64,
    /// P(X² at least as large) under no change, by the asymptotic distribution. 1 with a single category.
    pub p_value: f64,
    /// The smallest expected count. Below 5 the p-value is not to be trusted.
    pub smallest_expected: f64,
}

/// Tests that both sides have one mix; categories that neither has are left out. `None` where a side is empty or the
/// lengths differ. Equals `scipy.stats.chi2_contingency(correction=False)`.
pub fn chi_square_homogeneity(reference: &[u64], window: &[u64]) -> Option<ChiSquare> {
    let (n, m) = totals(reference, window)?;
    let (n, m) = (n as f64, m as f64);
    let (mut statistic, mut categories) = (0.0, 0_u64);
    let mut smallest_expected = f64::INFINITY;
    for (r, w) in reference.iter().zip(window) {
        let both = (r + w) as f64;
        if both == 0.0 {
            continue;
        }
        categories += 1;
        let expected = (both * n / (n + m), both * m / (n + m));
        smallest_expected = smallest_expected.min(expected.0).min(expected.1);
        // Both rows differ from what is expected by the same amount, of opposite sign.
        statistic += (*r as f64 - expected.0).powi(2) * (1.0 / expected.0 + 1.0 / expected.1);
    }
    let degrees_of_freedom = categories - 1;
    Some(ChiSquare {
        statistic,
        degrees_of_freedom,
        p_value: chi_square_survival(statistic, degrees_of_freedom),
        smallest_expected,
    })
}

/// P(χ² ≥ x). With no degrees of freedom χ² is 0.
pub(super) fn chi_square_survival(x: f64, degrees_of_freedom: u64) -> f64 {
    if degrees_of_freedom == 0 || x <= 0.0 {
        return 1.0;
    }
    gamma_ur(degrees_of_freedom as f64 / 2.0, x / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_category_says_nothing() {
        let test = chi_square_homogeneity(&[5, 0], &[7, 0]).unwrap();
        assert_eq!(test.degrees_of_freedom, 0);
        assert!((test.p_value - 1.0).abs() < 1e-15 && test.statistic.abs() < 1e-15);
        assert_eq!(chi_square_homogeneity(&[0], &[7]), None);
    }
}
