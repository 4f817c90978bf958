//! Single detectors, and what all of them keep.

use super::*;

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
