//! Benjamini–Hochberg against statsmodels.

use farol_stats::drift::decision::benjamini_hochberg;
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
