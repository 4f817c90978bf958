use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::definition::{Calendar, Missing, Reference, Watched};
use farol_stats::watch::Direction;

const HOUR_US: i64 = 3_600_000_000;

fn unit(reference: Reference) -> Unit {
    let column = |name: &str, method: Method| Watched {
        measure: name.to_owned(),
        direction: Direction::Both,
        method,
    };
    Unit {
        detector: "d".to_owned(),
        job: "traces".to_owned(),
        reads: "traces".to_owned(),
        by: vec!["service".to_owned()],
        others: Vec::new(),
        compare: None,
        window_us: HOUR_US,
        settle_us: 0,
        warm_up_us: 0,
        least_effect_of_rates: 0.1,
        least_effect_of_series: 0.1,
        missing: Missing::Skip,
        calendar: Calendar::default(),
        reference,
        measures: vec![
            column("task", Method::Categories),
            column("input_tokens", Method::Numbers),
        ],
        false_alarms_per_week: 0.25,
    }
}

/// Changes over hours of a mix of tasks and of tokens, both with a daily rhythm; `factor` multiplies tokens in an hour, and
/// `mix` is the share of the first task.
fn run(
    hours: i64,
    factor: impl Fn(i64) -> f64,
    mix: impl Fn(i64) -> f64,
) -> Vec<(i64, usize, Change)> {
    run_with(Reference::SameHour, hours, factor, mix)
}

fn run_with(
    reference: Reference,
    hours: i64,
    factor: impl Fn(i64) -> f64,
    mix: impl Fn(i64) -> f64,
) -> Vec<(i64, usize, Change)> {
    let unit = unit(reference);
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut drifts = Drifts::default();
    let mut changes = Vec::new();
    for hour in 0..hours {
        let day = (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
        let (mut tasks, mut tokens) = (Counts::new(), Counts::new());
        for _ in 0..400 {
            let first = random.random::<f64>() < mix(hour) + 0.2 * day;
            *tasks
                .entry(if first { "chat" } else { "search" }.to_owned())
                .or_default() += 1;
            let size: f64 = (0..6).map(|_| random.random::<f64>()).sum::<f64>();
            let size = ((6.0 + 0.5 * day + 0.4 * size).exp() * factor(hour)).round();
            *tokens.entry(format!("{size:.0}")).or_default() += 1;
        }
        let segment = || Segment(vec![Some("a".to_owned())]);
        let counts = [(key(0, segment()), tasks), (key(1, segment()), tokens)];
        let window = Span {
            start_us: hour * HOUR_US,
            end_us: (hour + 1) * HOUR_US,
        };
        for noticed in drifts.judge(&unit, window, counts.into()) {
            changes.push((hour, noticed.key.0, noticed.change));
        }
    }
    changes
}

#[test]
fn an_hour_unlike_that_of_other_days_is_drift_and_its_end_is_told() {
    let changes = run(
        24 * 12,
        |hour| if (240..244).contains(&hour) { 2.0 } else { 1.0 },
        |hour| if (250..252).contains(&hour) { 0.2 } else { 0.5 },
    );
    let told: Vec<_> = changes
        .iter()
        .map(|(hour, place, change)| (*hour, *place, matches!(change, Change::Opened(_))))
        .collect();
    assert_eq!(
        told,
        [
            (240, 1, true),
            (244, 1, false),
            (250, 0, true),
            (252, 0, false)
        ]
    );
    let Change::Opened(evidence) = changes[0].2 else {
        panic!("{changes:?}");
    };
    assert!(
        (1.7..2.3).contains(&(evidence.observed / evidence.reference)),
        "{evidence:?}"
    );
    assert!(evidence.effect > 0.5);
    let (low, high) = (evidence.effect_low, evidence.effect_high);
    assert!(
        low < evidence.effect && evidence.effect < high && high - low < 1.0,
        "{evidence:?}"
    );
}

#[test]
fn the_rhythm_of_a_day_is_no_drift() {
    assert!(run(24 * 40, |_| 1.0, |_| 0.5).is_empty());
}

#[test]
fn what_stays_becomes_usual() {
    let changes = run(24 * 20, |hour| if hour >= 240 { 2.0 } else { 1.0 }, |_| 0.5);
    let told: Vec<_> = changes
        .iter()
        .map(|(hour, _, change)| (*hour, *change))
        .collect();
    assert!(
        matches!(
            told.as_slice(),
            [
                (240, Change::Opened(_)),
                (264, Change::Ended { adopted: true, .. })
            ]
        ),
        "{told:?}"
    );
}

#[test]
fn all_days_are_the_reference_where_that_is_asked_for() {
    // 1970 began on a Thursday: the weekend of the second week is days 9 and 10.
    let on_weekends = |hour: i64| {
        if [9, 10].contains(&(hour / 24)) {
            2.0
        } else {
            1.0
        }
    };
    assert!(run_with(Reference::SameHour, 24 * 11, on_weekends, |_| 0.5).is_empty());
    let changes = run_with(Reference::Trailing, 24 * 11, on_weekends, |_| 0.5);
    let opened = changes
        .iter()
        .filter(|(_, _, change)| matches!(change, Change::Opened(_)));
    let opened: Vec<_> = opened.map(|(hour, place, _)| (*hour, *place)).collect();
    assert_eq!(opened, [(9 * 24, 1)]);
    assert!(run_with(Reference::Trailing, 24 * 20, |_| 1.0, |_| 0.5).is_empty());
}

#[test]
fn a_time_that_does_not_move_stays_the_reference() {
    let pinned = Reference::Pinned(Span {
        start_us: 2 * 24 * HOUR_US,
        end_us: 12 * 24 * HOUR_US,
    });
    // Before it and in it nothing is compared; what comes two weeks after it still is, and what stays is not adopted.
    let changes = run_with(
        pinned,
        24 * 40,
        |hour| match hour / 24 {
            0..2 => 3.0,
            30..33 => 2.0,
            _ => 1.0,
        },
        |_| 0.5,
    );
    let told: Vec<_> = changes
        .iter()
        .map(|(hour, place, change)| (*hour, *place, matches!(change, Change::Opened(_))))
        .collect();
    assert_eq!(told, [(30 * 24, 1, true), (33 * 24, 1, false)]);
    assert!(!matches!(changes[1].2, Change::Ended { adopted: true, .. }));
}
