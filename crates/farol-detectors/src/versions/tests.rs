use farol_stats::watch::Direction;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::definition::{Calendar, Method, Missing, Reference};

const QUARTER_US: i64 = 900_000_000;
const A_DAY: i64 = DAY_US / QUARTER_US;

fn unit() -> Unit {
    let mean = |name: &str, direction: Direction, of_shares: bool| Watched {
        measure: name.to_owned(),
        direction,
        method: Method::Comparison { of_shares },
    };
    Unit {
        detector: "d".to_owned(),
        job: "j".to_owned(),
        reads: "traces".to_owned(),
        by: vec!["service".to_owned(), "prompt_version".to_owned()],
        compare: Some("prompt_version".to_owned()),
        others: Vec::new(),
        window_us: QUARTER_US,
        settle_us: 0,
        warm_up_us: DAY_US,
        least_effect_of_rates: 0.1,
        least_effect_of_series: 0.2,
        missing: Missing::Skip,
        calendar: Calendar::default(),
        reference: Reference::SameHour,
        measures: vec![
            mean("latency_mean_ms", Direction::Increase, false),
            mean("error_rate", Direction::Increase, true),
        ],
        false_alarms_per_week: 0.25,
    }
}

/// A version in the windows of a range; its latency relative to others', and its rate of errors.
#[derive(Clone, Copy)]
struct Played {
    name: &'static str,
    from: i64,
    to: i64,
    latency: f64,
    errors: f64,
}

/// Plays versions over days: latency and errors have a daily rhythm, days differ by up to `days_differ`, and every window
/// holds so many calls of each version.
fn play(days: i64, days_differ: f64, seed: u64, versions: &[Played]) -> Vec<Noticed> {
    let unit = unit();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut watched = Versions::default();
    let mut noticed = Vec::new();
    let calls = 60;
    for place in 0..days * A_DAY {
        let day = (place as f64 / A_DAY as f64 * std::f64::consts::TAU).sin();
        let of_day = 1.0 + days_differ * ((place / A_DAY * 7_919 % 13) as f64 / 6.0 - 1.0);
        let rows: Vec<_> = versions
            .iter()
            .filter(|version| (version.from..version.to).contains(&place))
            .map(|version| {
                let noise: f64 = (0..6).map(|_| random.random::<f64>() - 0.5).sum();
                let latency = 800.0 * (1.0 + 0.3 * day) * of_day * version.latency;
                let rate = version.errors * (1.0 + 0.5 * day);
                let errors = (0..calls).filter(|_| random.random::<f64>() < rate).count();
                Row {
                    segment: Segment(vec![Some("chat".to_owned()), Some(version.name.to_owned())]),
                    values: vec![
                        (Some(latency * (1.0 + 0.15 * noise)), None),
                        (Some(errors as f64 / f64::from(calls)), None),
                    ],
                }
            })
            .collect();
        let window = Span {
            start_us: place * QUARTER_US,
            end_us: (place + 1) * QUARTER_US,
        };
        noticed.extend(watched.judge(&unit, window, &rows));
    }
    noticed
}

const OLD: Played = Played {
    name: "v1",
    from: 0,
    to: i64::MAX,
    latency: 1.0,
    errors: 0.03,
};

fn told(noticed: &[Noticed]) -> Vec<(usize, bool)> {
    noticed
        .iter()
        .map(|one| (one.key.0, matches!(one.change, Change::Opened(_))))
        .collect()
}

#[test]
fn a_new_version_beside_the_old_one_that_is_worse_is_found_with_its_difference() {
    let new = Played {
        name: "v2",
        from: 5 * A_DAY + 30,
        latency: 1.5,
        errors: 0.1,
        ..OLD
    };
    let noticed = play(7, 0.2, 1, &[OLD, new]);
    assert_eq!(
        told(&noticed),
        [(0, true), (1, true), (0, false), (1, false)]
    );
    for (place, observed, reference) in [(0, 1.5, 1.0), (1, 0.1, 0.03)] {
        let Change::Opened(evidence) = noticed[place].change else {
            panic!("{noticed:?}");
        };
        assert_eq!(evidence.since_us, new.from * QUARTER_US);
        let delay = (noticed[place].window.start_us - evidence.since_us) / QUARTER_US;
        assert!((15..40).contains(&delay), "{delay} windows");
        let ratio = evidence.observed / evidence.reference;
        assert!(
            (ratio / (observed / reference) - 1.0).abs() < 0.3,
            "{ratio}"
        );
        assert!((evidence.effect - (evidence.observed - evidence.reference)).abs() < 1e-9);
        assert!(evidence.effect_low > 0.0 && evidence.effect_high > evidence.effect);
        assert_eq!(noticed[place].compared_with.as_deref(), Some("v1"));
        assert_eq!(noticed[place].moved[0].value, "v2");
        assert_eq!(
            noticed[place].key.1.0.last(),
            Some(&Some("v2".to_owned())),
            "the finding is about the new version"
        );
    }
    let Change::Ended { adopted, .. } = noticed[2].change else {
        panic!("{noticed:?}");
    };
    assert!(adopted, "after a day it is what there is");
}

#[test]
fn a_version_that_replaces_another_at_once_is_compared_with_the_same_hours_of_other_days() {
    let until = 5 * A_DAY + 30;
    let old = Played { to: until, ..OLD };
    let worse = Played {
        name: "v2",
        from: until,
        errors: 0.15,
        ..OLD
    };
    let noticed = play(6, 0.05, 2, &[old, worse]);
    assert_eq!(told(&noticed), [(1, true)]);
    // Where days differ by as much, there is no telling.
    let slower = Played {
        name: "v2",
        from: until,
        latency: 1.25,
        ..OLD
    };
    assert_eq!(told(&play(6, 0.4, 2, &[old, slower])), []);
}

#[test]
fn versions_that_are_no_worse_are_not_found() {
    let mut found = 0;
    for seed in 0..200 {
        let same = Played {
            name: "v2",
            from: 4 * A_DAY + seed as i64 % A_DAY,
            ..OLD
        };
        let noticed = play(8, 0.2, 100 + seed, &[OLD, same]);
        found += told(&noticed).iter().filter(|(_, opened)| *opened).count();
    }
    // A budget of 0.25 a week allows 50 in 200 such weeks; the sequence is asymptotic, and the least effect keeps many out.
    assert!(found <= 10, "{found}");
    let better = Played {
        name: "v2",
        from: 4 * A_DAY,
        latency: 0.6,
        errors: 0.005,
        ..OLD
    };
    assert_eq!(told(&play(7, 0.2, 3, &[OLD, better])), []);
}

#[test]
fn versions_that_were_there_in_the_time_of_learning_are_not_new() {
    let slow = Played {
        name: "v2",
        from: A_DAY / 2,
        latency: 2.0,
        ..OLD
    };
    assert_eq!(told(&play(5, 0.0, 4, &[OLD, slow])), []);
}

#[test]
fn a_version_that_is_taken_back_ends_its_finding() {
    let taken_back = Played {
        name: "v2",
        from: 4 * A_DAY,
        to: 4 * A_DAY + 60,
        latency: 2.0,
        ..OLD
    };
    let noticed = play(7, 0.0, 5, &[OLD, taken_back]);
    assert_eq!(told(&noticed), [(0, true), (0, false)]);
    let Change::Ended { ended_us, adopted } = noticed[1].change else {
        panic!("{noticed:?}");
    };
    assert!(!adopted, "it is not what there is now");
    assert_eq!(ended_us, (4 * A_DAY + 59) * QUARTER_US);
}
