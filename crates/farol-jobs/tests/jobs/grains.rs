//! How time is cut: against what the database of time zones says, and in the cases that go wrong elsewhere.

use chrono::{DateTime, NaiveDate, TimeZone as _};
use chrono_tz::{TZ_VARIANTS, Tz};
use farol_jobs::{Grain, TimeZone, Width};
use proptest::prelude::*;

const MICROS: i64 = 1_000_000;
/// The end of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_800;

fn grain(text: &str) -> Grain {
    Grain::parse(text, TimeZone::UTC).unwrap()
}

fn at(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text)
        .unwrap()
        .timestamp_micros()
}

fn told(time_us: i64) -> String {
    DateTime::from_timestamp_micros(time_us)
        .unwrap()
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

fn window(text: &str, time: &str) -> String {
    let (start, end) = grain(text).window_of(at(time)).unwrap();
    format!("{} {}", told(start), told(end))
}

#[test]
fn lengths_and_zones_are_read_and_told() {
    for (text, as_told) in [
        ("1m", "1 minute"),
        ("90s", "90 seconds"),
        ("6 hours", "6 hours"),
        ("24h", "24 hours"),
        ("day", "1 day in UTC"),
        ("14 days", "14 days in UTC"),
        ("2 weeks", "2 weeks in UTC"),
        ("6 months", "2 quarters in UTC"),
        ("12 months in europe/london", ""),
        (
            "1 month IN America/Sao_Paulo",
            "1 month in America/Sao_Paulo",
        ),
        ("1 hour in Asia/Kolkata", "1 hour in Asia/Kolkata"),
        ("1 hour in UTC", "1 hour"),
        ("4 quarters", "1 year in UTC"),
    ] {
        match Grain::parse(text, TimeZone::UTC) {
            Ok(grain) => {
                assert_eq!(grain.to_string(), as_told);
                assert_eq!(
                    Grain::parse(as_told, "Asia/Tokyo".parse().unwrap()),
                    Ok(grain)
                );
            }
            Err(error) => assert!(error.contains("did you mean `Europe/London`?"), "{error}"),
        }
    }
    let home: TimeZone = "America/Sao_Paulo".parse().unwrap();
    let days = Grain::parse("1 day", home).unwrap();
    assert_eq!(days.to_string(), "1 day in America/Sao_Paulo");
    assert_eq!(Grain::parse("1 hour", home).unwrap().to_string(), "1 hour");
    for (wrong, help) in [
        ("", "'1 month'"),
        ("0 days", "'1 month'"),
        ("-1m", "'1 month'"),
        ("1 fortnight", "15 minutes"),
        ("99999999999999999999d", "15 minutes"),
        ("101 years", "century"),
        (
            "1 day in America/Sao_Paolo",
            "did you mean `America/Sao_Paulo`?",
        ),
        ("1 day in the morning", "such as `Europe/London`"),
    ] {
        let error = Grain::parse(wrong, TimeZone::UTC).unwrap_err();
        assert!(error.contains(help), "{wrong}: {error}");
    }
}

#[test]
fn windows_without_a_zone_are_counted_from_the_epoch_and_weeks_from_monday() {
    assert_eq!(
        window("1 minute", "1969-12-31T23:59:59Z"),
        "1969-12-31T23:59:00Z 1970-01-01T00:00:00Z"
    );
    assert_eq!(
        window("1 day", "2026-03-29T12:00:00Z"),
        "2026-03-29T00:00:00Z 2026-03-30T00:00:00Z"
    );
    // A Sunday.
    assert_eq!(
        window("1 week", "2026-03-29T12:00:00Z"),
        "2026-03-23T00:00:00Z 2026-03-30T00:00:00Z"
    );
    assert_eq!(
        window("1 quarter", "2026-03-29T12:00:00Z"),
        "2026-01-01T00:00:00Z 2026-04-01T00:00:00Z"
    );
    assert_eq!(
        window("1 year", "1969-03-29T12:00:00Z"),
        "1969-01-01T00:00:00Z 1970-01-01T00:00:00Z"
    );
    assert_eq!(
        window("5 years", "2026-03-29T12:00:00Z"),
        "2025-01-01T00:00:00Z 2030-01-01T00:00:00Z"
    );
}

#[test]
fn days_are_as_long_as_the_clock_makes_them() {
    // Put forward and back in London.
    assert_eq!(
        window("1 day in Europe/London", "2026-03-29T12:00:00Z"),
        "2026-03-29T00:00:00Z 2026-03-29T23:00:00Z"
    );
    assert_eq!(
        window("1 day in Europe/London", "2026-10-25T12:00:00Z"),
        "2026-10-24T23:00:00Z 2026-10-26T00:00:00Z"
    );
    // A midnight that is skipped: the day begins at 01:00.
    assert_eq!(
        window("1 day in America/Sao_Paulo", "2018-11-04T12:00:00Z"),
        "2018-11-04T03:00:00Z 2018-11-05T02:00:00Z"
    );
    // The hour before midnight is repeated.
    assert_eq!(
        window("1 day in America/Sao_Paulo", "2018-02-18T02:30:00Z"),
        "2018-02-17T02:00:00Z 2018-02-18T03:00:00Z"
    );
    // Midnight itself is repeated: the day begins the first time.
    assert_eq!(
        window("1 day in America/Havana", "2025-11-02T05:30:00Z"),
        "2025-11-02T04:00:00Z 2025-11-03T05:00:00Z"
    );
    // The clock was put back over midnight at 00:01: the day that has begun goes on.
    assert_eq!(
        window("1 day in America/St_Johns", "2010-11-07T02:45:00Z"),
        "2010-11-07T02:30:00Z 2010-11-08T03:30:00Z"
    );
    // A day that was left out.
    assert_eq!(
        window("1 day in Pacific/Apia", "2011-12-30T11:00:00Z"),
        "2011-12-30T10:00:00Z 2011-12-31T10:00:00Z"
    );
    assert_eq!(
        window("1 month in America/Sao_Paulo", "2018-11-10T00:00:00Z"),
        "2018-11-01T03:00:00Z 2018-12-01T02:00:00Z"
    );
    assert_eq!(
        window("1 month in Asia/Kolkata", "2026-02-28T18:30:00Z"),
        "2026-02-28T18:30:00Z 2026-03-31T18:30:00Z"
    );
}

#[test]
fn hours_keep_their_length_and_longer_ones_follow_the_clock() {
    assert_eq!(
        window("1 hour in Asia/Kolkata", "2026-01-02T00:45:00Z"),
        "2026-01-02T00:30:00Z 2026-01-02T01:30:00Z"
    );
    // Both hours that London calls one o'clock.
    assert_eq!(
        window("1 hour in Europe/London", "2026-10-25T00:10:00Z"),
        "2026-10-25T00:00:00Z 2026-10-25T01:00:00Z"
    );
    assert_eq!(
        window("1 hour in Europe/London", "2026-10-25T01:10:00Z"),
        "2026-10-25T01:00:00Z 2026-10-25T02:00:00Z"
    );
    assert_eq!(
        window("6 hours in Europe/London", "2026-10-25T01:10:00Z"),
        "2026-10-24T23:00:00Z 2026-10-25T06:00:00Z"
    );
    // A clock that is put forward by half an hour.
    assert_eq!(
        window("1 hour in Australia/Lord_Howe", "2026-10-03T15:40:00Z"),
        "2026-10-03T15:30:00Z 2026-10-03T16:00:00Z"
    );
}

#[test]
fn a_zone_that_does_not_fit_a_jobs_windows_is_told() {
    let hour = Width::parse("1h").unwrap();
    let minute = Width::parse("1m").unwrap();
    let kolkata = grain("1 day in Asia/Kolkata");
    assert_eq!(kolkata.check_made_of(minute), Ok(()));
    let error = kolkata.check_made_of(hour).unwrap_err();
    assert!(
        error.contains("Asia/Kolkata") && error.contains("15 minutes"),
        "{error}"
    );
    assert!(
        grain("1 hour in Australia/Lord_Howe")
            .check_made_of(hour)
            .is_err()
    );
    assert_eq!(grain("1 day in Europe/London").check_made_of(hour), Ok(()));
    let error = grain("90s").check_made_of(minute).unwrap_err();
    assert!(error.contains("whole windows of 1 minute"), "{error}");
}

#[test]
fn what_is_beyond_the_calendar_is_in_no_window() {
    for time_us in [i64::MIN, i64::MAX, SECONDS_MAX * MICROS] {
        assert_eq!(grain("1 month").window_of(time_us), None);
        assert_eq!(grain("1 day").window_of(time_us), None);
    }
}

/// What the clock of a zone reads, as chrono has it.
fn local(zone: Tz, time_us: i64) -> chrono::NaiveDateTime {
    DateTime::from_timestamp_micros(time_us)
        .unwrap()
        .with_timezone(&zone)
        .naive_local()
}

/// The first of the month that a local time is in, or its date.
fn truncated(length: &str, time: chrono::NaiveDateTime) -> NaiveDate {
    use chrono::Datelike as _;
    match length {
        "1 month" => time.date().with_day(1).unwrap(),
        "1 week" => time.date() - chrono::Days::new(time.weekday().num_days_from_monday().into()),
        _ => time.date(),
    }
}

/// From 1975 to 2037, where the database has changes of the clock.
const TIMES: std::ops::Range<i64> = 157_766_400..2_145_916_800;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn every_instant_is_in_exactly_one_window(
        zone in 0..TZ_VARIANTS.len(),
        second in TIMES,
        length in prop::sample::select(vec!["7m", "1 hour", "6 hours", "1 day", "3 days", "1 week", "1 month", "1 year"]),
    ) {
        let grain = grain(&format!("{length} in {}", TZ_VARIANTS[zone].name()));
        let time_us = second * MICROS;
        let (start, end) = grain.window_of(time_us).unwrap();
        prop_assert!(start <= time_us && time_us < end, "{grain}: {start} {time_us} {end}");
        prop_assert_eq!(grain.window_of(start), Some((start, end)));
        prop_assert_eq!(grain.window_of(end - 1), Some((start, end)));
        let next = grain.window_of(end).unwrap();
        prop_assert_eq!(next.0, end);
    }

    /// The naive oracle: the window is where the zone's own date, cut to the month, is the same. It holds wherever the
    /// clock is not put back over a midnight.
    #[test]
    fn a_window_is_where_the_local_date_is_the_same(
        zone in prop::sample::select(vec![Tz::America__Sao_Paulo, Tz::Europe__London, Tz::Asia__Kolkata, Tz::Australia__Lord_Howe, Tz::America__Havana]),
        second in TIMES,
        length in prop::sample::select(vec!["1 day", "1 week", "1 month"]),
    ) {
        let grain = grain(&format!("{length} in {}", zone.name()));
        let time_us = second * MICROS;
        let (start, end) = grain.window_of(time_us).unwrap();
        let date = truncated(length, local(zone, time_us));
        prop_assert_eq!(truncated(length, local(zone, start)), date);
        prop_assert_eq!(truncated(length, local(zone, end - 1)), date);
        prop_assert_ne!(truncated(length, local(zone, start - 1)), date);
        prop_assert_ne!(truncated(length, local(zone, end)), date);
        // Midnight, where the clock reads it at all.
        if let Some(midnight) = zone.from_local_datetime(&date.and_hms_opt(0, 0, 0).unwrap()).earliest() {
            prop_assert_eq!(midnight.timestamp_micros(), start);
        }
    }
}
