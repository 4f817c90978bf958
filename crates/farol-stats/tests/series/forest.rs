//! Cut trees and their forest.

use super::*;

#[test]
fn mean_displacements_are_those_of_rrcf() {
    let case = golden().displacement;
    let points: Vec<Vec<f32>> = case
        .points
        .iter()
        .map(|point| point.iter().map(|value| *value as f32).collect())
        .collect();
    let trees = 2000;
    let mut uniform = uniform(3);
    let mut sums = vec![0.0; points.len()];
    for _ in 0..trees {
        let mut tree = CutTree::default();
        let leaves: Vec<_> = points
            .iter()
            .map(|point| tree.insert(point, &mut uniform))
            .collect();
        for (sum, leaf) in sums.iter_mut().zip(leaves) {
            *sum += tree.displacement(leaf);
        }
    }
    for ((sum, mean), error) in sums.iter().zip(&case.mean).zip(&case.standard_error) {
        // Both are means of as many random trees: the difference has √2 of the standard error.
        let apart = (sum / f64::from(trees) - mean).abs();
        assert!(
            apart < 5.0 * error * 2.0_f64.sqrt(),
            "{apart} {error} {mean}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_tree_holds_what_was_put_in_and_not_taken_out(
        points in prop::collection::vec(prop::array::uniform2(-3_i8..3), 1..60), seed: u64,
    ) {
        let mut uniform = uniform(seed);
        let mut tree = CutTree::default();
        let mut leaves = std::collections::VecDeque::new();
        for (place, point) in points.iter().enumerate() {
            let point = point.map(f32::from);
            leaves.push_back(tree.insert(&point, &mut uniform));
            if place % 3 == 2 {
                tree.remove(leaves.pop_front().expect("a leaf"));
            }
            prop_assert_eq!(tree.len(), leaves.len());
            for leaf in &leaves {
                let displacement = tree.displacement(*leaf);
                prop_assert!((0.0..leaves.len() as f64).contains(&displacement));
            }
        }
        while let Some(leaf) = leaves.pop_front() {
            tree.remove(leaf);
        }
        prop_assert!(tree.is_empty());
    }
}

#[test]
fn the_forest_finds_what_stands_apart_and_is_the_same_on_replay() {
    let run = || {
        let mut uniform = uniform(4);
        let mut forest = CutForest::new(10, 64, 5);
        (0..600)
            .map(|row| {
                let value = if row == 500 { 8.0 } else { uniform() };
                forest.observe(row, Some(value)).unwrap_or(0.0)
            })
            .collect::<Vec<_>>()
    };
    let scores = run();
    let highest = (0..600).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    assert!(
        highest.is_some_and(|row| (500..504).contains(&row)),
        "{highest:?}"
    );
    assert_eq!(scores, run());
}
