//! The conformal detector against values written out in Python: `golden/conformal.py`.

use farol_stats::sequential::conformal::ConformalDetector;
use serde::Deserialize;

const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Case {
    scores: Vec<f64>,
    p_values: Vec<f64>,
    places: Vec<usize>,
    expected: Vec<f64>,
}

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[test]
fn ranks_are_those_of_the_reference_and_a_value_is_the_sum_over_all_starts() {
    let golden: Golden =
        serde_json::from_str(include_str!("../golden/conformal.json")).expect("the golden file");
    assert_eq!(golden.cases.len(), 3);
    for case in golden.cases {
        let mut detector = ConformalDetector::default();
        let mut expected = case.places.iter().zip(&case.expected).peekable();
        for (place, (score, p_value)) in case.scores.iter().zip(&case.p_values).enumerate() {
            let found = detector.p_value(*score).expect("a number");
            assert!(
                (found - p_value).abs() < TOLERANCE,
                "{place}: {found} {p_value}"
            );
            let value = detector.observe(*score).expect("a number");
            if let Some((_, expected)) = expected.next_if(|(at, _)| **at == place) {
                let close = (value - expected).abs() <= TOLERANCE * (1.0 + expected.abs());
                assert!(close, "{place}: {value} {expected}");
            }
        }
        assert!(expected.next().is_none(), "every value was looked at");
    }
}
