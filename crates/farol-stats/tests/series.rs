//! The detectors of series against reference implementations (`golden/series.py`), against series whose anomalies are
//! known, and NAB's rule against cases computed by hand.

use farol_stats::series::Detector;
use farol_stats::series::autoregression::RecursiveLeastSquares;
use farol_stats::series::change::Change;
use farol_stats::series::components::IncrementalComponents;
use farol_stats::series::counter::CounterRate;
use farol_stats::series::cuts::CutTree;
use farol_stats::series::ensemble::{Ensemble, Verdict, WARM_UP};
use farol_stats::series::extremes::GeneralizedPareto;
use farol_stats::series::flat::FlatLine;
use farol_stats::series::forest::CutForest;
use farol_stats::series::neighbours::NearestSubsequences;
use farol_stats::series::range::RangeNovelty;
use farol_stats::series::seasonal::SeasonalBaseline;
use farol_stats::series::threshold::{DriftSpot, Extremity, Spot};
use farol_stats::series::windows::{Judged, PROFILES, probation_rows, scaled_sigmoid};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    pareto: Vec<Pareto>,
    spot: Vec<GoldenSpot>,
    recursive_least_squares: Vec<Regression>,
    neighbours: Neighbours,
    components: Components,
    displacement: Displacement,
}

#[derive(Deserialize)]
struct Pareto {
    excesses: Vec<f64>,
    shape: f64,
    scale: f64,
    moments_shape: f64,
    moments_scale: f64,
    log_likelihood: f64,
    far: f64,
    survival: f64,
    level: f64,
}

#[derive(Deserialize)]
struct GoldenSpot {
    first: Vec<f64>,
    risk: f64,
    limit: f64,
}

#[derive(Deserialize)]
struct Regression {
    forgetting: f64,
    variance: f64,
    rows: Vec<Vec<f64>>,
    target: Vec<f64>,
    weights: Vec<f64>,
}

#[derive(Deserialize)]
struct Neighbours {
    values: Vec<f64>,
    distance: f64,
}

#[derive(Deserialize)]
struct Components {
    rows: Vec<Vec<f64>>,
    components: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Displacement {
    points: Vec<Vec<f64>>,
    mean: Vec<f64>,
    standard_error: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/series.json")).expect("the golden file")
}

fn assert_close(found: f64, expected: f64, tolerance: f64) {
    let apart = (found - expected).abs() / expected.abs().max(1.0);
    assert!(apart < tolerance, "{found} is not {expected}");
}

/// Uniform numbers in [0, 1) from a seed.
fn uniform(seed: u64) -> impl FnMut() -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    move || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

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

