//! Classifiers and vectors against scikit-learn and SciPy.

use farol_stats::drift::area_under_curve::area_under_curve;
use farol_stats::drift::logistic::Logistic;
use farol_stats::drift::rows::Rows;
use farol_stats::drift::vectors::cosine::cosine_distance_of_means;
use farol_stats::drift::vectors::maximum_mean_discrepancy::{
    maximum_mean_discrepancy, median_distance, random_feature_discrepancy,
};
use farol_stats::drift::vectors::random_features::RandomFeatures;
use farol_stats::drift::vectors::reconstruction::Reconstruction;
use serde::Deserialize;

use crate::assert_close;

#[derive(Deserialize)]
struct Golden {
    areas: Vec<Area>,
    regressions: Vec<Regression>,
    vectors: Vec<Vectors>,
}

#[derive(Deserialize)]
struct Area {
    positive: Vec<f64>,
    negative: Vec<f64>,
    expected: f64,
}

#[derive(Deserialize)]
struct Regression {
    rows: Vec<f64>,
    width: usize,
    labels: Vec<bool>,
    penalty: f64,
    coefficients: Vec<f64>,
    intercept: f64,
}

#[derive(Deserialize)]
struct Vectors {
    reference: Vec<f64>,
    window: Vec<f64>,
    width: usize,
    cosine: f64,
    bandwidth: f64,
    discrepancy: f64,
    frequencies: Vec<f64>,
    feature_discrepancy: f64,
    components: usize,
    errors: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/drift_vectors.json")).expect("the golden file")
}

#[test]
fn areas_are_those_of_scikit_learn() {
    let cases = golden().areas;
    assert!(cases.len() >= 4);
    for case in cases {
        let found = area_under_curve(&case.positive, &case.negative).expect("scores");
        assert_close(found, case.expected, 1e-14, "area");
    }
}

#[test]
fn regressions_are_those_of_scikit_learn() {
    let cases = golden().regressions;
    assert!(cases.len() >= 3);
    for case in cases {
        let what = format!("{} columns", case.width);
        let rows = Rows::new(&case.rows, case.width).expect("rows");
        let model = Logistic::fit(rows, &case.labels, case.penalty).expect("both sides");
        assert_eq!(model.coefficients.len(), case.coefficients.len());
        for (found, expected) in model.coefficients.iter().zip(&case.coefficients) {
            assert_close(*found, *expected, 1e-7, &what);
        }
        assert_close(model.intercept, case.intercept, 1e-7, &what);
    }
}

#[test]
fn vectors_are_compared_as_scikit_learn_does() {
    let cases = golden().vectors;
    assert!(cases.len() >= 3);
    for case in cases {
        let what = format!("{} wide", case.width);
        let reference = Rows::new(&case.reference, case.width).expect("rows");
        let window = Rows::new(&case.window, case.width).expect("rows");
        let frequencies = Rows::new(&case.frequencies, case.width).expect("rows");

        let found = cosine_distance_of_means(reference, window).expect("means");
        assert_close(found, case.cosine, 1e-12, &what);
        let bandwidth = median_distance(reference, usize::MAX, 0).expect("pairs");
        assert_close(bandwidth, case.bandwidth, 1e-12, &what);
        let found = maximum_mean_discrepancy(reference, window, bandwidth).expect("rows");
        assert_close(found, case.discrepancy, 1e-12, &what);
        let features = RandomFeatures::from_frequencies(frequencies);
        let found = random_feature_discrepancy(reference, window, &features).expect("rows");
        assert_close(found, case.feature_discrepancy, 1e-12, &what);

        let model = Reconstruction::fit(reference, case.components).expect("directions");
        let errors = model.errors(window).expect("one width");
        assert_eq!(errors.len(), case.errors.len());
        for (found, expected) in errors.iter().zip(&case.errors) {
            assert_close(*found, *expected, 1e-9, &what);
        }
    }
}
