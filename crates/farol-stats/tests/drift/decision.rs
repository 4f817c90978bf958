//! Benjamini–Hochberg against statsmodels, and decisions over many columns.

use farol_stats::drift::categories::{Measure, compare};
use farol_stats::drift::decision::{benjamini_hochberg, is_drift};
use farol_stats::drift::resampling::Resampling;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use crate::assert_close;

#[derive(Deserialize)]
struct Case {
    p_values: Vec<f64>,
    adjusted: Vec<f64>,
}

#[test]
fn p_values_are_adjusted_as_statsmodels_does() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../golden/drift_decision.json")).expect("golden");
    assert!(cases.len() >= 10);
    for case in cases {
        let found = benjamini_hochberg(&case.p_values).expect("probabilities");
        assert_eq!(found.len(), case.adjusted.len());
        for (found, expected) in found.iter().zip(&case.adjusted) {
            assert_close(*found, *expected, 1e-14, &format!("{:?}", case.p_values));
        }
    }
}

/// Columns that changed beside many that did not: of what is announced, few are false, and the changed ones are found.
#[test]
fn among_many_columns_the_changed_ones_are_announced() {
    const COLUMNS: usize = 30;
    const CHANGED: usize = 3;
    let resampling = Resampling {
        rounds: 1_999,
        seed: 9,
    };
    let mut generator = ChaCha8Rng::seed_from_u64(4);
    let mut counts = |first: f64| {
        let mut counts = [0_u64; 4];
        for _ in 0..150 {
            let at = generator.random::<f64>();
            counts[if at < first {
                0
            } else {
                1 + (3.0 * (at - first) / (1.0 - first)) as usize
            }] += 1;
        }
        counts
    };
    let tests: Vec<_> = (0..COLUMNS)
        .map(|column| {
            let window = if column < CHANGED { 0.6 } else { 0.25 };
            let (reference, window) = (counts(0.25), counts(window));
            compare(Measure::JensenShannon, &reference, &window, resampling).expect("counts")
        })
        .collect();
    let p_values: Vec<f64> = tests.iter().map(|test| test.p_value).collect();
    let adjusted = benjamini_hochberg(&p_values).expect("probabilities");
    let announced: Vec<usize> = (0..COLUMNS)
        .filter(|column| is_drift(adjusted[*column], tests[*column].effect, 0.05))
        .collect();
    assert_eq!(announced, [0, 1, 2]);
}

#[test]
fn the_same_seed_gives_the_same_answer() {
    let (reference, window) = ([30, 8, 2, 1, 0, 4], [25, 2, 6, 0, 3, 1]);
    let answer = |seed| {
        let resampling = Resampling { rounds: 99, seed };
        compare(Measure::JensenShannon, &reference, &window, resampling).expect("counts")
    };
    assert_eq!(answer(1), answer(1));
    assert!((answer(1).expected - answer(2).expected).abs() > 0.0);
}