    #[test]
    fn no_value_makes_a_score_that_is_no_number(
        values in prop::collection::vec(prop::option::of(prop::num::f64::ANY), 200..400),
    ) {
        let mut ensemble = Ensemble::default();
        let mut forest = CutForest::new(3, 32, 1);
        for (row, value) in values.into_iter().enumerate() {
            let time = row as i64 * 600;
            if let Some(verdict) = ensemble.observe(time, value) {
                prop_assert!(verdict.score.is_finite() && verdict.score >= 0.0);
                prop_assert!(verdict.alarm.is_none() || row as u32 >= WARM_UP);
            }
            let score = forest.observe(time, value);
            prop_assert!(score.is_none_or(|score| score.is_finite() && score >= 0.0));
        }
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

/// Two weeks of a day's rhythm with noise, a value every 10 minutes, changed by `change`, through the ensemble.
fn verdicts(seed: u64, change: impl Fn(usize, f64) -> Option<f64>) -> Vec<Option<Verdict>> {
    let mut uniform = uniform(seed);
    let mut ensemble = Ensemble::default();
    (0..14 * 144)
        .map(|row| {
            let hour = row as f64 / 6.0;
            let wave = 100.0 + 30.0 * (hour / 24.0 * std::f64::consts::TAU).sin();
            let value = wave + 4.0 * (uniform() + uniform() + uniform() - 1.5);
            ensemble.observe(row as i64 * 600, change(row, value))
        })
        .collect()
}

fn alarms(verdicts: &[Option<Verdict>]) -> Vec<usize> {
    let rows = verdicts.iter().enumerate();
    rows.filter(|(_, verdict)| verdict.is_some_and(|verdict| verdict.alarm.is_some()))
        .map(|(row, _)| row)
        .collect()
}

#[test]
fn a_spike_is_one_incident_and_told_from_a_shift_of_level() {
    for seed in 0..10 {
        let spike = verdicts(seed, |row, value| {
            Some(if (1500..1503).contains(&row) {
                value + 60.0
            } else {
                value
            })
        });
        let shift = verdicts(seed, |row, value| {
            Some(if row >= 1500 { value + 60.0 } else { value })
        });
        for (verdicts, expected) in [(spike, Change::Spike), (shift, Change::LevelShift)] {
            let near: Vec<_> = alarms(&verdicts)
                .into_iter()
                .filter(|row| (1500..1560).contains(row))
                .collect();
            assert_eq!(near.len(), 1, "{seed} {near:?}");
            assert!(near[0] < 1503, "{seed} {near:?}");
            let changes: Vec<_> = verdicts[near[0]..near[0] + 20]
                .iter()
                .flatten()
                .filter_map(|verdict| verdict.change)
                .collect();
            assert_eq!(changes, [expected], "{seed}");
        }
    }
}

#[test]
fn quiet_series_and_gaps_raise_few_alarms() {
    let mut all = 0;
    for seed in 0..20 {
        let quiet = verdicts(seed, |row, value| {
            (!(900..1000).contains(&row)).then_some(value)
        });
        assert!(quiet[900..1000].iter().all(Option::is_none));
        all += alarms(&quiet).len();
    }
    // The rarest of a quiet series' 2,000 values raise alarms too: up to two a series.
    assert!(all <= 40, "{all}");
}

#[test]
fn a_constant_series_never_raises_an_alarm_and_a_stuck_one_is_flat() {
    let constant = verdicts(1, |_, _| Some(7.0));
    assert_eq!(alarms(&constant), Vec::<usize>::new());
    assert!(constant.iter().flatten().all(|verdict| !verdict.flat));
    let stuck = verdicts(1, |row, value| {
        Some(if row >= 1500 { 100.0 } else { value })
    });
    assert!(stuck[..1500].iter().flatten().all(|verdict| !verdict.flat));
    assert!(stuck[1530].is_some_and(|verdict| verdict.flat));
}

#[test]
fn flat_lines_are_measured_by_those_before() {
    let mut flat = FlatLine::default();
    let scores: Vec<_> = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0]
        .into_iter()
        .map(|value| flat.observe(0, Some(value)))
        .collect();
    let third = 1.0 / 3.0;
    let expected = [
        None,
        Some(0.0),
        Some(0.0),
        Some(0.0),
        Some(third),
        Some(2.0 / 3.0),
        Some(1.0),
        Some(4.0 / 3.0),
    ];
    assert_eq!(scores, expected);
}

#[test]
fn a_reset_of_a_counter_is_no_drop() {
    let mut rate = CounterRate::default();
    let counts = [
        (0, Some(100.0)),
        (60, Some(160.0)),
        (120, None),
        (180, Some(280.0)),
        (240, Some(30.0)),
        (240, Some(31.0)),
    ];
    let rates: Vec<_> = counts
        .iter()
        .map(|(time, count)| rate.observe(*time, *count))
        .collect();
    assert_eq!(rates, [None, Some(1.0), None, Some(1.0), Some(0.5), None]);
}

#[test]
fn values_outside_of_the_range_are_novel_by_their_distance() {
    let mut range = RangeNovelty::default();
    for row in 0..100 {
        range.observe(row, Some(f64::from(row as i32 % 2)));
    }
    assert_eq!(range.observe(100, Some(0.5)), Some(0.0));
    let outside = range.observe(101, Some(3.0)).expect("a score");
    // Two ranges above the highest, which has been drawn a little towards the level.
    assert!((1.99..2.1).contains(&outside), "{outside}");
}

#[test]
fn holidays_are_compared_with_holidays() {
    let mut uniform = uniform(6);
    let (mut told, mut untold) = (SeasonalBaseline::default(), SeasonalBaseline::default());
    let (mut with, mut without) = (0.0, 0.0);
    for hour in 0..24 * 280_i64 {
        let day = hour / 24;
        // Every tenth day is a holiday, with little traffic.
        let holiday = day % 10 == 9;
        let value = if holiday { 20.0 } else { 100.0 } + uniform();
        let scores = [
            told.score_on(hour * 3600, value, holiday),
            untold.score(hour * 3600, value),
        ];
        if holiday && day > 200 {
            with += scores[0].expect("warm");
            without += scores[1].expect("warm");
        }
    }
    assert!(with < 0.6 * without, "{with} {without}");
}

#[test]
fn state_survives_its_text() {
    let mut uniform = uniform(7);
    let mut ensemble = Ensemble::default();
    for row in 0..500 {
        ensemble.observe(row * 300, Some(uniform()));
    }
    let text = serde_json::to_string(&ensemble).expect("a text");
    let mut restored: Ensemble = serde_json::from_str(&text).expect("the same state");
    for row in 500..700 {
        let value = Some(uniform());
        assert_eq!(
            ensemble.observe(row * 300, value),
            restored.observe(row * 300, value)
        );
    }
}

#[test]
fn the_sigmoid_and_probation_are_those_that_nab_describes() {
    assert_close(scaled_sigmoid(-1.0), 0.986_614_298_151_43, 1e-12);
    assert_close(scaled_sigmoid(-0.5), 0.848_283_639_957_513, 1e-12);
    assert_close(scaled_sigmoid(0.0), 0.0, 1e-12);
    assert_close(scaled_sigmoid(3.1), -1.0, 1e-12);
    assert_close(probation_rows(4032), 604.0, 1e-12);
    assert_close(probation_rows(20_000), 750.0, 1e-12);
}

/// 100 rows, windows at rows 40 to 49 and 70 to 79; the score is the row's place in `order`, or 0.
fn judged(alarms: &[(usize, f64)]) -> Judged {
    let times: Vec<i64> = (0..100).collect();
    let mut scores = vec![0.0; 100];
    for (row, score) in alarms {
        scores[*row] = *score;
    }
    let mut judged = Judged::default();
    judged.add(&times, &scores, &[(40, 49), (70, 79)]);
    judged
}

#[test]
fn totals_are_those_computed_by_hand() {
    let standard = &PROFILES[0];
    let sigmoid = |x: f64| 2.0 / (1.0 + (5.0 * x).exp()) - 1.0;
    // Silence: both windows missed.
    let silent = judged(&[]).at(standard, 0.5);
    assert_close(silent.total, -2.0, 1e-12);
    assert_close(silent.normalized, 0.0, 1e-12);
    // Both found at their first row: the best there is.
    let perfect = judged(&[(40, 1.0), (70, 1.0)]).at(standard, 0.5);
    assert_close(perfect.normalized, 100.0, 1e-9);
    // Half into the first window, later rows of it count nothing, the second missed, one false alarm far from any window,
    // one three rows after the first window, and one in probation that does not count.
    let mixed = judged(&[(5, 1.0), (20, 1.0), (45, 1.0), (48, 1.0), (52, 1.0)]);
    let expected = sigmoid(-0.5) / sigmoid(-1.0) - 1.0 - 0.11 + 0.11 * sigmoid(3.0 / 9.0);
    let outcome = mixed.at(standard, 0.5);
    assert_close(outcome.total, expected, 1e-12);
    assert_close(outcome.normalized, 100.0 * (expected + 2.0) / 4.0, 1e-9);
    assert_eq!((outcome.windows_found, outcome.false_alarms), (1, 2));
    // Misses weigh twice where false negatives are to be few.
    assert_close(judged(&[]).at(&PROFILES[2], 0.5).total, -4.0, 1e-12);
    assert_close(
        judged(&[(20, 1.0)]).at(&PROFILES[1], 0.5).total,
        -2.22,
        1e-12,
    );
}

#[test]
fn the_optimum_is_the_threshold_that_earns_most() {
    let standard = &PROFILES[0];
    let judged = judged(&[(20, 0.3), (25, 0.2), (40, 0.9), (70, 0.3), (90, 0.1)]);
    let optimum = judged.optimum(standard).expect("rows");
    // At 0.3 the second window is found for one false alarm.
    assert_close(optimum.threshold, 0.3, 1e-12);
    assert_close(optimum.total, 2.0 - 0.11, 1e-12);
    for threshold in [0.9, 0.2, 0.1] {
        assert!(judged.at(standard, threshold).total < optimum.total);
    }
    assert!(Judged::default().optimum(standard).is_none());
}
