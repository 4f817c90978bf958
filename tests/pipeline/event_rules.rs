//! Rules on single events as operators meet them: one call is told within seconds, a flood is one alert with a count, and the end
//! follows when no more comes.

use std::collections::BTreeSet;
use std::fs;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::events::{trace, with};
use crate::harness::farol::Farol;
use crate::harness::kafka::{RealKafka, Record, read_committed};
use crate::harness::{PATIENCE, wait_until};

const ROLES: [&str; 3] = ["run", "--roles", "ingest,triggers,publisher"];

const RULE: &str = "name: dear\non: traces\nby: [service]\nwhen: cost > 10 -- a comment\nwithin: 2m\n\
    severity:\n  - {when: events >= 100, severity: critical}\n  - {severity: warning}\nrunbook: https://example.org/dear\n";

/// A Farol with the rule `dear`, and topics that begin with `name`.
fn prepared(name: &str, rule: &str) -> Farol {
    let kafka = RealKafka::shared();
    let more = format!(
        "outputs: {{alerts: {name}.alerts, metrics: {name}.metrics}}\ningest: {{flush_interval: 100ms, idle_timeout: 2s}}\n"
    );
    let farol = Farol::new(
        &kafka.brokers(),
        &[(&format!("{name}.traces"), "trace", 2)],
        &more,
    );
    let rules = farol.path().join("pipelines/triggers");
    fs::create_dir_all(&rules).expect("a directory");
    fs::write(rules.join("dear.yaml"), rule).expect("a rule");
    farol.ok(&["topics", "create"]);
    farol
}

/// The start of the minute so many minutes ago.
fn minute(ago: i64) -> DateTime<Utc> {
    let now = Utc::now().timestamp() / 60 * 60;
    DateTime::from_timestamp(now, 0).expect("a time") - TimeDelta::minutes(ago)
}

/// A call of a service in a minute, with what it cost.
fn call(service: &str, start: DateTime<Utc>, number: i64, cost: &str) -> Record {
    let id = format!("{service}-{}-{number}", start.timestamp());
    let time = start + TimeDelta::milliseconds(1 + number);
    let fields = json!({
        "service": service, "event_time": time.to_rfc3339_opts(SecondsFormat::Millis, true), "cost": cost,
        "user_id": format!("user-{number}"),
    });
    Record::keyed(&id, with(trace(&id), &fields).to_string())
}

/// What the topic says of a rule: segment's value, state, events.
fn told(name: &str, rule: &str) -> Vec<(String, String, i64)> {
    let alerts = read_committed(&RealKafka::shared().brokers(), &format!("{name}.alerts"));
    let of = alerts.iter().filter(|alert| alert.body["rule"] == rule);
    of.map(|alert| {
        let segment = alert.body["segment"].as_object().expect("an object");
        let values: Vec<_> = segment.values().filter_map(Value::as_str).collect();
        let payload = &alert.body["payload"];
        (
            values.join(" "),
            payload["state"].as_str().expect("a state").to_owned(),
            payload["count"].as_i64().expect("a count"),
        )
    })
    .collect()
}

fn line(segment: &str, state: &str, count: i64) -> (String, String, i64) {
    (segment.to_owned(), state.to_owned(), count)
}

