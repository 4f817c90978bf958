//! Which of many tests is drift: p-values adjusted together, and an effect worth having.
//!
//! ```text
//! p of every column and segment ──Benjamini–Hochberg──▶ adjusted p ──┐
//!                                                debiased effect ────┴──▶ is it drift?
//! ```
//!
//! Neither is enough. With many rows everything is significant, and with few rows noise has a large effect.

/// A debiased effect below this is not worth an alarm: on the scale of the Population Stability Index the customary bound
/// for a change worth a look, and a tenth of a standard deviation for Wasserstein-1.
pub const EFFECT_WORTH_HAVING: f64 = 0.1;

/// Adjusts p-values so that, of those at or below a level, the expected share of false ones is at most the level.
///
/// In the order given. `None` where one is not within 0 and 1. Right for independent tests and for those that depend on
/// each other positively. Source: Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57
/// (1995). Equals `multipletests(method="fdr_bh")` of statsmodels and `false_discovery_control` of SciPy.
pub fn benjamini_hochberg(p_values: &[f64]) -> Option<Vec<f64>> {
    if p_values.iter().any(|p| !(0.0..=1.0).contains(p)) {
        return None;
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let tests = p_values.len() as f64;
    let mut adjusted = vec![1.0; p_values.len()];
    let mut smallest = 1.0_f64;
    for (rank, &place) in order.iter().enumerate().rev() {
        smallest = smallest.min(p_values[place] * (tests / (rank + 1) as f64));
        adjusted[place] = smallest;
    }
    Some(adjusted)
}

/// Whether a test is drift at a level: significant after adjustment, with an effect worth having. A figure that is not a
/// number is no drift.
pub fn is_drift(adjusted_p: f64, effect: f64, level: f64) -> bool {
    adjusted_p <= level && effect >= EFFECT_WORTH_HAVING
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_are_needed() {
        assert!(is_drift(0.01, 0.1, 0.05));
        assert!(!is_drift(0.01, 0.099, 0.05));
        assert!(!is_drift(0.06, 5.0, 0.05));
        assert!(!is_drift(f64::NAN, 5.0, 0.05));
        assert!(!is_drift(0.01, f64::NAN, 0.05));
    }

    #[test]
    fn nothing_is_adjusted_to_nothing_and_no_probability_is_refused() {
        assert_eq!(benjamini_hochberg(&[]), Some(vec![]));
        assert_eq!(benjamini_hochberg(&[0.5, f64::NAN]), None);
        assert_eq!(benjamini_hochberg(&[0.5, 1.1]), None);
    }

    proptest! {
        #[test]
        fn adjusted_p_values_keep_their_order_and_are_never_smaller(
            p_values in proptest::collection::vec(0.0..=1.0, 1..50),
        ) {
            let adjusted = benjamini_hochberg(&p_values).unwrap();
            for (p, here) in p_values.iter().zip(&adjusted) {
                prop_assert!(here >= p && *here <= 1.0);
                for (q, there) in p_values.iter().zip(&adjusted) {
                    prop_assert!(p > q || here <= there);
                }
            }
        }
    }
}
