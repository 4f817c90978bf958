//! Detectors as people write and read them: a new version that is worse is found beside a change of what is asked for, both are drawn,
//! and files with mistakes are refused with their places.

use std::fs;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::events::{trace, with};
use crate::harness::farol::Farol;
use crate::harness::kafka::{RealKafka, Record};

const DAYS: usize = 6;
/// Quarters of an hour of a day, and calls in each.
const A_DAY: usize = 96;
const CALLS: usize = 24;
/// The quarter from which a third of the calls are asked with the new version, and the hour in which people ask for something else.
const ROLLED_OUT: usize = 5 * A_DAY;
const OTHER_HOUR: std::ops::Range<usize> = 5 * A_DAY + 48..5 * A_DAY + 52;

fn write(farol: &Farol, file: &str, text: &str) {
    let path = farol.path().join("pipelines/detectors").join(file);
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(path, text).expect("a file");
}

/// The calls of six days: from the fifth on there is a new version of the prompt, which is slower and fails more often.
fn calls(start: DateTime<Utc>) -> impl Iterator<Item = Record> {
    (0..DAYS * A_DAY * CALLS).map(move |number| {
        let (quarter, call) = (number / CALLS, number % CALLS);
        let id = format!("v-{number:06}");
        let time = start + TimeDelta::milliseconds(900_000 * quarter as i64 + 37_000 * call as i64);
        let is_new = quarter >= ROLLED_OUT && call % 3 == 0;
        // Some noise that is the same in every run.
        let noise = (number * 7_919 % 101) as f64 / 100.0;
        let latency = 800.0 * (0.8 + 0.4 * noise) * if is_new { 1.6 } else { 1.0 };
        let task = if OTHER_HOUR.contains(&quarter) || call % 4 == 1 {
            "summarize"
        } else {
            "chat"
        };
        let fields = json!({
            "event_time": time.to_rfc3339_opts(SecondsFormat::Millis, true),
            "service": "helpdesk",
            "prompt_id": "answer",
            "prompt_version": if is_new { "v2" } else { "v1" },
            "task": task,
            "latency_ms": latency,
            "status": "ok",
        });
        Record::keyed(&id, with(trace(&id), &fields).to_string())
    })
}

#[test]
fn a_new_version_and_another_mix_are_found_and_drawn() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(
        &kafka.brokers(),
        &[("versions.traces", "trace", 2)],
        "outputs: {alerts: versions.alerts, metrics: versions.metrics}\n",
    );
    farol.ok(&["topics", "create"]);
    let midnight = Utc::now().timestamp() / 86_400 * 86_400;
    let start =
        DateTime::from_timestamp(midnight, 0).expect("a time") - TimeDelta::days(DAYS as i64 + 1);
    kafka.send("versions.traces", calls(start));
    farol.ok(&["run", "--roles", "ingest,jobs,detectors", "--drain"]);

    let of = |detector: &str| {
        farol.sql(&format!(
            "SELECT finding_id, measure, method, statistic, segment, since, observed, reference, effect, effect_low, effect_high, \
             root_causes, samples, sql FROM findings WHERE detector = '{detector}' AND revision = 0 ORDER BY measure"
        ))
    };
    let versions = of("version-comparison");
    let measures: Vec<_> = versions.iter().map(|one| &one["measure"]).collect();
    // Who answers more slowly writes fewer tokens a second.
    assert_eq!(
        measures,
        ["latency_mean_ms", "tokens_per_second"],
        "{versions:#?}"
    );
    is_slower(&farol, &versions[0], start);

    let drift = of("request-drift");
    let mix = drift.iter().find(|one| one["measure"] == "task");
    let mix = mix.unwrap_or_else(|| panic!("{drift:#?}"));
    let causes: Value = parsed(&mix["root_causes"]);
    assert_eq!(
        causes[0]["segment"].as_object().map(serde_json::Map::len),
        Some(1)
    );
    let number = |name: &str| mix[name].as_f64().expect("a number");
    assert!(
        number("effect_low") < number("effect") && number("effect") < number("effect_high"),
        "{mix}"
    );
    let id = mix["finding_id"].as_str().expect("text");
    farol.ok(&["detect", "explain", id, "--plot", "mix.svg"]);
    let picture = fs::read_to_string(farol.path().join("mix.svg")).expect("a picture");
    for part in ["summarize", "chat", "reference", "window", "100.0 %"] {
        assert!(picture.contains(part), "{part} is not in {picture}");
    }
}

