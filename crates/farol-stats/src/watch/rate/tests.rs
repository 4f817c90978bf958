use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;

const MINUTE_US: i64 = 60_000_000;
const TERMS: Terms = Terms {
    threshold: 100_000.0,
    warm_up_us: 1_440 * MINUTE_US,
    least_effect: 0.1,
    local: crate::watch::LocalTime {
        utc_offset_us: 0,
        is_holiday: false,
    },
};

fn minute(place: i64) -> Span {
    Span {
        start_us: place * MINUTE_US,
        end_us: (place + 1) * MINUTE_US,
    }
}

/// Changes of minutes with 40 trials at a rate that depends on the minute.
fn watch(direction: Direction, minutes: i64, rate: impl Fn(i64) -> f64) -> Vec<(i64, Change)> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut watch = RateWatch::new(direction);
    let mut changes = Vec::new();
    for place in 0..minutes {
        let ones = (0..40)
            .filter(|_| random.random::<f64>() < rate(place))
            .count();
        let change = watch.observe(minute(place), ones as u64, 40, TERMS);
        changes.extend(change.map(|change| (place, change)));
    }
    changes
}

#[test]
fn an_incident_is_opened_once_and_ended_once() {
    let burst = |place| {
        if (3_000..3_020).contains(&place) {
            0.2
        } else {
            0.02
        }
    };
    let changes = watch(Direction::Increase, 5_000, burst);
    let [
        (opened, Change::Opened(evidence)),
        (ended, Change::Ended { adopted, .. }),
    ] = changes.as_slice()
    else {
        panic!("{changes:?}");
    };
    assert!((3_000..3_005).contains(opened), "{opened}");
    assert!((3_020..3_030).contains(ended), "{ended}");
    assert!(!adopted);
    assert!((evidence.since_us / MINUTE_US - 3_000).abs() <= 1);
    assert!((0.12..0.3).contains(&evidence.observed), "{evidence:?}");
    assert!((evidence.reference - 0.02).abs() < 0.005);
    assert!(evidence.effect_low > 0.0 && evidence.effect_high > evidence.effect);
}

#[test]
fn what_lasts_becomes_the_new_level_and_what_is_better_does_without_an_alarm() {
    let worse = watch(Direction::Increase, 9_000, |place| {
        if place < 3_000 { 0.02 } else { 0.1 }
    });
    assert!(
        matches!(
            worse.as_slice(),
            [
                (_, Change::Opened(_)),
                (_, Change::Ended { adopted: true, .. })
            ]
        ),
        "{worse:?}"
    );
    let better = watch(Direction::Increase, 12_000, |place| match place {
        ..3_000 => 0.2,
        3_000..9_000 => 0.05,
        _ => 0.15,
    });
    assert!(
        matches!(better.as_slice(), [(9_000..9_100, Change::Opened(_)), ..]),
        "after it got better, what was usual is an incident: {better:?}"
    );
}

#[test]
fn without_a_change_there_is_silence() {
    assert!(watch(Direction::Increase, 20_000, |_| 0.02).is_empty());
    assert!(watch(Direction::Decrease, 20_000, |_| 0.85).is_empty());
}

#[test]
fn no_trials_say_nothing_and_more_ones_than_trials_are_all() {
    let mut watch = RateWatch::new(Direction::Increase);
    assert_eq!(watch.observe(minute(0), 0, 0, TERMS), None);
    assert!(watch.recent.is_empty());
    watch.observe(minute(1), 9, 5, TERMS);
    assert_eq!(watch.learned.as_ref().map(|learned| learned.ones), Some(5));
}

#[test]
fn trials_that_come_in_bunches_count_as_few() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut watch = RateWatch::new(Direction::Decrease);
    let mut changes = 0;
    for place in 0..20_000 {
        // Forty calls a minute with a thousand tokens each, all of them read from a cache or none.
        let ones = (0..40).filter(|_| random.random::<f64>() < 0.3).count() as u64;
        let change = watch.observe(minute(place), ones * 1_000, 40_000, TERMS);
        changes += usize::from(change.is_some());
    }
    assert!(
        (800.0..1_250.0).contains(&watch.dispersion),
        "{}",
        watch.dispersion
    );
    assert!((30..=50).contains(&watch.observations(40_000)));
    assert_eq!(changes, 0);
}
