//! A measure of two mixes beside what it would be under no change: debiased effect and p-value.
//!
//! ```text
//! counts ──(pooled for PSI and χ²)──▶ statistic ──▶ scaled to PSI's scale ──− mean under no change, ≥ 0──▶ effect
//!                                        └──▶ among tables dealt anew (or χ² with B − 1 degrees) ──▶ p
//! ```
//!
//! The asymptotic null is used only where it is good: every cell's expected count on the smaller side must be at least
//! [`FULL_CELL`] · √(B − 1), since a relative error of the mean counts the more the more categories share the variance.
//! There PSI's mean is off by about a hundredth of the null's deviation, and a difference that is significant is too small
//! to be an effect. Everywhere else the null is drawn with both margins kept, which holds its level at any size and any
//! sparsity.

use super::chi_square::{chi_square_homogeneity, chi_square_survival};
use super::dealing::Dealing;
use super::divergence::{jensen_shannon, population_stability_index};
use super::new_categories::new_values;
use super::pooling::{MINIMUM_EXPECTED, pool_sparse};
use super::totals;
use crate::drift::resampling::Resampling;

/// The asymptotic null is used from this expected count, times √(B − 1), on.
pub const FULL_CELL: f64 = 100.0;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The Population Stability Index in nats, of pooled cells.
    PopulationStabilityIndex,
    /// The Jensen–Shannon divergence in nats, of all categories as they are: neither pooled nor smoothed.
    JensenShannon,
    /// Pearson's X², of pooled cells.
    ChiSquare,
    /// The share of the window in categories that the reference never had.
    NewCategoryMass,
}

/// Where a null came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullKind {
    /// χ² with these degrees of freedom.
    ChiSquare(u64),
    /// Tables drawn with both margins kept.
    Resampled,
}

/// A measure beside what it would be under no change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The measure itself.
    pub statistic: f64,
    /// Its mean under no change at these sizes, in its own unit.
    pub expected: f64,
    /// What is above `expected`, at least 0, on one scale for all: PSI itself, 8 · JSD and X² · (n + m)/(nm), which agree
    /// for small changes; for new categories the share.
    pub effect: f64,
    /// P(a statistic at least as large) under no change.
    pub p_value: f64,
    /// Where `expected` and `p_value` came from.
    pub null: NullKind,
    /// How many cells were compared.
    pub cells: usize,
}

impl Measure {
    fn is_of_pooled_cells(self) -> bool {
        matches!(self, Self::PopulationStabilityIndex | Self::ChiSquare)
    }

    fn of(self, reference: &[u64], window: &[u64]) -> Option<f64> {
        match self {
            Self::PopulationStabilityIndex => population_stability_index(reference, window),
            Self::JensenShannon => jensen_shannon(reference, window),
            Self::ChiSquare => Some(chi_square_homogeneity(reference, window)?.statistic),
            Self::NewCategoryMass => {
                let (_, m) = totals(reference, window)?;
                Some(new_values(reference, window) as f64 / m as f64)
            }
        }
    }

    /// What the statistic is multiplied by to be on the common scale.
    fn to_effect(self, n: f64, m: f64) -> f64 {
        match self {
            Self::PopulationStabilityIndex | Self::NewCategoryMass => 1.0,
            Self::JensenShannon => 8.0,
            Self::ChiSquare => (n + m) / (n * m),
        }
    }
}

/// The mean and the p-value of a statistic by the asymptotic null: on the common scale, times nm/(n + m), it is χ² with
/// B − 1 degrees of freedom. `None` for a measure without one, an empty side or no categories.
///
/// Right where every expected count is large; [`compare`] says when.
pub fn asymptotic_null(
    measure: Measure,
    statistic: f64,
    sizes: (u64, u64),
    categories: usize,
) -> Option<(f64, f64)> {
    let (n, m) = (sizes.0 as f64, sizes.1 as f64);
    if measure == Measure::NewCategoryMass || n * m == 0.0 || categories == 0 {
        return None;
    }
    let to_chi_square = measure.to_effect(n, m) * n * m / (n + m);
    let degrees = categories as u64 - 1;
    Some((
        degrees as f64 / to_chi_square,
        chi_square_survival(statistic * to_chi_square, degrees),
    ))
}

/// Compares two mixes, given as counts of one order of categories.
///
/// PSI and χ² look at cells of [`pool_sparse`]; the others at all categories. `None` where a side is empty, the lengths
/// differ or there are no rounds. The same seed gives the same answer. Assumes independent values.
pub fn compare(
    measure: Measure,
    reference: &[u64],
    window: &[u64],
    resampling: Resampling,
) -> Option<Comparison> {
    let (n, m) = totals(reference, window)?;
    // No minimum: only categories that neither side has are left out.
    let minimum = if measure.is_of_pooled_cells() {
        MINIMUM_EXPECTED
    } else {
        0.0
    };
    let (reference, window) = pool_sparse(reference, window, minimum)?;
    let statistic = measure.of(&reference, &window)?;
    let cells = reference.len();
    let asymptotic = is_full(&reference, &window)
        .then(|| asymptotic_null(measure, statistic, (n, m), cells))
        .flatten();
    let null = if asymptotic.is_some() {
        NullKind::ChiSquare(cells as u64 - 1)
    } else {
        NullKind::Resampled
    };
    let (expected, p_value) = asymptotic
        .or_else(|| resampled_null(measure, statistic, &reference, &window, resampling))?;
    let scale = measure.to_effect(n as f64, m as f64);
    Some(Comparison {
        statistic,
        expected,
        effect: scale * (statistic - expected).max(0.0),
        p_value,
        null,
        cells,
    })
}

