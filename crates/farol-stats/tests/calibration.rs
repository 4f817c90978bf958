//! Calibration and expected performance against scikit-learn: `golden/calibration.py`.

use farol_stats::calibration::expected_performance::{
    ExpectedConfusion, expected_area_under_curve,
};
use farol_stats::calibration::isotonic::IsotonicCalibration;
use farol_stats::calibration::platt::PlattCalibration;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Calibration {
    scores: Vec<f64>,
    labels: Vec<bool>,
    at: Vec<f64>,
    isotonic: Vec<f64>,
    slope: f64,
    intercept: f64,
    platt: Vec<f64>,
}

#[derive(Deserialize)]
struct Performance {
    probabilities: Vec<f64>,
    scores: Vec<f64>,
    predicted: Vec<bool>,
    accuracy: f64,
    precision: f64,
    recall: f64,
    f1: f64,
    area: f64,
    deviation: f64,
}

#[derive(Deserialize)]
struct Golden {
    calibrations: Vec<Calibration>,
    performances: Vec<Performance>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/calibration.json")).expect("the golden file")
}

fn assert_close(found: Option<f64>, expected: f64, what: &str) {
    let close = found.is_some_and(|f| (f - expected).abs() <= TOLERANCE * (1.0 + expected.abs()));
    assert!(close, "{what}: {found:?} {expected}");
}

#[test]
fn isotonic_calibration_is_that_of_scikit_learn() {
    let cases = golden().calibrations;
    assert!(cases.len() >= 6);
    for case in cases {
        let fitted = IsotonicCalibration::fit(&case.scores, &case.labels).expect("scores");
        for (at, expected) in case.at.iter().zip(&case.isotonic) {
            assert_close(fitted.probability(*at), *expected, &format!("at {at}"));
        }
    }
}

#[test]
fn platt_calibration_is_where_its_gradient_is_zero() {
    for case in golden().calibrations {
        let fitted = PlattCalibration::fit(&case.scores, &case.labels).expect("scores");
        assert_close(Some(fitted.slope), case.slope, "slope");
        assert_close(Some(fitted.intercept), case.intercept, "intercept");
        for (at, expected) in case.at.iter().zip(&case.platt) {
            assert_close(fitted.probability(*at), *expected, &format!("at {at}"));
        }
    }
}

#[test]
fn expected_performance_is_that_of_weighted_rows() {
    let cases = golden().performances;
    assert!(cases.len() >= 4);
    for case in cases {
        let found = ExpectedConfusion::of(&case.probabilities, &case.predicted).expect("rows");
        assert_close(Some(found.accuracy()), case.accuracy, "accuracy");
        assert_close(
            Some(found.accuracy_deviation()),
            case.deviation,
            "deviation",
        );
        assert_close(found.precision(), case.precision, "precision");
        assert_close(found.recall(), case.recall, "recall");
        assert_close(found.f1(), case.f1, "F1");
        let area = expected_area_under_curve(&case.scores, &case.probabilities);
        assert_close(area, case.area, "area");
    }
}

/// Scores over a range of inputs, and labels that are positive with the square of the score.
fn labelled(rng: &mut ChaCha8Rng, rows: usize, from: f64, to: f64) -> (Vec<f64>, Vec<bool>) {
    (0..rows)
        .map(|_| {
            let score = from + (to - from) * rng.random::<f64>();
            (score, rng.random::<f64>() < score * score)
        })
        .unzip()
}

#[test]
fn accuracy_is_foretold_where_the_mix_of_inputs_changes() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (scores, labels) = labelled(&mut rng, 20_000, 0.0, 1.0);
    let calibration = IsotonicCalibration::fit(&scores, &labels).expect("scores");
    for (from, to) in [(0.0, 1.0), (0.0, 0.5), (0.5, 0.9), (0.8, 1.0)] {
        let (scores, labels) = labelled(&mut rng, 5000, from, to);
        let predicted: Vec<bool> = scores.iter().map(|score| *score > 0.5).collect();
        let probabilities: Option<Vec<f64>> = scores
            .iter()
            .map(|score| calibration.probability(*score))
            .collect();
        let expected = ExpectedConfusion::of(&probabilities.expect("scores"), &predicted);
        let expected = expected.expect("rows");
        let right = labels
            .iter()
            .zip(&predicted)
            .filter(|(label, guess)| label == guess)
            .count();
        let actual = right as f64 / labels.len() as f64;
        // Four deviations for the labels' chance, and what the calibration itself misses.
        let allowed = 4.0 * expected.accuracy_deviation() + 0.01;
        let found = expected.accuracy();
        assert!(
            (found - actual).abs() < allowed,
            "{from} to {to}: {found} {actual}"
        );
    }
}