/// The finding of the new version: what it is, that it says what it was compared with, and that its query shows both.
fn is_slower(farol: &Farol, found: &Value, start: DateTime<Utc>) {
    assert_eq!(found["method"], "comparison");
    assert_eq!(
        parsed(&found["segment"]),
        json!({"service": "helpdesk", "prompt_id": "answer", "prompt_version": "v2"})
    );
    let since: DateTime<Utc> = found["since"]
        .as_str()
        .expect("text")
        .parse()
        .expect("a time");
    assert_eq!(since, start + TimeDelta::days(5));
    let number = |name: &str| found[name].as_f64().expect("a number");
    let ratio = number("observed") / number("reference");
    assert!((ratio - 1.6).abs() < 0.1, "{found}");
    assert!(number("effect_low") > 0.0 && number("effect_high") > number("effect"));
    let causes: Value = parsed(&found["root_causes"]);
    assert_eq!(causes[0]["segment"], json!({"prompt_version": "v2"}));
    assert_eq!(causes[0]["compared_with"], json!({"prompt_version": "v1"}));
    assert_eq!(parsed(&found["samples"]).as_array().map(Vec::len), Some(5));
    let rows = farol.sql(found["sql"].as_str().expect("SQL"));
    let both = rows
        .iter()
        .filter(|row| row["value"].is_number() && row["reference"].is_number());
    assert!(both.count() >= 16, "{rows:?}");
    let id = found["finding_id"].as_str().expect("text");
    let told = farol.ok(&["detect", "explain", id, "--plot", "version.svg"]);
    assert!(told.contains("prompt_version=v2"), "{told}");
    let picture = fs::read_to_string(farol.path().join("version.svg")).expect("a picture");
    assert!(picture.contains("expected"));
}

fn parsed(text: &Value) -> Value {
    serde_json::from_str(text.as_str().expect("text")).expect("JSON")
}

/// Mistakes of a detector's file: the file, and what is said of it, with the place.
const MISTAKES: [(&str, &str, &str); 9] = [
    (
        "name: a\non: performence\nmeasures: better\n",
        "a.yaml:2:5",
        "performance",
    ),
    (
        "name: b\non: all\nmeasures: better\n",
        "a.yaml:1:7",
        "write name: a",
    ),
    (
        "name: a\non: performance\nmeasures: [eror_rate]\n",
        "a.yaml:3",
        "error_rate",
    ),
    (
        "name: a\non: performance\nmeasures: better\nby: [servce]\n",
        "a.yaml:4:6",
        "service",
    ),
    (
        "name: a\non: performance\nmeasures: [latency_p95_ms]\nby: [service]\ncompare: model\n",
        "a.yaml:3",
        "is no mean",
    ),
    (
        "name: a\non: performance\nmeasures: better\nby: [model]\ncompare: model\n",
        "a.yaml:5:10",
        "take it out of by",
    ),
    (
        "name: a\non: performance\nmeasures: better\ntime_zone: Europe/Berln\n",
        "a.yaml:4:12",
        "Europe/Berlin",
    ),
    (
        "name: a\non: performance\nmeasures: better\nholidays: [25.12.2026]\n",
        "a.yaml:4",
        "is not a day",
    ),
    (
        "name: a\non: traces\ncolumns: [task]\nreference: last_week\n",
        "a.yaml:4:12",
        "same_hour",
    ),
];

#[test]
fn detectors_that_cannot_run_are_refused_with_their_places() {
    let farol = Farol::with_config("server: {http: null, postgres: null, flight: null}\n");
    for (text, place, help) in MISTAKES {
        write(&farol, "a.yaml", text);
        let checked = farol.call(&["check"]);
        assert_eq!(checked.code, Some(2), "{text}\n{}", checked.stderr);
        let said = format!("{}{}", checked.stdout, checked.stderr);
        assert!(
            said.contains(place),
            "{place} is not in:\n{said}\nof:\n{text}"
        );
        assert!(
            said.contains(help),
            "{help} is not in:\n{said}\nof:\n{text}"
        );
    }
    // One that is right replaces the shipped one of its name.
    fs::remove_file(farol.path().join("pipelines/detectors/a.yaml")).expect("it is there");
    write(
        &farol,
        "version-comparison.yaml",
        "name: version-comparison\non: performance\nmeasures: [error_rate]\nby: [service]\ncompare: model\n\
         time_zone: America/Sao_Paulo\nholidays: [2026-12-25]\n",
    );
    farol.ok(&["check"]);
    let listed = farol.ok(&["detect", "list", "--json"]);
    let listed: Vec<Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|unit: &Value| unit["name"] == "version-comparison")
        .collect();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["by"], json!(["service", "model"]));
    assert_eq!(listed[0]["measures"][0]["method"], "comparison");
}
