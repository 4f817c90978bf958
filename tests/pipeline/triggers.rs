//! Triggers as operators meet them: an incident is told with evidence that can be looked at, its end follows, late data
//! makes Farol say it anew, and a rule that cannot run is refused before it does.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::events::{trace, with};
use crate::harness::farol::Farol;
use crate::harness::kafka::{Read, RealKafka, Record, read_committed};
use crate::harness::{PATIENCE, wait_until};

pub(super) const DRAIN: [&str; 4] = [
    "run",
    "--roles",
    "ingest,jobs,triggers,publisher",
    "--drain",
];

pub(super) const RULE: &str = "name: errors\non: performance\nwindow: 1m\nby: [service]\n\
    when: error_rate > 0.3 AND requests >= 20\nseverity: critical\nrunbook: https://example.org/errors\n";

/// A Farol with the rule `errors`, and topics that begin with `name`.
pub(super) fn prepared(name: &str) -> Farol {
    let kafka = RealKafka::shared();
    let more = format!(
        "outputs: {{alerts: {name}.alerts, metrics: {name}.metrics}}\ningest: {{flush_interval: 100ms, idle_timeout: 2s}}\n\
         jobs: {{interval: 100ms}}\n"
    );
    let farol = Farol::new(
        &kafka.brokers(),
        &[(&format!("{name}.traces"), "trace", 2)],
        &more,
    );
    let rules = farol.path().join("pipelines/triggers");
    fs::create_dir_all(&rules).expect("a directory");
    fs::write(rules.join("errors.yaml"), RULE).expect("a rule");
    farol.ok(&["topics", "create"]);
    farol
}

/// The start of the minute so many minutes ago.
pub(super) fn minute(ago: i64) -> DateTime<Utc> {
    let now = Utc::now().timestamp() / 60 * 60;
    DateTime::from_timestamp(now, 0).expect("a time") - TimeDelta::minutes(ago)
}

pub(super) fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Calls of a service within a minute, of which the first so many fail.
pub(super) fn calls(
    service: &str,
    start: DateTime<Utc>,
    count: usize,
    errors: usize,
    tag: &str,
) -> Vec<Record> {
    let call = |number: usize| {
        let id = format!("{service}-{}-{tag}-{number}", start.timestamp());
        let time = start + TimeDelta::milliseconds(1 + 59_000 * number as i64 / count as i64);
        let fields = json!({
            "service": service, "event_time": time.to_rfc3339_opts(SecondsFormat::Millis, true),
            "status": if number < errors { "error" } else { "ok" },
        });
        Record::keyed(&id, with(trace(&id), &fields).to_string())
    };
    (0..count).map(call).collect()
}

pub(super) fn alerts(name: &str, rule: &str) -> Vec<Read> {
    let read = read_committed(&RealKafka::shared().brokers(), &format!("{name}.alerts"));
    read.into_iter()
        .filter(|alert| alert.body["rule"] == rule)
        .collect()
}

/// An alert as one line: service, window from the first, state, revision.
pub(super) fn lines(alerts: &[Read], first: DateTime<Utc>) -> Vec<String> {
    let line = |alert: &Read| {
        let body = &alert.body;
        let start: DateTime<Utc> = body["window_start"]
            .as_str()
            .expect("a time")
            .parse()
            .expect("a time");
        format!(
            "{} {} {} {}>{} {}",
            body["segment"]["service"].as_str().unwrap_or("-"),
            (start - first).num_minutes(),
            body["payload"]["cause"].as_str().unwrap_or("-"),
            body["payload"]["previous_state"].as_str().unwrap_or("-"),
            body["payload"]["state"].as_str().unwrap_or("-"),
            body["revision"]
        )
    };
    alerts.iter().map(line).collect()
}

/// What is on the topic is what is in the table, each once.
pub(super) fn compare(farol: &Farol, name: &str) {
    let read = read_committed(&RealKafka::shared().brokers(), &format!("{name}.alerts"));
    let ids: Vec<_> = read
        .iter()
        .map(|alert| {
            assert_eq!(
                Value::from(alert.headers["ce_id"].clone()),
                alert.body["action_id"]
            );
            assert_eq!(
                Value::from(alert.key.clone()),
                alert.body["payload"]["alert_id"]
            );
            json!(alert.headers["ce_id"])
        })
        .collect();
    let rows = farol.sql("SELECT action_id FROM actions ORDER BY sequence");
    let stored: Vec<_> = rows
        .into_iter()
        .map(|row| row["action_id"].clone())
        .collect();
    assert_eq!(ids, stored);
    let different: BTreeSet<_> = ids.iter().map(Value::to_string).collect();
    assert_eq!(different.len(), ids.len());
}