#[test]
fn one_call_is_told_at_once_a_flood_with_its_count_and_the_end_when_no_more_comes() {
    let (kafka, name) = (RealKafka::shared(), "dear");
    let farol = prepared(name, RULE);
    let process = farol.start(&ROLES);
    let first = minute(7);
    kafka.send(
        "dear.traces",
        vec![
            call("checkout", first, 0, "0.5"),
            call("checkout", first, 1, "25.50"),
        ],
    );
    // No later event moves the watermark, and none is waited for.
    wait_until("one call is told", PATIENCE, || {
        (told(name, "dear") == [line("checkout", "warning", 1)]).then_some(())
    });
    let alerts = read_committed(&kafka.brokers(), "dear.alerts");
    let body = &alerts[0].body;
    assert_eq!(body["runbook"], "https://example.org/dear");
    let evidence = &body["evidence"];
    let trace_id = format!("t-checkout-{}-1", first.timestamp());
    assert_eq!(evidence["samples"], json!([trace_id]));
    let compared = [
        &evidence["measure"],
        &evidence["value"],
        &evidence["threshold"],
    ];
    assert_eq!(compared, [&json!("events"), &json!(1.0), &json!(1.0)]);
    let rows = farol.sql(evidence["sql"].as_str().expect("a query"));
    assert_eq!(rows, [json!({"value": 1})]);
    // A flood.
    let flood: Vec<Record> = (0..500)
        .map(|number| call("search", first, number, "99"))
        .collect();
    kafka.send("dear.traces", flood);
    wait_until("the flood is critical", PATIENCE, || {
        let mut told = told(name, "dear").into_iter();
        told.any(|one| one.0 == "search" && one.1 == "alert")
            .then_some(())
    });
    // Time goes on, without any more of them.
    let later: Vec<Record> = (0..20)
        .map(|number| call("checkout", minute(1), number, "0.5"))
        .collect();
    kafka.send("dear.traces", later);
    wait_until("both recover", PATIENCE, || {
        let ends: BTreeSet<_> = told(name, "dear")
            .into_iter()
            .filter(|one| one.1 == "recovered")
            .collect();
        (ends
            == BTreeSet::from([
                line("checkout", "recovered", 1),
                line("search", "recovered", 500),
            ]))
        .then_some(())
    });
    assert_eq!(process.stop(), Some(0));
    let all = told(name, "dear");
    let search = all.iter().filter(|one| one.0 == "search").count();
    assert!(
        search <= 3,
        "a warning at the most before it is critical: {all:?}"
    );
    // History says the same.
    let (from, to) = (first.to_rfc3339(), minute(0).to_rfc3339());
    let replayed = farol.ok(&[
        "trigger", "test", "dear", "--from", &from, "--to", &to, "--json",
    ]);
    let replayed: Vec<Value> = replayed
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let states: BTreeSet<_> = replayed
        .iter()
        .map(|body| {
            let payload = &body["payload"];
            format!(
                "{} {} {}",
                body["segment"]["service"], payload["state"], payload["count"]
            )
        })
        .collect();
    let expected = [
        r#""checkout" "warning" 1"#,
        r#""checkout" "recovered" 1"#,
        r#""search" "alert" 500"#,
        r#""search" "recovered" 500"#,
    ];
    assert_eq!(states, expected.map(str::to_owned).into());
    assert!(farol.ok(&["trigger", "list"]).contains("cost > 10"));
}

#[test]
fn what_would_be_an_alert_for_each_user_ends_in_a_few() {
    let (kafka, name) = (RealKafka::shared(), "users");
    let rule = RULE
        .replace("by: [service]", "by: [user_id]")
        .replace("within: 2m", "within: 2m\nmax_alerts: 5");
    let farol = prepared(name, &rule);
    let flood: Vec<Record> = (0..300)
        .map(|number| call("search", minute(3), number, "99"))
        .collect();
    kafka.send("users.traces", flood);
    farol.ok(&["run", "--roles", "ingest,triggers,publisher", "--drain"]);
    let told = told(name, "dear");
    assert_eq!(told.len(), 6, "{told:?}");
    let others = told
        .iter()
        .find(|one| one.0 == "(others)")
        .expect("one for the rest");
    assert_eq!(others.2, 295);
    // Nothing new, nothing said; also by a process that begins anew.
    farol.ok(&["run", "--roles", "ingest,triggers,publisher", "--drain"]);
    assert_eq!(self::told(name, "dear").len(), 6);
}

#[test]
fn dead_letters_are_told_by_topic_and_reason() {
    let (kafka, name) = (RealKafka::shared(), "letters");
    let farol = prepared(name, RULE);
    let garbage: Vec<Record> = (0..12)
        .map(|number| Record::keyed(&number.to_string(), "{\"half\": ".to_owned()))
        .collect();
    kafka.send("letters.traces", garbage);
    farol.ok(&["run", "--roles", "ingest,triggers,publisher", "--drain"]);
    let told = told(name, "dead-letters");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0.contains("letters.traces"), "{told:?}");
    assert_eq!((told[0].1.as_str(), told[0].2), ("warning", 12));
}

#[test]
fn a_condition_that_is_no_sql_is_refused_with_its_place() {
    let farol = prepared("nosql", RULE);
    let path = farol.path().join("pipelines/triggers/dear.yaml");
    for (bad, said) in [
        ("costs > 10", "costs"),
        ("cost > 10) OR (true", ")"),
        ("cost + 1", "true or false"),
    ] {
        fs::write(&path, RULE.replace("cost > 10 -- a comment", bad)).expect("a rule");
        let refused = farol.call(&["check"]);
        assert_eq!(refused.code, Some(2), "{bad}: {}", refused.stderr);
        let text = format!("{}{}", refused.stdout, refused.stderr);
        assert!(
            text.contains("dear.yaml:4:") && text.contains(said),
            "{bad}: {text}"
        );
    }
}
