//! Drift of categories: has the mix of values changed?
//!
//! ```text
//! counts by category ─┬─ pooling: sparse categories gathered into cells ──▶ PSI, χ²  ─┐
//! (reference, window) └─ as they are ──▶ Jensen–Shannon, mass of new categories ──────┤ measured
//!                                                                                     ▼
//!        null: both margins kept, the pooled values dealt anew (or χ² where every cell is full)
//!                                                                                     ▼
//!                                   comparison: statistic, debiased effect, p-value
//! ```
//!
//! Every measure is above 0 by sampling noise alone, the more so the more categories and the fewer values there are; the
//! comparison subtracts that. Counts are given as two slices of one order; a category that neither side has is left out.

mod chi_square;
mod comparison;
mod dealing;
mod divergence;
mod new_categories;
mod pooling;

pub use chi_square::{ChiSquare, chi_square_homogeneity};
pub use comparison::{Comparison, FULL_CELL, Measure, NullKind, asymptotic_null, compare};
pub use divergence::{jensen_shannon, population_stability_index};
pub use new_categories::{Proportion, clopper_pearson, new_category_mass};
pub use pooling::{MINIMUM_EXPECTED, pool_sparse};

/// Both totals; `None` where the slices differ in length, a side is empty or a total is beyond 2⁵³.
fn totals(reference: &[u64], window: &[u64]) -> Option<(u64, u64)> {
    let total = |counts: &[u64]| {
        counts
            .iter()
            .try_fold(0_u64, |sum, count| sum.checked_add(*count))
            .filter(|sum| (1..1 << 53).contains(sum))
    };
    let both = (total(reference)?, total(window)?);
    (reference.len() == window.len()).then_some(both)
}
