//! Measures by the calendar's windows in time zones, against Python's own over the lake's files.

use std::collections::BTreeSet;
use std::process::Command;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::events::{trace, with};
use crate::harness::farol::Farol;
use crate::harness::kafka::{RealKafka, Record};
use crate::harness::{python, root};

const ZONES: [&str; 3] = ["America/Sao_Paulo", "Europe/London", "Asia/Kolkata"];

const UNITS: [&str; 4] = ["hour", "day", "week", "month"];

/// From before to after every change of the clock of 2018: São Paulo's of February and November, at midnight, and
/// London's of March and October.
const FROM: &str = "2018-01-30T00:00:00Z";
const DAYS: i64 = 310;

/// When traces are: all through the time, and at either side of every full and half hour of the days around the changes.
fn times() -> BTreeSet<DateTime<Utc>> {
    let from: DateTime<Utc> = FROM.parse().expect("a time");
    let mut times: BTreeSet<_> = (0..DAYS * 24 * 60)
        .step_by(97)
        .map(|minutes| from + TimeDelta::minutes(minutes))
        .collect();
    for change in ["2018-02-17", "2018-03-24", "2018-10-27", "2018-11-03"] {
        let day: DateTime<Utc> = format!("{change}T00:00:00Z").parse().expect("a time");
        for half_hour in 0..2 * 48 {
            let edge = day + TimeDelta::minutes(30 * half_hour);
            times.extend([edge, edge - TimeDelta::microseconds(1)]);
        }
    }
    times
}

fn traces() -> Vec<Record> {
    times()
        .into_iter()
        .enumerate()
        .map(|(number, time)| {
            let id = format!("calendar-{number}");
            let fields = json!({
                "event_time": time.to_rfc3339_opts(SecondsFormat::Micros, true),
                "cost": format!("0.{:012}", number * 37 + 1),
            });
            Record::keyed(&id, with(trace(&id), &fields).to_string())
        })
        .collect()
}

/// The windows as Python has them.
fn as_python_has_them(farol: &Farol) -> Vec<Value> {
    let mut command = Command::new(python());
    command
        .arg(root().join("tests/calendars.py"))
        .arg(farol.lake());
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
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// The windows of one unit and zone, from a relation of `start`, `end`, `requests` and `cost`.
fn windows(farol: &Farol, unit: &str, zone: &str, relation: &str) -> Vec<Value> {
    farol.sql(&format!(
        "SELECT '{unit}' AS unit, '{zone}' AS zone, CAST(start AS BIGINT) AS start, CAST(\"end\" AS BIGINT) AS \"end\", \
         CAST(requests AS BIGINT) AS requests, CAST(cost AS VARCHAR) AS cost FROM ({relation}) ORDER BY start"
    ))
}

#[test]
fn months_weeks_days_and_hours_of_a_zone_are_those_of_its_clock() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(
        &kafka.brokers(),
        &[("calendar.traces", "trace", 2)],
        "ingest: {flush_interval: 200ms, idle_timeout: 2s, event_time_range: {past: 36500d}}\n",
    );
    farol.ok(&["topics", "create"]);
    let sent = traces();
    let count = sent.len() as i64;
    kafka.send("calendar.traces", sent);
    farol.ok(&["run", "--roles", "ingest,jobs", "--drain"]);

    let expected = as_python_has_them(&farol);
    let (mut measured, mut counted) = (Vec::new(), Vec::new());
    for zone in ZONES {
        for unit in UNITS {
            let grain = format!("1 {unit} in {zone}");
            let merged = format!(
                "SELECT window_start AS start, window_end AS \"end\", requests, cost FROM measures('spend', '{grain}')"
            );
            let raw = format!(
                "SELECT window_start(event_time, '{grain}') AS start, window_end(event_time, '{grain}') AS \"end\", \
                 count(*) AS requests, sum(cost) AS cost FROM traces GROUP BY 1, 2"
            );
            measured.extend(windows(&farol, unit, zone, &merged));
            counted.extend(windows(&farol, unit, zone, &raw));
        }
    }
    let total: i64 = expected
        .iter()
        .filter_map(|row| row["requests"].as_i64())
        .sum();
    assert_eq!(total, count * (ZONES.len() * UNITS.len()) as i64);
    let first_difference = |found: &[Value]| {
        let differing = expected
            .iter()
            .zip(found)
            .find(|(left, right)| left != right);
        assert_eq!((differing, found.len()), (None, expected.len()));
    };
    first_difference(&measured);
    first_difference(&counted);

    // The days that had 23, 25 and 24 hours.
    for (zone, day, hours) in [
        ("America/Sao_Paulo", "2018-11-04T12:00:00Z", 23),
        ("America/Sao_Paulo", "2018-02-17T12:00:00Z", 25),
        ("Europe/London", "2018-03-25T12:00:00Z", 23),
        ("Europe/London", "2018-10-28T12:00:00Z", 25),
        ("Asia/Kolkata", "2018-10-28T12:00:00Z", 24),
    ] {
        let length = farol.number(&format!(
            "SELECT (CAST(window_end AS BIGINT) - CAST(window_start AS BIGINT)) / 3600000000 AS hours FROM measures('spend', '1 day in {zone}') \
             WHERE window_start <= '{day}' AND window_end > '{day}'"
        ));
        assert_eq!(length, hours, "{day} in {zone}");
    }
}

#[test]
fn the_configured_zone_is_that_of_days_and_a_wrong_one_is_refused_with_its_place() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(
        &kafka.brokers(),
        &[("zone.traces", "trace", 1)],
        "jobs: {interval: 100ms, time_zone: Asia/Kolkata}\n",
    );
    let start = |window: &str| {
        farol.number(&format!(
            "SELECT CAST(window_start('2026-01-02T20:00:00Z', '{window}') AS BIGINT) / 60000000 % 1440 AS minute"
        ))
    };
    assert_eq!(start("1 day"), 18 * 60 + 30);
    assert_eq!(start("1 day in UTC"), 0);
    assert_eq!(start("1 hour"), 20 * 60);
    let wrong = farol.call(&["sql", "SELECT 1", "--set", "jobs.time_zone=Asia/Kolkatta"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    for told in ["jobs.time_zone", "did you mean `Asia/Kolkata`?"] {
        assert!(wrong.stderr.contains(told), "{}", wrong.stderr);
    }
}
