//! Detectors against values written out in Python, and what is promised of them: `golden/sequential.py`.

#[path = "sequential/conformal.rs"]
mod conformal;

use farol_stats::sequential::Direction;
use farol_stats::sequential::cusum::BernoulliCusum;
use farol_stats::sequential::e_detector::EDetector;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Singles {
    baseline: f64,
    direction: Direction,
    values: Vec<f64>,
    expected: Vec<f64>,
}

#[derive(Deserialize)]
struct Windows {
    baseline: f64,
    direction: Direction,
    counts: Vec<(u64, u64)>,
    expected: Vec<f64>,
}

#[derive(Deserialize)]
struct Rule {
    baseline: f64,
    alternative: f64,
    asked: f64,
    lattice: (u32, u32, u32),
    rates: Vec<f64>,
    run_lengths: Vec<f64>,
}

#[derive(Deserialize)]
struct Golden {
    singles: Vec<Singles>,
    windows: Vec<Windows>,
    cusum: Vec<Rule>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/sequential.json")).expect("the golden file")
}

fn assert_close(found: f64, expected: f64, what: &str) {
    let close = (found - expected).abs() <= TOLERANCE * (1.0 + expected.abs());
    assert!(close, "{what}: {found} {expected}");
}

#[test]
fn a_value_is_the_sum_over_all_starts() {
    let cases = golden().singles;
    assert!(cases.len() >= 16);
    for case in cases {
        let mut detector = EDetector::new(case.direction, case.baseline, 1e6).expect("a baseline");
        for (value, expected) in case.values.iter().zip(&case.expected) {
            let found = detector.observe(*value).expect("a value");
            assert_close(found, *expected, &format!("baseline {}", case.baseline));
        }
        assert_eq!(detector.observations(), case.values.len() as u64);
    }
}

#[test]
fn a_window_is_the_mean_over_all_orders() {
    let cases = golden().windows;
    assert!(cases.len() >= 8);
    for case in cases {
        let mut detector = EDetector::new(case.direction, case.baseline, 1e6).expect("a baseline");
        for ((ones, trials), expected) in case.counts.iter().zip(&case.expected) {
            let found = detector.observe_window(*ones, *trials).expect("a window");
            assert_close(
                found,
                *expected,
                &format!("{ones} of {trials} at {}", case.baseline),
            );
        }
    }
}

#[test]
fn cusum_has_the_run_length_of_its_chain() {
    let cases = golden().cusum;
    assert!(cases.len() >= 5);
    for case in cases {
        let rule = BernoulliCusum::new(case.baseline, case.alternative, case.asked).expect("rates");
        assert_eq!(rule.lattice(), case.lattice);
        for (rate, expected) in case.rates.iter().zip(&case.run_lengths) {
            let found = rule.average_run_length(*rate).expect("a rate");
            assert_close(found, *expected, &format!("{} at {rate}", case.baseline));
        }
        assert!(rule.average_run_length(case.baseline).expect("a rate") >= case.asked);
    }
}

#[test]
fn a_sharp_change_is_dated() {
    let mut single = EDetector::new(Direction::Increase, 0.05, 1e5).expect("a baseline");
    assert_eq!(single.likely_change(), None);
    let mut window = single.clone();
    for _ in 0..300 {
        single.observe(0.0).expect("a value");
    }
    window.observe_window(0, 300).expect("a window");
    for _ in 0..12 {
        single.observe(1.0).expect("a value");
    }
    window.observe_window(12, 12).expect("a window");
    assert_eq!(single.likely_change(), Some(12));
    assert_eq!(window.likely_change(), Some(12));
}

#[test]
fn what_is_out_of_range_is_refused_and_changes_nothing() {
    for baseline in [0.0, 1.0, -0.1, f64::NAN] {
        assert_eq!(EDetector::new(Direction::Decrease, baseline, 100.0), None);
        assert_eq!(BernoulliCusum::new(baseline, 0.5, 100.0), None);
    }
    for length in [0.5, f64::INFINITY, f64::NAN] {
        assert_eq!(EDetector::new(Direction::Decrease, 0.5, length), None);
    }
    assert_eq!(BernoulliCusum::new(0.5, 0.5, 100.0), None);
    let mut detector = EDetector::new(Direction::Increase, 0.5, 100.0).expect("a baseline");
    detector.observe(0.7).expect("a value");
    let before = detector.clone();
    assert_eq!(detector.observe(f64::NAN), None);
    assert_eq!(detector.observe(-0.01), None);
    assert_eq!(detector.observe_window(3, 2), None);
    assert!(detector.observe_window(0, 0).is_some());
    assert_eq!(detector, before);
}