#[test]
fn an_incident_is_told_with_evidence_and_its_end_follows() {
    let (kafka, name) = (RealKafka::shared(), "incident");
    let farol = prepared(name);
    let first = minute(8);
    for number in 0..5 {
        let start = first + TimeDelta::minutes(number);
        let errors = if (1..3).contains(&number) { 25 } else { 1 };
        kafka.send("incident.traces", calls("checkout", start, 40, errors, "a"));
        kafka.send("incident.traces", calls("search", start, 40, 1, "a"));
    }
    farol.ok(&DRAIN);
    let told = alerts(name, "errors");
    assert_eq!(
        lines(&told, first),
        [
            "checkout 1 changed ok>alert 0",
            "checkout 3 changed alert>recovered 0"
        ]
    );
    let body = &told[0].body;
    assert_eq!(body["severity"], "critical");
    assert_eq!(body["runbook"], "https://example.org/errors");
    let evidence = &body["evidence"];
    assert_eq!(
        (
            &evidence["measure"],
            &evidence["value"],
            &evidence["threshold"]
        ),
        (&json!("error_rate"), &json!(0.625), &json!(0.3))
    );
    // Its query gives the same number, and its samples are calls that failed.
    let rows = farol.sql(evidence["sql"].as_str().expect("a query"));
    assert_eq!(rows, [json!({"value": 0.625})]);
    let samples: Vec<_> = evidence["samples"]
        .as_array()
        .expect("a list")
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(samples.len(), 5);
    let list = samples.join(",").replace('"', "'");
    let failed =
        format!("SELECT count(*) AS n FROM traces WHERE status = 'error' AND trace_id IN ({list})");
    assert_eq!(farol.number(&failed), 5);
    assert!(
        evidence["tables"]["partials/performance"].is_i64(),
        "{evidence}"
    );
    compare(&farol, name);
    // Nothing new: nothing is said.
    farol.ok(&DRAIN);
    assert_eq!(alerts(name, "errors").len(), 2);
    compare(&farol, name);
    let status: Value = serde_json::from_str(&farol.ok(&["status", "--json"])).expect("an object");
    assert_eq!(status["publisher"]["pending"], json!(0), "{status}");
    assert_eq!(
        status["publisher"]["next_action"],
        json!(farol.number("SELECT count(*) AS n FROM actions"))
    );
    // And history, run through the rule again, says the same.
    let replayed = farol.ok(&[
        "trigger",
        "test",
        "errors",
        "--from",
        &text(first),
        "--to",
        &text(minute(0)),
        "--json",
    ]);
    let states: Vec<Value> = replayed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["payload"]["state"].clone())
        .collect();
    assert_eq!(states.first(), Some(&json!("alert")), "{replayed}");
    assert!(farol.ok(&["trigger", "list"]).contains("errors"));
}

#[test]
fn late_data_neither_hides_an_incident_nor_withdraws_one_silently() {
    let (kafka, name) = (RealKafka::shared(), "late");
    let farol = prepared(name);
    let first = minute(8);
    for number in 0..5 {
        let start = first + TimeDelta::minutes(number);
        let errors = if number == 1 { 25 } else { 1 };
        kafka.send("late.traces", calls("checkout", start, 40, errors, "a"));
        kafka.send("late.traces", calls("search", start, 40, 1, "a"));
    }
    farol.ok(&DRAIN);
    let before = [
        "checkout 1 changed ok>alert 0",
        "checkout 2 changed alert>recovered 0",
    ];
    assert_eq!(lines(&alerts(name, "errors"), first), before);
    // What failed at checkout was few of many; and at search something did happen.
    kafka.send(
        "late.traces",
        calls("checkout", first + TimeDelta::minutes(1), 100, 0, "late"),
    );
    kafka.send(
        "late.traces",
        calls("search", first + TimeDelta::minutes(2), 60, 60, "late"),
    );
    farol.ok(&DRAIN);
    let after = [
        "checkout 1 withdrawn alert>ok 1",
        "search 2 changed ok>alert 0",
        "checkout 2 withdrawn recovered>ok 1",
        "search 3 changed alert>recovered 0",
    ];
    let told = lines(&alerts(name, "errors"), first);
    assert_eq!(
        told[2..].iter().collect::<BTreeSet<_>>(),
        after.map(str::to_owned).iter().collect(),
        "{told:?}"
    );
    compare(&farol, name);
    // Older than `max_age`, late data is measured and not alerted on.
    kafka.send("late.traces", calls("search", minute(90), 60, 60, "old"));
    farol.ok(&DRAIN);
    assert_eq!(alerts(name, "errors").len(), 6);
    // The topic of measures has each closed window, as it is now.
    let metrics = read_committed(&kafka.brokers(), "late.metrics");
    let window = text(first + TimeDelta::minutes(1));
    let checkout = metrics.iter().rfind(|record| {
        record.body["job"] == "performance"
            && record.body["segment"]["service"] == "checkout"
            && record.body["window_start"] == json!(window)
    });
    let checkout = checkout.expect("the window is there");
    assert_eq!(checkout.body["measures"]["requests"], json!(140));
    assert_eq!(checkout.body["measures"]["errors"], json!(25));
}

