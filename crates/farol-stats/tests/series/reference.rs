//! Fits, limits and distances against reference implementations.

use super::*;

#[test]
fn pareto_fits_are_those_of_scipy() {
    for case in golden().pareto {
        let tail = GeneralizedPareto::maximum_likelihood(&case.excesses).expect("a fit");
        assert_close(tail.shape, case.shape, 1e-6);
        assert_close(tail.scale / case.scale, 1.0, 1e-6);
        let its = GeneralizedPareto {
            shape: case.shape,
            scale: case.scale,
        };
        assert_close(
            its.log_likelihood(&case.excesses),
            case.log_likelihood,
            1e-9,
        );
        assert_close(its.survival(case.far) / case.survival, 1.0, 1e-9);
        assert_close(its.level(1e-3) / case.level, 1.0, 1e-9);
        let tail = GeneralizedPareto::method_of_moments(&case.excesses).expect("a fit");
        assert_close(tail.shape, case.moments_shape, 1e-9);
        assert_close(tail.scale / case.moments_scale, 1.0, 1e-9);
    }
}

#[test]
fn excesses_that_cannot_be_fit_have_no_fit() {
    for excesses in [&[][..], &[1.0], &[1.0, 1.0], &[1.0, -1.0], &[1.0, f64::NAN]] {
        assert_eq!(GeneralizedPareto::maximum_likelihood(excesses), None);
        assert_eq!(GeneralizedPareto::method_of_moments(excesses), None);
    }
}

#[test]
fn first_limits_of_spot_are_those_of_scipy() {
    for case in golden().spot {
        let spot = Spot::new(&case.first, case.risk).expect("enough values");
        assert_close(spot.limit(), case.limit, 1e-6);
    }
}

#[test]
fn spot_alarms_about_as_often_as_its_risk_and_learns_alarms_as_far_as_the_limit() {
    let mut uniform = uniform(1);
    let first: Vec<f64> = (0..2000).map(|_| -uniform().ln()).collect();
    let mut spot = Spot::new(&first, 2e-3).expect("enough values");
    let alarms = (0..10_000)
        .filter(|_| spot.observe(-uniform().ln()) == Some(Extremity::Alarm))
        .count();
    // 20 by the risk, and up to three times as many by the uncertainty of the first limit.
    assert!((10..=60).contains(&alarms), "{alarms}");
    let limit = spot.limit();
    assert_eq!(spot.observe(1e6), Some(Extremity::Alarm));
    assert_eq!(spot.observe(f64::NAN), None);
    assert!((spot.limit() / limit - 1.0).abs() < 0.1);
    assert!(Spot::new(&first, 0.5).is_none());
    assert!(Spot::new(&[0.0; 500], 1e-3).is_none());
}

#[test]
fn drift_spot_follows_a_trend_where_spot_alarms() {
    let mut uniform = uniform(2);
    let mut normal = || (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
    let series: Vec<f64> = (0..6000)
        .map(|row| f64::from(row) * 0.01 + normal())
        .collect();
    let (first, rest) = series.split_at(1000);
    let mut drift = DriftSpot::new(first, 20, 1e-4).expect("enough values");
    let mut plain = Spot::new(first, 1e-4).expect("enough values");
    let alarms = |found: Option<Extremity>| usize::from(found == Some(Extremity::Alarm));
    let of_drift: usize = rest.iter().map(|value| alarms(drift.observe(*value))).sum();
    let of_plain: usize = rest.iter().map(|value| alarms(plain.observe(*value))).sum();
    assert!(of_drift <= 3, "{of_drift}");
    assert!(of_plain > 20, "{of_plain}");
    assert_eq!(drift.observe(drift.limit() + 1.0), Some(Extremity::Alarm));
}

#[test]
fn recursive_least_squares_is_the_closed_form() {
    for case in golden().recursive_least_squares {
        let mut regression =
            RecursiveLeastSquares::new(case.weights.len(), case.forgetting, case.variance);
        for (row, target) in case.rows.iter().zip(&case.target) {
            let error = target - regression.predict(row);
            regression.learn(row, error);
        }
        for (found, expected) in regression.weights().iter().zip(&case.weights) {
            assert_close(*found, *expected, 1e-9);
        }
    }
}

#[test]
fn distances_to_neighbours_are_those_of_scikit_learn() {
    let case = golden().neighbours;
    let mut neighbours = NearestSubsequences::default();
    for value in case.values {
        neighbours.score(0, value);
    }
    assert_close(
        neighbours.distance().expect("enough values"),
        case.distance,
        1e-9,
    );
}

#[test]
fn incremental_components_come_close_to_those_of_scikit_learn() {
    let case = golden().components;
    let mut components = IncrementalComponents::new(6, 2, 100_000);
    for row in &case.rows {
        components.observe(row);
    }
    // The algorithm only converges to them: with 2,000 rows to within a few degrees.
    for (found, expected) in components.components().iter().zip(&case.components) {
        let cosine: f64 = found.iter().zip(expected).map(|(a, b)| a * b).sum();
        assert!(cosine.abs() > 0.998, "{cosine}");
    }
}
