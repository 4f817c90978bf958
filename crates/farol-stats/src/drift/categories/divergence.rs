//! How far two mixes of categories are apart: Population Stability Index and Jensen–Shannon divergence, in nats.
//!
//! ```text
//! counts ──÷ totals──▶ shares p, q ──▶ PSI = Σ (p − q) ln(p / q)
//!                                  └─▶ JSD = ½ KL(p ‖ m) + ½ KL(q ‖ m),  m = ½ (p + q)
//! ```
//!
//! For small changes PSI ≈ 8 · JSD, and under no change PSI · nm/(n + m) and 8 · JSD · nm/(n + m) both tend to χ² with
//! B − 1 degrees of freedom. Sources: B. Yurdakul, J. Naranjo, "Statistical properties of the population stability
//! index", J. Risk Model Validation 14 (2020); J. Lin, "Divergence measures based on the Shannon entropy", IEEE Trans.
//! Inf. Theory 37 (1991); M. Menéndez et al., "The Jensen–Shannon divergence", J. Franklin Inst. 334 (1997).

use super::totals;

/// PSI in nats, 0 for equal mixes and without an upper bound. `None` where a side is empty or the lengths differ.
///
/// A zero count would make it infinite. Where a category is there on one side only, a half is added to every count of both
/// sides (Jeffreys' prior), so the size of the smaller side bounds what one rare value can do.
pub fn population_stability_index(reference: &[u64], window: &[u64]) -> Option<f64> {
    let (n, m) = totals(reference, window)?;
    let present = || reference.iter().zip(window).filter(|(r, w)| **r + **w > 0);
    let one_sided = present().any(|(r, w)| *r == 0 || *w == 0);
    let added = if one_sided { 0.5 } else { 0.0 };
    let categories = present().count() as f64;
    let (n, m) = (n as f64 + added * categories, m as f64 + added * categories);
    let sum: f64 = present()
        .map(|(r, w)| {
            let (p, q) = ((*r as f64 + added) / n, (*w as f64 + added) / m);
            (p - q) * (p / q).ln()
        })
        .sum();
    Some(sum.max(0.0))
}

/// The Jensen–Shannon divergence in nats, from 0 (equal mixes) to ln 2 (no category shared). Zero counts are sound as they
/// are. `None` where a side is empty or the lengths differ. It is the square of SciPy's `jensenshannon`.
pub fn jensen_shannon(reference: &[u64], window: &[u64]) -> Option<f64> {
    let (n, m) = totals(reference, window)?;
    let (n, m) = (n as f64, m as f64);
    let sum: f64 = reference
        .iter()
        .zip(window)
        .map(|(r, w)| {
            let (p, q) = (*r as f64 / n, *w as f64 / m);
            let middle = f64::midpoint(p, q);
            relative_entropy(p, middle) + relative_entropy(q, middle)
        })
        .sum();
    Some((sum / 2.0).max(0.0))
}

/// p ln(p / q), whose limit at p = 0 is 0.
fn relative_entropy(p: f64, q: f64) -> f64 {
    if p > 0.0 { p * (p / q).ln() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::LN_2;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_of_the_scales() {
        assert_eq!(jensen_shannon(&[5, 5, 0], &[10, 10, 0]), Some(0.0));
        assert_eq!(
            population_stability_index(&[5, 5, 0], &[10, 10, 0]),
            Some(0.0)
        );
        let apart = jensen_shannon(&[5, 0], &[0, 3]).unwrap();
        assert!((apart - LN_2).abs() < 1e-15);
        // Shares with the halves: 5.5/6 and 0.5/6 against 0.5/4 and 3.5/4.
        let (p, q): ([f64; 2], [f64; 2]) = ([5.5 / 6.0, 0.5 / 6.0], [0.5 / 4.0, 3.5 / 4.0]);
        let expected: f64 = p.iter().zip(q).map(|(p, q)| (p - q) * (p / q).ln()).sum();
        let found = population_stability_index(&[5, 0], &[0, 3]).unwrap();
        assert!((found - expected).abs() < 1e-14);
    }

    #[test]
    fn nothing_to_compare_is_not_known() {
        for (reference, window) in [
            (&[][..], &[][..]),
            (&[0, 0], &[1, 2]),
            (&[1, 2], &[0, 0]),
            (&[1, 2], &[1]),
            (&[u64::MAX, 1], &[1, 1]),
        ] {
            assert_eq!(jensen_shannon(reference, window), None);
            assert_eq!(population_stability_index(reference, window), None);
        }
    }

    proptest! {
        #[test]
        fn both_are_symmetric_and_within_their_ranges(
            pairs in proptest::collection::vec((0_u64..50, 0_u64..50), 1..20),
        ) {
            let (reference, window): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            let there = jensen_shannon(&reference, &window);
            let back = jensen_shannon(&window, &reference);
            prop_assert_eq!(there.is_some(), back.is_some());
            if let (Some(there), Some(back)) = (there, back) {
                prop_assert!((there - back).abs() < 1e-12);
                prop_assert!((0.0..=LN_2 + 1e-12).contains(&there));
                let psi = population_stability_index(&reference, &window).unwrap();
                let psi_back = population_stability_index(&window, &reference).unwrap();
                prop_assert!(psi >= 0.0 && psi.is_finite() && (psi - psi_back).abs() < 1e-10);
            }
        }
    }
}