#[test]
fn a_rule_that_cannot_run_is_refused_with_its_place() {
    let farol = prepared("refused");
    let path = farol.path().join("pipelines/triggers/errors.yaml");
    for (bad, place, help) in [
        (
            "eror_rate > 0.3",
            "errors.yaml:5:7",
            "did you mean `error_rate`?",
        ),
        ("error_rate > 'high'", "errors.yaml:5:", "number"),
        ("cost_per_request > 1", "errors.yaml:5:7", "spend"),
        ("error_rate >", "errors.yaml:5:", ""),
    ] {
        fs::write(&path, RULE.replace("error_rate > 0.3", bad)).expect("a rule");
        for command in [&["check"][..], &["run", "--roles", "triggers", "--drain"]] {
            let refused = farol.call(command);
            assert_eq!(refused.code, Some(2), "{bad}: {}", refused.stderr);
            let said = format!("{}{}", refused.stdout, refused.stderr);
            assert!(said.contains(place) && said.contains(help), "{bad}: {said}");
        }
    }
    fs::write(&path, RULE).expect("a rule");
    let ok = farol.ok(&["check"]);
    assert!(
        ok.contains("errors") && ok.contains("error-rate-high"),
        "{ok}"
    );
}

/// As a person would see it: what `alerts` says of a job that fails, without what was said before.
fn states(name: &str) -> Vec<Value> {
    let told = alerts(name, "job-failing");
    told.iter()
        .map(|alert| alert.body["payload"]["state"].clone())
        .collect()
}

#[test]
fn a_job_that_fails_is_an_alert_and_its_recovery_follows() {
    let (kafka, name) = (RealKafka::shared(), "failing");
    let farol = prepared(name);
    farol.ok(&["job", "new", "mine"]);
    let sql = farol.path().join("pipelines/jobs/mine.sql");
    let good = fs::read_to_string(&sql).expect("the file that was written");
    // It fails where its rows are: this text is no number.
    let bad = good.replace("1 AS requests", "CAST(service AS BIGINT) AS requests");
    assert_ne!(bad, good);
    fs::write(&sql, bad).expect("a change");
    kafka.send("failing.traces", calls("checkout", minute(3), 40, 1, "a"));
    let run = ["run", "--roles", "ingest,jobs,triggers,publisher"];
    let process = farol.start(&run);
    wait_until("the failure is told", PATIENCE, || {
        (states(name) == ["alert"]).then_some(())
    });
    let alert = alerts(name, "job-failing").remove(0).body;
    assert_eq!(alert["segment"], json!({"job": "mine"}));
    assert_eq!(alert["severity"], "critical");
    let error = alert["payload"]["error"].as_str().expect("a text");
    assert!(error.contains("checkout"), "{error}");
    assert!(alert["evidence"]["tables"]["partials/mine"].is_i64());
    assert_eq!(process.stop(), Some(0));

    // It has seen no row with the other SQL, so there is nothing to compute anew.
    fs::write(&sql, good).expect("a change");
    let process = farol.start(&run);
    wait_until("the recovery is told", PATIENCE, || {
        (states(name) == ["alert", "recovered"]).then_some(())
    });
    assert_eq!(process.stop(), Some(0));
    compare(&farol, name);
}

#[test]
fn an_alert_is_on_the_topic_soon_after_its_window_is_closed() {
    let (kafka, name) = (RealKafka::shared(), "soon");
    let farol = prepared(name);
    let process = farol.start(&["run", "--roles", "ingest,jobs,triggers,publisher"]);
    let first = minute(4);
    kafka.send("soon.traces", calls("checkout", first, 40, 30, "a"));
    wait_until("the rows are there", PATIENCE, || {
        (farol.number("SELECT count(*) AS n FROM traces") == 40).then_some(())
    });
    // The partitions are silent, so the watermark moves with the clock: past the window's end.
    let mark = || {
        let status = farol.status();
        let least = status
            .iter()
            .map(|at| at.watermark.clone())
            .min()
            .flatten()?;
        (least >= text(first + TimeDelta::minutes(1))).then_some(())
    };
    wait_until("the watermark passes the window", PATIENCE, mark);
    let passed = Instant::now();
    let told = wait_until("the alert is told", PATIENCE, || {
        let told = alerts(name, "errors");
        (!told.is_empty()).then_some(told)
    });
    let took = passed.elapsed();
    assert_eq!(told[0].body["payload"]["state"], "alert");
    assert!(took < Duration::from_secs(15), "it took {took:?}");
    assert_eq!(process.stop(), Some(0));
    compare(&farol, name);
}