/// Whether every cell has enough for the asymptotic null.
fn is_full(reference: &[u64], window: &[u64]) -> bool {
    let degrees = (reference.len() - 1) as f64;
    chi_square_homogeneity(reference, window)
        .is_some_and(|test| test.smallest_expected >= FULL_CELL * degrees.sqrt())
}

/// The mean and the p-value of a statistic among tables dealt anew.
fn resampled_null(
    measure: Measure,
    statistic: f64,
    reference: &[u64],
    window: &[u64],
    resampling: Resampling,
) -> Option<(f64, f64)> {
    let dealing = Dealing::of(reference, window);
    let (mut dealt_reference, mut dealt_window) = (reference.to_vec(), window.to_vec());
    let null = resampling.draw(|generator| {
        dealing.deal(generator, &mut dealt_reference, &mut dealt_window);
        // The margins are those of the tables compared, for which the measure is known.
        measure
            .of(&dealt_reference, &dealt_window)
            .unwrap_or(f64::INFINITY)
    });
    Some((null.mean()?, null.p_value(statistic)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESAMPLING: Resampling = Resampling {
        rounds: 999,
        seed: 3,
    };
    const MEASURES: [Measure; 3] = [
        Measure::PopulationStabilityIndex,
        Measure::JensenShannon,
        Measure::ChiSquare,
    ];

    #[test]
    fn full_cells_use_chi_square_and_it_agrees_with_dealing() {
        let (reference, window) = ([4_000, 3_000, 2_000], [2_060, 1_480, 960]);
        for measure in MEASURES {
            let found = compare(measure, &reference, &window, RESAMPLING).unwrap();
            assert_eq!(found.null, NullKind::ChiSquare(2));
            let (expected, p_value) =
                resampled_null(measure, found.statistic, &reference, &window, RESAMPLING).unwrap();
            assert!((found.p_value - p_value).abs() < 0.05, "{measure:?}");
            assert!((found.expected / expected - 1.0).abs() < 0.1, "{measure:?}");
        }
    }

    #[test]
    fn effects_are_on_one_scale() {
        let (reference, window) = ([5_000, 5_000], [6_200, 3_800]);
        let effects = MEASURES.map(|measure| {
            compare(measure, &reference, &window, RESAMPLING)
                .unwrap()
                .effect
        });
        assert!(
            effects
                .iter()
                .all(|effect| (effect / effects[0] - 1.0).abs() < 0.02)
        );
    }

    #[test]
    fn sparse_tables_are_dealt_anew() {
        let reference: Vec<u64> = (0..100).map(|place| u64::from(place % 2 == 0)).collect();
        let window: Vec<u64> = (0..100).map(|place| u64::from(place % 2 == 1)).collect();
        for measure in MEASURES {
            let found = compare(measure, &reference, &window, RESAMPLING).unwrap();
            assert_eq!(found.null, NullKind::Resampled);
            // Every value is in a category of its own, so no dealing differs from another.
            assert!(found.p_value > 0.05 || measure != Measure::JensenShannon);
        }
    }

    #[test]
    fn new_categories_are_weighed_against_a_long_tail() {
        // Each value its own category: new ones are what one expects.
        let tail = compare(
            Measure::NewCategoryMass,
            &[&[1; 50][..], &[0; 50]].concat(),
            &[&[0; 50][..], &[1; 50]].concat(),
            RESAMPLING,
        )
        .unwrap();
        assert!((tail.p_value - 1.0).abs() < 1e-12 && tail.effect.abs() < 1e-12);
        let sudden = compare(
            Measure::NewCategoryMass,
            &[500, 500, 0],
            &[40, 40, 20],
            RESAMPLING,
        )
        .unwrap();
        assert!(sudden.p_value < 0.01 && sudden.effect > 0.1);
    }

    #[test]
    fn nothing_to_compare_is_not_known() {
        let none = Resampling { rounds: 0, seed: 0 };
        for measure in MEASURES {
            assert_eq!(compare(measure, &[1, 2], &[0, 0], RESAMPLING), None);
            assert_eq!(compare(measure, &[10, 20], &[20, 10], none), None);
            let single = compare(measure, &[10], &[20], RESAMPLING).unwrap();
            assert!((single.p_value - 1.0).abs() < 1e-12 && single.effect.abs() < 1e-12);
        }
    }
}
