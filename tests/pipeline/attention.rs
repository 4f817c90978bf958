//! Who is to be disturbed, as operators meet it: an outage mutes what follows from it and names it, a silence is honoured and
//! its end tells, what is acknowledged is not said again, and what is resolved stays closed.

use std::collections::BTreeSet;
use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::triggers::{DRAIN, RULE, alerts, calls, compare, lines, minute, prepared, text};
use crate::harness::farol::Farol;
use crate::harness::kafka::{Read, RealKafka};

/// Over everything: a provider is out.
const OUTAGE: &str = "name: outage\non: performance\nwindow: 1m\n\
    when: error_rate > 0.3 AND requests >= 20\nseverity: critical\n";

fn rule(farol: &Farol, name: &str, yaml: &str) {
    let path = farol.path().join(format!("pipelines/triggers/{name}.yaml"));
    fs::write(path, yaml).expect("a rule");
}

/// A minute of calls of a service, half of which fail, or none.
fn send(name: &str, service: &str, first: DateTime<Utc>, number: i64, fails: bool) {
    let start = first + TimeDelta::minutes(number);
    let errors = if fails { 20 } else { 0 };
    let topic = format!("{name}.traces");
    RealKafka::shared().send(&topic, calls(service, start, 40, errors, "a"));
}

/// The messages of a service's alert of the rule `errors`.
fn of_service(name: &str, service: &str) -> Vec<Read> {
    let mut told = alerts(name, "errors");
    told.retain(|alert| alert.body["segment"]["service"] == service);
    told
}

/// What mutes each message.
fn muted(told: &[Read]) -> Vec<&Value> {
    let by = told
        .iter()
        .map(|alert| &alert.body["payload"]["muted"]["by"]);
    by.collect()
}

/// The alert of the rule `errors` as `farol alert list` has it; `None` where it does not fire. Shipped rules may fire beside it.
fn listed(farol: &Farol) -> Option<Value> {
    let told = farol.ok(&["alert", "list", "--json"]);
    let all = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut of_rule = all.filter(|alert| alert["rule"] == "errors");
    let one = of_rule.next();
    assert_eq!(of_rule.next(), None, "{told}");
    one
}

