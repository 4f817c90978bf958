use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;

const MINUTE_US: i64 = 60_000_000;
const TERMS: Terms = Terms {
    threshold: 200_000.0,
    warm_up_us: 2 * 1_440 * MINUTE_US,
    least_effect: 0.2,
    local: LocalTime {
        utc_offset_us: 0,
        is_holiday: false,
    },
};

/// Changes of a latency with a daily rhythm and noise of a tenth, multiplied by what an incident makes of it.
fn watch(direction: Direction, minutes: i64, factor: impl Fn(i64) -> f64) -> Vec<(i64, Change)> {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut watch = SeriesWatch::new(direction);
    let mut changes = Vec::new();
    for place in 0..minutes {
        let day = (place as f64 / 1_440.0 * std::f64::consts::TAU).sin();
        let noise: f64 = (0..4).map(|_| random.random::<f64>() - 0.5).sum();
        let value = 800.0 * (1.0 + 0.3 * day) * (1.0 + 0.1 * noise) * factor(place);
        let span = Span {
            start_us: place * MINUTE_US,
            end_us: (place + 1) * MINUTE_US,
        };
        let change = watch.observe(span, value, TERMS);
        changes.extend(change.map(|change| (place, change)));
    }
    changes
}

#[test]
fn an_incident_is_opened_once_and_ended_once() {
    let changes = watch(Direction::Increase, 9_000, |place| {
        if (7_000..7_030).contains(&place) {
            2.0
        } else {
            1.0
        }
    });
    let [
        (opened, Change::Opened(evidence)),
        (ended, Change::Ended { ended_us, adopted }),
    ] = changes.as_slice()
    else {
        panic!("{changes:?}");
    };
    assert!((7_003..7_010).contains(opened), "{opened}");
    assert!((7_030..7_040).contains(ended), "{ended}");
    assert!((ended_us / MINUTE_US - 7_030).abs() <= 2 && !adopted);
    assert!((evidence.since_us / MINUTE_US - 7_000).abs() <= 1);
    let ratio = evidence.observed / evidence.reference;
    assert!((1.8..2.2).contains(&ratio), "{evidence:?}");
    assert!(evidence.effect_low > 0.0);
}

#[test]
fn the_other_direction_and_no_change_are_silent() {
    let drop = |place: i64| {
        if (7_000..7_030).contains(&place) {
            0.5
        } else {
            1.0
        }
    };
    assert!(watch(Direction::Increase, 9_000, drop).is_empty());
    assert_eq!(watch(Direction::Decrease, 9_000, drop).len(), 2);
    assert_eq!(watch(Direction::Both, 9_000, drop).len(), 2);
    assert!(watch(Direction::Both, 40_000, |_| 1.0).is_empty());
}

/// Changes of traffic by the clock of a zone, which is at a third on holidays: days 15, 22 and 29.
fn holidays(are_told: bool, utc_offset_us: i64) -> Vec<i64> {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut watch = SeriesWatch::new(Direction::Decrease);
    let mut opened = Vec::new();
    for place in 0..1_440 * 31 {
        let local = place + utc_offset_us / MINUTE_US;
        let is_holiday = [15, 22, 29].contains(&local.div_euclid(1_440));
        let day = (local as f64 / 1_440.0 * std::f64::consts::TAU).sin();
        let noise: f64 = (0..4).map(|_| random.random::<f64>() - 0.5).sum();
        let level = if is_holiday { 100.0 } else { 300.0 };
        let terms = Terms {
            local: LocalTime {
                utc_offset_us: if are_told { utc_offset_us } else { 0 },
                is_holiday: is_holiday && are_told,
            },
            ..TERMS
        };
        let span = Span {
            start_us: place * MINUTE_US,
            end_us: (place + 1) * MINUTE_US,
        };
        let value = level * (1.0 + 0.3 * day) * (1.0 + 0.1 * noise);
        if let Some(Change::Opened(_)) = watch.observe(span, value, terms) {
            opened.push(local.div_euclid(1_440));
        }
    }
    opened
}

#[test]
fn a_holiday_is_compared_with_holidays_by_the_clock_of_its_zone() {
    let offset_us = -3 * 60 * MINUTE_US;
    assert_eq!(holidays(false, offset_us), [15, 22, 29]);
    assert!(
        holidays(true, offset_us).is_empty(),
        "the first is learned from"
    );
}

#[test]
fn what_lasts_becomes_the_new_level() {
    let changes = watch(Direction::Increase, 16_000, |place| {
        if place < 7_000 { 1.0 } else { 3.0 }
    });
    assert!(
        matches!(
            changes.as_slice(),
            [
                (_, Change::Opened(_)),
                (_, Change::Ended { adopted: true, .. })
            ]
        ),
        "{changes:?}"
    );
}
