//! Every statistic against a reference implementation: the golden files, and the scripts that made them, are in
//! `golden`.

use farol_stats::overlap::{mean_overlap, mean_pairwise_overlap, word_overlap};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Overlap {
    texts: Vec<String>,
    pairs: Vec<f64>,
    mean_pairwise: f64,
    first_with_others: f64,
}

#[test]
fn overlap_is_that_of_scikit_learn() {
    let cases: Vec<Overlap> =
        serde_json::from_str(include_str!("golden/overlap.json")).expect("the golden file");
    assert!(cases.len() >= 9);
    for case in cases {
        let texts: Vec<_> = case.texts.iter().map(String::as_str).collect();
        let mut found = Vec::new();
        for (place, text) in texts.iter().enumerate() {
            for other in &texts[place + 1..] {
                found.push(word_overlap(text, other).expect("words"));
            }
        }
        assert_eq!(found.len(), case.pairs.len());
        for (found, expected) in found.iter().zip(&case.pairs) {
            assert!(
                (found - expected).abs() < TOLERANCE,
                "{texts:?}: {found} {expected}"
            );
        }
        let close = |found: Option<f64>, expected: f64| {
            found.is_some_and(|found| (found - expected).abs() < TOLERANCE)
        };
        assert!(
            close(mean_pairwise_overlap(&texts), case.mean_pairwise),
            "{texts:?}"
        );
        assert!(
            close(mean_overlap(texts[0], &texts[1..]), case.first_with_others),
            "{texts:?}"
        );
    }
}
