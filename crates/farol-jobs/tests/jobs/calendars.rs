//! Measures by calendar windows in time zones: against Python's own over the lake's files, and within filters.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};

use crate::place::{Call, Place, add, calls, level};

const ZONES: [&str; 3] = ["America/Sao_Paulo", "Europe/London", "Asia/Kolkata"];

const UNITS: [&str; 4] = ["hour", "day", "week", "month"];

/// From before to after every change of the clock of 2018: São Paulo's of February and November, at midnight, and
/// London's of March and October.
const FROM: &str = "2018-01-30T00:00:00Z";
const DAYS: i64 = 310;

/// When calls are: all through the time, and at either side of every full and half hour of the days around the changes.
fn times() -> BTreeSet<DateTime<Utc>> {
    let from: DateTime<Utc> = FROM.parse().unwrap();
    let mut times: BTreeSet<_> = (0..DAYS * 24 * 60)
        .step_by(97)
        .map(|minutes| from + TimeDelta::minutes(minutes))
        .collect();
    for change in ["2018-02-17", "2018-03-24", "2018-10-27", "2018-11-03"] {
        let day: DateTime<Utc> = format!("{change}T00:00:00Z").parse().unwrap();
        for half_hour in 0..2 * 48 {
            let edge = day + TimeDelta::minutes(30 * half_hour);
            times.extend([edge, edge - TimeDelta::microseconds(1)]);
        }
    }
    times
}

async fn measured() -> (Place, usize) {
    let place = Place::new();
    let template = calls(1).remove(0);
    let calls: Vec<_> = times()
        .into_iter()
        .enumerate()
        .map(|(number, time)| Call {
            time_us: time.timestamp_micros(),
            tokens: number as i64 * 37 + 1,
            ..template.clone()
        })
        .collect();
    add(&place.traces().await, &calls).await;
    level(&mut place.runner("spend").await).await;
    (place, calls.len())
}

/// The windows as Python has them: unit, zone, start, end, requests, tokens.
fn as_python_has_them(lake: &Path) -> Vec<Vec<String>> {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let found = Command::new("bash")
        .arg(tests.join("services/python.sh"))
        .output();
    let python = String::from_utf8(found.unwrap().stdout).unwrap();
    let mut command = Command::new(python.trim());
    command.arg(tests.join("calendars.py")).arg(lake);
    for zone in ZONES {
        for unit in UNITS {
            command.args([unit, zone]);
        }
    }
    let output = command.output().expect("Python is there");
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "calendars.py: {failed}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn months_weeks_days_and_hours_of_a_zone_are_those_of_its_clock() {
    let (place, count) = measured().await;
    let (mut measured, mut counted) = (Vec::new(), Vec::new());
    for zone in ZONES {
        for unit in UNITS {
            let grain = format!("1 {unit} in {zone}");
            let columns = format!(
                "'{unit}', '{zone}', CAST(window_start AS BIGINT), CAST(window_end AS BIGINT), requests, output_tokens"
            );
            let merged = format!("SELECT {columns} FROM measures('spend', '{grain}') ORDER BY 3");
            let raw = format!(
                "SELECT {columns} FROM (SELECT window_start(event_time, '{grain}') AS window_start, \
                 window_end(event_time, '{grain}') AS window_end, count(*) AS requests, \
                 sum(output_tokens) AS output_tokens FROM traces GROUP BY 1, 2) ORDER BY 3"
            );
            measured.extend(place.ask(&merged).await);
            counted.extend(place.ask(&raw).await);
        }
    }
    let expected = as_python_has_them(place.path());
    let requests = expected.iter().map(|row| row[4].parse::<usize>().unwrap());
    assert_eq!(requests.sum::<usize>(), count * ZONES.len() * UNITS.len());
    for found in [measured, counted] {
        let differing = expected
            .iter()
            .zip(&found)
            .find(|(left, right)| left != right);
        assert_eq!((differing, found.len()), (None, expected.len()));
    }
    // The days that had 23, 25 and 24 hours.
    for (zone, noon, hours) in [
        ("America/Sao_Paulo", "2018-11-04T12:00:00Z", "23"),
        ("America/Sao_Paulo", "2018-02-17T12:00:00Z", "25"),
        ("Europe/London", "2018-03-25T12:00:00Z", "23"),
        ("Europe/London", "2018-10-28T12:00:00Z", "25"),
        ("Asia/Kolkata", "2018-10-28T12:00:00Z", "24"),
    ] {
        let length = format!(
            "SELECT (CAST(window_end AS BIGINT) - CAST(window_start AS BIGINT)) / 3600000000 \
             FROM measures('spend', '1 day in {zone}') WHERE window_start <= '{noon}' AND window_end > '{noon}'"
        );
        assert_eq!(place.ask(&length).await, [[hours]], "{noon} in {zone}");
    }
}

/// A filter on wide windows leaves partials out before they are merged. What it keeps is whole all the same.
#[tokio::test]
async fn filters_on_windows_keep_them_whole() {
    let (place, _) = measured().await;
    let columns = "window_start, window_end, requests, output_tokens";
    for grain in [
        "1 day in America/Sao_Paulo",
        "1 month in Europe/London",
        "1 week",
        "6 hours",
    ] {
        let all = format!("SELECT {columns} FROM measures('spend', '{grain}')");
        let edge = "2018-10-01T00:00:00Z";
        let near = place
            .ask(&format!("SELECT max(window_start), max(window_end) FROM ({all}) WHERE window_start <= '{edge}'"))
            .await;
        for time in [
            edge,
            &near[0][0],
            &near[0][1],
            "2018-11-04T02:30:00.000000001Z",
        ] {
            for column in ["window_start", "window_end"] {
                for op in ["<", "<=", "=", ">=", ">"] {
                    let filter = format!("{column} {op} TIMESTAMP '{time}'");
                    // A limit keeps the filter above it.
                    let whole =
                        format!("SELECT * FROM ({all} LIMIT 1000000) WHERE {filter} ORDER BY 1");
                    let pushed = format!("{all} WHERE {filter} ORDER BY 1");
                    assert_eq!(
                        place.ask(&pushed).await,
                        place.ask(&whole).await,
                        "{grain}: {filter}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_zone_that_is_not_there_is_told_when_the_query_is_planned() {
    let place = Place::new();
    place.traces().await;
    for (sql, told) in [
        (
            "SELECT * FROM measures('spend', '1 day in America/Sao_Paolo')",
            "did you mean `America/Sao_Paulo`?",
        ),
        (
            "SELECT window_start(event_time, '1 day in Europe/Londn') FROM traces",
            "did you mean `Europe/London`?",
        ),
        (
            "SELECT window_end(event_time, '1 fortnight') FROM traces",
            "'1 month'",
        ),
        (
            "SELECT window_start(event_time, service) FROM traces",
            "takes a time and a text",
        ),
        (
            "SELECT window_start(input_tokens, '1 day') FROM traces",
            "it was given Int64",
        ),
    ] {
        let error = place.refused(sql).await;
        assert!(error.contains(told), "{sql}: {error}");
    }
}