#[test]
fn the_state_goes_on_where_it_was_and_is_small() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut detector = EDetector::new(Direction::Decrease, 0.85, 1e5).expect("a baseline");
    for _ in 0..500 {
        detector.observe(rng.random()).expect("a value");
    }
    let state = serde_json::to_string(&detector).expect("plain numbers");
    assert!(state.len() < 4096, "{}", state.len());
    let mut read: EDetector = serde_json::from_str(&state).expect("its own state");
    for _ in 0..50 {
        let value = rng.random();
        let (kept, other) = (detector.observe(value), read.observe(value));
        let (kept, other) = (kept.expect("a value"), other.expect("a value"));
        assert_close(other, kept, "after reading");
    }
    detector.reset();
    let fresh = EDetector::new(Direction::Decrease, 0.85, 1e5).expect("a baseline");
    assert_eq!(detector, fresh);
}

#[test]
fn a_detector_that_is_not_reset_stays_a_number() {
    let mut detector = EDetector::new(Direction::Decrease, 0.99, 100.0).expect("a baseline");
    for _ in 0..5000 {
        detector.observe(0.0).expect("a value");
    }
    assert!(detector.value().is_finite() && detector.is_alarm());
    assert!(
        detector
            .observe_window(0, 100_000)
            .is_some_and(f64::is_finite)
    );
    // Nothing of it is lost for good: ones bring it down.
    for _ in 0..5 {
        detector
            .observe_window(1_000_000, 1_000_000)
            .expect("a window");
    }
    assert!(!detector.is_alarm());
}

/// Mean run length over some runs at a short asked length, each cut at 50 times that.
fn mean_run_length(seed: u64, asked: f64, step: impl Fn(&mut EDetector, &mut ChaCha8Rng)) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let runs = 800;
    let mut total = 0;
    for _ in 0..runs {
        let mut detector = EDetector::new(Direction::Decrease, 0.85, asked).expect("a baseline");
        while !detector.is_alarm() && (detector.observations() as f64) < 50.0 * asked {
            step(&mut detector, &mut rng);
        }
        total += detector.observations();
    }
    total as f64 / f64::from(runs)
}

#[test]
fn runs_without_a_change_are_as_long_as_asked() {
    let asked = 1000.0;
    let singles = mean_run_length(11, asked, |detector, rng| {
        detector
            .observe(f64::from(u8::from(rng.random::<f64>() < 0.85)))
            .expect("a value");
    });
    assert!(singles >= asked, "{singles}");
    // Far above it would be a guarantee that costs more than it should.
    assert!(singles < 1.5 * asked, "{singles}");
    let windows = mean_run_length(12, asked, |detector, rng| {
        let ones = (0..20).filter(|_| rng.random::<f64>() < 0.85).count();
        detector.observe_window(ones as u64, 20).expect("a window");
    });
    assert!(windows >= asked, "{windows}");
}

#[test]
fn a_falling_rate_is_seen_in_time() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let (mut delays, mut starts) = (Vec::new(), Vec::new());
    while delays.len() < 400 {
        let mut detector = EDetector::new(Direction::Decrease, 0.85, 1e5).expect("a baseline");
        let mut alarm = None;
        for observation in 0..20_000 {
            let rate = if observation < 1000 { 0.85 } else { 0.80 };
            detector
                .observe(f64::from(u8::from(rng.random::<f64>() < rate)))
                .expect("a value");
            if detector.is_alarm() {
                alarm = Some(observation);
                break;
            }
        }
        match alarm {
            Some(early) if early < 1000 => {}
            Some(at) => {
                delays.push(at - 999);
                let ago = detector.likely_change().expect("observations");
                starts.push(detector.observations() - ago);
            }
            None => panic!("not seen in 19,000 observations"),
        }
    }
    delays.sort_unstable();
    assert!(delays[200] < 650, "{}", delays[200]);
    // The change came after 1,000 observations.
    starts.sort_unstable();
    assert!(starts[200].abs_diff(1000) < 60, "{}", starts[200]);
    assert!(
        starts[100] > 800 && starts[300] < 1200,
        "{} {}",
        starts[100],
        starts[300]
    );
}

proptest! {
    #[test]
    fn a_window_of_one_is_one_observation(
        baseline in 0.001..0.999_f64,
        increase in any::<bool>(),
        outcomes in prop::collection::vec(any::<bool>(), 1..60),
    ) {
        let direction = if increase { Direction::Increase } else { Direction::Decrease };
        let mut single = EDetector::new(direction, baseline, 1e6).expect("a baseline");
        let mut window = single.clone();
        for outcome in outcomes {
            let one = single.observe(f64::from(u8::from(outcome))).expect("a value");
            let same = window.observe_window(u64::from(outcome), 1).expect("a window");
            prop_assert!((one - same).abs() <= 1e-12 * (1.0 + one), "{} {}", one, same);
        }
    }

    #[test]
    fn worse_values_speak_more_for_a_decrease(
        values in prop::collection::vec((0.0..=1.0_f64, 0.0..=1.0_f64), 1..60),
    ) {
        let mut lower = EDetector::new(Direction::Decrease, 0.8, 1e6).expect("a baseline");
        let mut higher = lower.clone();
        for (a, b) in values {
            lower.observe(a.min(b)).expect("a value");
            higher.observe(a.max(b)).expect("a value");
        }
        prop_assert!(lower.value() >= higher.value() * (1.0 - 1e-12));
    }
}
