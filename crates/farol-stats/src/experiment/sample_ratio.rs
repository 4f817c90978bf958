//! Sample-ratio mismatch: whether arms were given the shares of units that they should have.
//!
//! ```text
//! counts of units per arm, shares planned ──▶ χ² and its p-value, for one look at the end
//!                                        └──▶ ln e-value of a Dirichlet mixture, for looks at any time
//! ```
//!
//! A mismatch (by a redirect that loses some, by bots in one arm) makes every other result of the experiment doubtful, so
//! it is looked at first.
//!
//! Sources: A. Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019, for the
//! chi-square test; M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022, for the
//! sequential one.

use statrs::function::gamma::{gamma_ur, ln_gamma};

/// How strongly the Dirichlet mixture keeps to the planned shares, in units: mismatches worth finding are of a few
/// hundredths.
const CONCENTRATION: f64 = 100.0;

/// A chi-square test of shares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    /// Σ (observed − expected)² / expected.
    pub statistic: f64,
    /// The number of arms less one.
    pub degrees_of_freedom: u64,
    /// The chance of such a statistic or a larger one under the planned shares.
    pub p_value: f64,
}

/// The planned shares made to sum to 1; `None` where there are fewer than two, the lengths differ, or one is not positive.
fn shares(counts: &[u64], planned: &[f64]) -> Option<Vec<f64>> {
    let positive = planned
        .iter()
        .all(|share| share.is_finite() && *share > 0.0);
    if counts.len() < 2 || counts.len() != planned.len() || !positive {
        return None;
    }
    let total: f64 = planned.iter().sum();
    Some(planned.iter().map(|share| share / total).collect())
}

/// Pearson's chi-square test of counts per arm against planned shares (any scale, such as 50 and 50). **For one look**, at
/// a sample size fixed beforehand, with five or more expected in each arm.
///
/// `None` where there are fewer than two arms, no units, the lengths differ, or a share is not positive.
pub fn chi_square(counts: &[u64], planned: &[f64]) -> Option<ChiSquare> {
    let shares = shares(counts, planned)?;
    let total = counts.iter().map(|count| *count as f64).sum::<f64>();
    if total <= 0.0 {
        return None;
    }
    let statistic: f64 = counts
        .iter()
        .zip(&shares)
        .map(|(count, share)| (*count as f64 - share * total).powi(2) / (share * total))
        .sum();
    let degrees_of_freedom = counts.len() as u64 - 1;
    // gamma_ur is defined above 0 only, and the chance of 0 or more is 1.
    let p_value = if statistic > 0.0 {
        gamma_ur(degrees_of_freedom as f64 / 2.0, statistic / 2.0)
    } else {
        1.0
    };
    Some(ChiSquare {
        statistic,
        degrees_of_freedom,
        p_value,
    })
}

/// The logarithm of the e-value against the planned shares, for a look at any time: under them it ever comes to ln(1/α)
/// with a chance of at most α. With no units yet it is 0.
///
/// It is the Bayes factor of Dirichlet-distributed shares around the planned ones. The counts do not depend on the order
/// of units. `None` as for [`chi_square`], but for no units.
pub fn ln_e_value(counts: &[u64], planned: &[f64]) -> Option<f64> {
    let shares = shares(counts, planned)?;
    let total: f64 = counts.iter().map(|count| *count as f64).sum();
    let arms: f64 = counts
        .iter()
        .zip(&shares)
        .map(|(count, share)| {
            let prior = CONCENTRATION * share;
            let count = *count as f64;
            ln_gamma(prior + count) - ln_gamma(prior) - count * share.ln()
        })
        .sum();
    Some(arms + ln_gamma(CONCENTRATION) - ln_gamma(CONCENTRATION + total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_as_planned_are_no_mismatch() {
        let found = chi_square(&[500, 500], &[1.0, 1.0]).unwrap();
        assert_eq!((found.statistic, found.p_value), (0.0, 1.0));
        assert!(ln_e_value(&[500, 500], &[0.5, 0.5]).unwrap() < 0.0);
        assert!(ln_e_value(&[0, 0], &[0.5, 0.5]).unwrap().abs() < 1e-12);
        assert!(ln_e_value(&[600, 400], &[0.5, 0.5]).unwrap() > 20.0_f64.ln());
    }

    #[test]
    fn what_cannot_be_tested_gives_nothing() {
        assert_eq!(chi_square(&[], &[]), None);
        assert_eq!(chi_square(&[5], &[1.0]), None);
        assert_eq!(chi_square(&[0, 0], &[1.0, 1.0]), None);
        assert_eq!(chi_square(&[5, 5], &[1.0, 0.0]), None);
        assert_eq!(chi_square(&[5, 5], &[1.0]), None);
        assert_eq!(ln_e_value(&[5, 5], &[f64::NAN, 1.0]), None);
    }
}