#[test]
fn an_outage_mutes_what_follows_from_it_and_names_it() {
    let name = "outage";
    let farol = prepared(name);
    rule(&farol, "outage", OUTAGE);
    rule(&farol, "errors", &format!("{RULE}muted_by: [outage]\n"));
    let first = minute(8);
    for number in 0..5 {
        // Both fail, then checkout alone goes on to.
        send(name, "checkout", first, number, (1..4).contains(&number));
        send(name, "search", first, number, (1..3).contains(&number));
    }
    farol.ok(&DRAIN);
    let outage = alerts(name, "outage");
    assert_eq!(
        lines(&outage, first),
        ["- 1 changed ok>alert 0", "- 3 changed alert>recovered 0"]
    );
    let named = outage[0].body["payload"]["consequences"].as_array();
    let named: BTreeSet<_> = named
        .expect("a list")
        .iter()
        .map(|one| format!("{} {}", one["rule"], one["segment"]["service"]))
        .collect();
    assert_eq!(
        named.iter().collect::<Vec<_>>(),
        [r#""errors" "checkout""#, r#""errors" "search""#]
    );
    let checkout = of_service(name, "checkout");
    assert_eq!(
        lines(&checkout, first),
        [
            "checkout 1 changed ok>alert 0",
            "checkout 3 unmuted alert>alert 0",
            "checkout 4 changed alert>recovered 0"
        ]
    );
    assert_eq!(
        muted(&checkout),
        [&json!("rule"), &Value::Null, &Value::Null]
    );
    let cause = &checkout[0].body["payload"]["muted"];
    assert_eq!(cause["rule"], "outage");
    assert_eq!(cause["alert_id"], outage[0].body["payload"]["alert_id"]);
    let search = of_service(name, "search");
    assert_eq!(
        lines(&search, first),
        [
            "search 1 changed ok>alert 0",
            "search 3 changed alert>recovered 0"
        ]
    );
    assert_eq!(muted(&search), [&json!("rule"), &json!("rule")]);
    compare(&farol, name);
    // Asked again, nothing more is said.
    let before = alerts(name, "errors").len();
    farol.ok(&DRAIN);
    assert_eq!(alerts(name, "errors").len(), before);
    assert_eq!(farol.ok(&["alert", "list"]).trim(), "no alerts");
}

#[test]
fn a_silence_is_honoured_and_its_end_tells() {
    let name = "silenced";
    let farol = prepared(name);
    let first = minute(8);
    let from = text(first + TimeDelta::minutes(1));
    let to = text(first + TimeDelta::minutes(30));
    let add = [
        "silence",
        "add",
        "--rule",
        "err*",
        "--segment",
        "service=checkout",
        "--from",
        &from,
        "--to",
        &to,
        "--comment",
        "load test",
        "--by",
        "ana",
        "--json",
    ];
    let silence: Value = serde_json::from_str(&farol.ok(&add)).expect("JSON");
    for number in 0..3 {
        send(name, "checkout", first, number, number > 0);
        send(name, "search", first, number, number > 0);
    }
    farol.ok(&DRAIN);
    let checkout = of_service(name, "checkout");
    assert_eq!(lines(&checkout, first), ["checkout 1 changed ok>alert 0"]);
    let by = &checkout[0].body["payload"]["muted"];
    assert_eq!(
        (&by["by"], &by["silence_id"], &by["comment"]),
        (
            &json!("silence"),
            &silence["silence_id"],
            &json!("load test")
        )
    );
    assert_eq!(muted(&of_service(name, "search")), [&Value::Null]);
    assert_eq!(
        farol.number("SELECT count(*) AS n FROM silences WHERE written_by = 'ana'"),
        1
    );

    // It is ended, by the clock: windows that end from now on are said unmuted. The first of them tells.
    let id = silence["silence_id"].as_str().expect("an id");
    farol.ok(&["silence", "expire", &id[..8], "--by", "bo"]);
    let ended = farol.ok(&["silence", "list", "--all", "--json"]);
    assert!(ended.contains("expired"), "{ended}");
    assert_eq!(
        farol.call(&["silence", "expire", id, "--by", "bo"]).code,
        Some(2)
    );
    assert_eq!(farol.ok(&["silence", "list"]).trim(), "no silences");
    let now = (Utc::now() - first).num_minutes();
    send(name, "checkout", first, now, true);
    farol.ok(&DRAIN);
    let checkout = of_service(name, "checkout");
    assert_eq!(
        lines(&checkout, first)[1..],
        [format!("checkout {now} unmuted alert>alert 0")]
    );
    assert_eq!(muted(&checkout), [&json!("silence"), &Value::Null]);
    compare(&farol, name);
    let everything = farol.call(&[
        "silence",
        "add",
        "--for",
        "1h",
        "--comment",
        "x",
        "--by",
        "bo",
    ]);
    assert_eq!(everything.code, Some(2), "{}", everything.stderr);
}

#[test]
fn what_is_acknowledged_is_not_said_again_and_what_is_resolved_stays_closed() {
    let name = "seen";
    let farol = prepared(name);
    rule(&farol, "errors", &format!("{RULE}renotify: 2m\n"));
    let first = minute(20);
    let mut number = 0;
    let mut minutes = |states: &str| {
        for state in states.chars() {
            send(name, "checkout", first, number, state == '!');
            number += 1;
        }
        farol.ok(&DRAIN);
    };
    minutes(".!!!");
    let told = lines(&alerts(name, "errors"), first);
    assert_eq!(
        told,
        [
            "checkout 1 changed ok>alert 0",
            "checkout 3 renotified alert>alert 0"
        ]
    );
    let alert = listed(&farol).expect("it fires");
    let id = alert["alert_id"].as_str().expect("an id").to_owned();
    assert_eq!(alert["acknowledged"], Value::Null);
    let ack = [
        "alert",
        "ack",
        &id[..8],
        "--by",
        "ana",
        "--comment",
        "on it",
    ];
    farol.ok(&ack);
    minutes("!!!!");
    let told = alerts(name, "errors");
    assert_eq!(
        lines(&told, first)[2..],
        ["checkout 3 acknowledged alert>alert 1"]
    );
    assert_eq!(told[2].body["payload"]["acknowledged"]["by"], "ana");
    let alert = listed(&farol).expect("it fires");
    assert_eq!(alert["acknowledged"]["comment"], "on it");
    let twice = farol.call(&ack);
    assert_eq!(twice.code, Some(2), "{}", twice.stderr);

    farol.ok(&["alert", "resolve", &id, "--by", "bo"]);
    minutes("!!!");
    let told = alerts(name, "errors");
    assert_eq!(
        lines(&told, first)[3..],
        ["checkout 7 resolved alert>recovered 0"]
    );
    assert_eq!(told[3].body["payload"]["resolved"]["by"], "bo");
    assert_eq!(listed(&farol), None);
    assert_eq!(
        farol.call(&["alert", "resolve", &id, "--by", "bo"]).code,
        Some(2),
        "it is closed"
    );
    minutes(".!");
    assert_eq!(
        lines(&alerts(name, "errors"), first)[4..],
        [
            "checkout 11 changed recovered>ok 0",
            "checkout 12 changed ok>alert 0"
        ]
    );
    compare(&farol, name);
    let story: Value =
        serde_json::from_str(&farol.ok(&["alert", "show", &id, "--json"])).expect("JSON");
    assert_eq!(story["messages"].as_array().map(Vec::len), Some(6));
    assert_eq!(story["state"], "alert");
    let story = farol.ok(&["alert", "show", &id[..8]]);
    for part in [
        "https://example.org/errors",
        "error_rate = 0.5",
        "on it",
        "resolved",
    ] {
        assert!(story.contains(part), "{part}: {story}");
    }
    assert_eq!(farol.call(&["alert", "show", "nothing"]).code, Some(2));
}
