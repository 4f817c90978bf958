//! The published schema of messages, its example and the code say the same.
//!
//! `FAROL_UPDATE_SCHEMAS=1 cargo test --release -p farol-triggers published_schema` writes the files anew.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::action::{Action, Evidence, action};
use crate::budget::definition::{Enforcement, Period, Rollover, Spend, Threshold};
use crate::budget::ledger::{Decision, Said};
use crate::budget::message::Grounds;
use crate::budget::standing::{Standing, Status};
use crate::budget::{self, Budget, Money};
use crate::condition::Compared;
use crate::lifecycle::{Cause, Decided, State, Transition};
use crate::rule::{Catalog, Job, Rule, Severity, understand_text};
use farol_jobs::segment::Segment;
use farol_jobs::{Grain, TimeZone};

const RULE: &str = "name: error-rate-high\non: performance\nby: [service, environment]\n\
    when: error_rate > 2 * baseline('7 days', error_rate) AND requests >= 20\nseverity: critical\n\
    runbook: https://runbooks.example.org/error-rate-high\n";

fn rule() -> Rule {
    let number = |name: &str| (name.to_owned(), crate::condition::Type::Number);
    let performance = Job {
        reads: "traces".to_owned(),
        window_us: 60_000_000,
        segments: vec!["service".to_owned(), "environment".to_owned()],
        measures: ["error_rate", "requests"].map(number).to_vec(),
        sketches: Vec::new(),
        ..Default::default()
    };
    let catalog = Catalog {
        jobs: [("performance".to_owned(), performance)].into(),
    };
    understand_text("error-rate-high", RULE, &catalog).expect("a good rule")
}

fn full() -> Value {
    let decided = Decided {
        window_us: 1_767_225_600_000_000,
        transition: Transition {
            cause: Cause::Changed,
            state: State::Alert,
            previous: State::Ok,
            severity: Severity::Critical,
            since_us: 1_767_225_540_000_000,
        },
        revision: 0,
    };
    let evidence = Evidence {
        compared: Compared {
            column: Some(0),
            value: Some(0.375),
            threshold: Some(0.0625),
            baseline: Some(0.031_25),
        },
        measure: Some("error_rate".to_owned()),
        samples: vec!["4bf92f3577b34da6a3ce929d0e0e4736".to_owned()],
        tables: vec![
            ("partials/performance".to_owned(), 412),
            ("traces".to_owned(), 977),
        ],
    };
    let segment = Segment(vec![Some("checkout".to_owned()), None]);
    let action = action(&rule(), &segment, &decided, &evidence);
    serde_json::from_str(&action.body).expect("JSON")
}

fn object(properties: &Value) -> Value {
    let names: Vec<_> = properties
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    json!({"type": "object", "properties": properties, "required": names, "additionalProperties": true})
}

fn said(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

fn schema() -> Value {
    let text = || json!({"type": "string"});
    let time = || json!({"type": "string", "format": "date-time"});
    let number = || json!({"type": ["number", "null"]});
    let states = State::ALL.map(State::as_str);
    let evidence = object(&json!({
        "measure": said(json!({"type": ["string", "null"]}), "the first measure that the rule's condition compares; of an OR, on the side that holds"),
        "value": said(number(), "its value in the window; null where there is no data"),
        "threshold": said(number(), "what it was compared with"),
        "baseline": said(number(), "the first look at the segment's own past that the condition takes"),
        "samples": said(json!({"type": "array", "items": text()}), "trace ids of the window"),
        "sql": said(json!({"type": ["string", "null"]}), "a query that gives the value"),
        "tables": said(json!({"type": "object", "additionalProperties": {"type": "integer"}}), "the tables that were read, and their versions"),
    }));
    let consequence = object(&json!({
        "rule": text(),
        "segment": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
        "alert_id": text(),
    }));
    let payload = object(&json!({
        "alert_id": said(text(), "rule and segment: the same for as long as both are; the record's key"),
        "state": said(json!({"enum": states}), "from this window on"),
        "previous_state": said(json!({"enum": states}), "what was said before"),
        "since": said(time(), "the start of the state's first window"),
        "error": said(json!({"type": ["string", "null"]}), "what a failing job says (rule job-failing)"),
        "finding": said(json!({"type": ["object", "null"], "additionalProperties": true}), "what a detector found (rules on findings): its id, detector, job, measure, segment, since, effect with its interval, statistic and threshold, root causes, and how many findings of the alert are open"),
        "count": said(json!({"type": ["integer", "null"]}), "how many events it stands for (rules on single events)"),
        "cause": said(json!({"enum": Cause::ALL.map(Cause::as_str)}), "changed: a transition; renotified: it lasts; withdrawn: late data took an earlier message back; resolved: closed by hand; muted, unmuted, acknowledged, escalated: the state is as it was, and this changes who is to be disturbed"),
        "muted": said(json!({"type": ["object", "null"], "additionalProperties": true}), "nobody is to be notified: by a silence (by: silence, silence_id, comment), or by an alert that is its cause (by: rule, rule, alert_id)"),
        "acknowledged": said(json!({"type": ["object", "null"], "additionalProperties": true}), "who sees to it (by, comment, acknowledgement_id)"),
        "resolved": said(json!({"type": ["object", "null"], "additionalProperties": true}), "who closed it by hand (by, comment, acknowledgement_id)"),
        "escalation": said(json!({"type": "integer", "minimum": 0}), "how many levels of the rule's `escalate` it has come to"),
        "consequences": said(json!({"type": "array", "items": consequence}), "the alerts that this one mutes as of its window: 100 at the most"),
    }));
    let mut schema = object(&json!({
        "action_id": said(text(), "the same decision has the same id; nothing is published twice under one"),
        "kind": said(json!({"const": "alert"}), "what the payload is"),
        "rule": said(text(), "the rule that decided"),
        "segment": said(json!({"type": "object", "additionalProperties": {"type": ["string", "null"]}}), "what it is about, by the rule's `by`"),
        "window_start": said(time(), "the window that decided"),
        "window_end": time(),
        "revision": said(json!({"type": "integer", "minimum": 0}), "higher where late data made Farol say it anew; the highest of a window stands"),
        "severity": said(json!({"enum": Severity::ALL.map(Severity::as_str)}), "how bad it is, or was"),
        "evidence": said(evidence, "so that a person can look for themselves"),
        "runbook": said(json!({"type": ["string", "null"]}), "where a person reads what to do"),
        "payload": payload,
    }));
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Farol alert");
    schema
}

/// A threshold of a budget that was crossed, in full.
fn full_budget() -> Value {
    serde_json::from_str(&budget_action("threshold").body).expect("JSON")
}

/// What a budget says of a day of which 12.5 of 10 USD are spent.
fn budget_action(what: &str) -> Action {
    let threshold = |percent, action| Threshold { percent, action };
    let (block, notify) = (
        threshold(100, Enforcement::BlockRequests),
        threshold(80, Enforcement::NotifyTeam),
    );
    let money = |text: &str| text.parse::<Money>().expect("an amount");
    let budget = Budget {
        name: "assistant-daily".to_owned(),
        description: None,
        scope: vec![
            ("service".to_owned(), "assistant".to_owned()),
            ("team".to_owned(), "blue".to_owned()),
        ],
        by: Some("model".to_owned()),
        tags: vec!["team".to_owned()],
        limit: money("10"),
        currency: "USD".to_owned(),
        period: Period::Calendar(Grain::parse("1 day", TimeZone::UTC).expect("a day")),
        period_name: "daily",
        time_zone: TimeZone::UTC,
        thresholds: vec![notify, block],
        rollover: Rollover::None,
        source: Spend::Calls,
        file: "budgets.yaml".to_owned(),
    };
    let standing = Standing {
        limit: money("10"),
        used: money("12.500000000001"),
        thresholds: vec![(notify, true), (block, true)],
    };
    let said = match what {
        "threshold" => Said::Threshold {
            threshold: block,
            withdrawn: false,
            standing,
        },
        "state" => Said::State(standing),
        _ => Said::Statement(standing),
    };
    let start_us = 1_767_225_600_000_000;
    let decision = Decision {
        segment: Segment(vec![Some("gpt-4o".to_owned())]),
        span: budget.period_at(start_us).expect("a day"),
        revision: 0,
        said,
    };
    let grounds = Grounds {
        as_of_us: start_us + 40_000_000_000,
        tables: &[("partials/spend".to_owned(), 412)],
        previous: None,
    };
    budget::message::action(&budget, &decision, &grounds)
}

/// The names that only a threshold's payload has.
const OF_A_THRESHOLD: [&str; 3] = ["action", "state", "threshold_percent"];

fn budget_schema() -> Value {
    let text = || json!({"type": "string"});
    let time = || json!({"type": "string", "format": "date-time"});
    let money = || json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,12})?$"});
    let actions = Enforcement::ALL.map(Enforcement::as_str);
    let scope = said(
        json!({
            "type": "object",
            "properties": {"tags": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}},
            "additionalProperties": {"type": ["string", "null"]},
        }),
        "what it is about: columns and their values, tags below `tags`; null: what has none",
    );
    let threshold = object(&json!({
        "percent": said(json!({"type": "integer"}), "per cent of the limit"),
        "action": said(json!({"enum": actions}), "what is done when that is spent"),
        "crossed": said(json!({"type": "boolean"}), "whether it is"),
    }));
    let mut payload = object(&json!({
        "type": said(json!({"enum": ["threshold", "state", "statement"]}), "threshold: one was crossed, or is withdrawn; state: what the open period has come to; statement: what a closed period has come to"),
        "budget": said(text(), "its name"),
        "scope": scope.clone(),
        "period": said(json!({"enum": ["daily", "weekly", "monthly", "rolling"]}), "how time is cut"),
        "period_start": said(time(), "when the period begins"),
        "period_end": said(time(), "when it ends; that instant is not in it"),
        "time_zone": said(text(), "whose calendar"),
        "limit": said(money(), "what may be spent in the period, with what rolled over"),
        "currency": said(text(), "what amounts are in; others are not counted"),
        "used": said(money(), "what was spent, to the last digit"),
        "used_percent": said(json!({"type": "number"}), "its part of the limit, rounded down to hundredths"),
        "status": said(json!({"enum": Status::ALL.map(Status::as_str)}), "ok; warning: a threshold is crossed; exhausted: the limit is spent; removed: the budget is no more"),
        "thresholds": said(json!({"type": "array", "items": threshold}), "every threshold of the budget"),
        "enforce": said(json!({"enum": ["none", "switch_to_cheaper_model", "block_requests"]}), "what a gateway does, of a state"),
        "as_of": said(time(), "how far event time was: the watermark"),
        "threshold_percent": said(json!({"type": "integer"}), "of a threshold: which"),
        "action": said(json!({"enum": actions}), "of a threshold: what is done"),
        "state": said(json!({"enum": ["crossed", "withdrawn"]}), "of a threshold: withdrawn where late costs, an adjustment or an edit took the sum under it"),
    }));
    let required = payload["required"].as_array_mut().expect("names");
    required.retain(|name| !OF_A_THRESHOLD.iter().any(|own| name == own));
    let nothing = || json!({"type": "null"});
    let evidence = object(&json!({
        "measure": said(json!({"const": "cost"}), "what is added up"),
        "value": said(money(), "the sum"),
        "threshold": said(json!({"type": ["string", "null"]}), "the amount at which the threshold is reached"),
        "baseline": nothing(),
        "samples": said(json!({"type": "array", "items": text()}), "none: a sum is of all calls"),
        "sql": said(json!({"type": ["string", "null"]}), "a query that gives the sum"),
        "tables": said(json!({"type": "object", "additionalProperties": {"type": "integer"}}), "the tables that were read, and their versions"),
    }));
    let mut schema = object(&json!({
        "action_id": said(text(), "the same decision has the same id; nothing is published twice under one"),
        "kind": said(json!({"const": "budget"}), "what the payload is"),
        "rule": said(text(), "the budget"),
        "segment": scope,
        "window_start": said(time(), "the period"),
        "window_end": time(),
        "revision": said(json!({"type": "integer", "minimum": 0}), "higher each time that it is said anew"),
        "severity": said(json!({"enum": Severity::ALL.map(Severity::as_str)}), "block_requests is critical, notify_team info, the others warning"),
        "evidence": said(evidence, "so that a person can look for themselves"),
        "runbook": nothing(),
        "payload": payload,
    }));
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Farol budget");
    schema
}

#[test]
fn budgets_are_as_the_schema_says() {
    for what in ["threshold", "state", "statement"] {
        let action = budget_action(what);
        let body = serde_json::from_str(&action.body).expect("JSON");
        let mut found = Vec::new();
        faults(&budget_schema(), &body, "budget", &mut found);
        assert_eq!(found, [""; 0]);
        let told = budget::message::told(&action).expect("its own words");
        assert_eq!(told.payload["type"], json!(what));
    }
    let removed = budget::message::told(&budget_action("state")).expect("its own words");
    let removal = budget::message::removal(&removed, "assistant-daily", "{}");
    let body = serde_json::from_str(&removal.body).expect("JSON");
    let mut found = Vec::new();
    faults(&budget_schema(), &body, "budget", &mut found);
    assert_eq!(found, [""; 0]);
    assert_eq!(body["payload"]["enforce"], json!("none"));
}

fn held(file: &str, value: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../schemas")
        .join(file);
    let text = serde_json::to_string_pretty(value).expect("JSON") + "\n";
    if std::env::var_os("FAROL_UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &text).expect("the file can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{} is out of date; FAROL_UPDATE_SCHEMAS=1 cargo test --release -p farol-triggers published_schema",
        path.display()
    );
}

/// What of a value a schema does not allow; only the words that ours use.
fn faults(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let is = |kind: &str| match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        other => panic!("the type {other}"),
    };
    let fits = match &schema["type"] {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().any(|kind| is(kind.as_str().expect("a word"))),
        _ => true,
    };
    let listed = schema["enum"]
        .as_array()
        .is_none_or(|known| known.contains(value));
    let constant = schema.get("const").is_none_or(|known| known == value);
    if !(fits && listed && constant) {
        found.push(format!("{at}: {value}"));
    }
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().expect("a word")).is_none() {
            found.push(format!("{at}.{name} is missing"));
        }
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        match properties.get(name) {
            Some(schema) => faults(schema, inner, &format!("{at}.{name}"), found),
            None if schema["additionalProperties"].is_object() => {
                faults(
                    &schema["additionalProperties"],
                    inner,
                    &format!("{at}.{name}"),
                    found,
                );
            }
            None => found.push(format!("{at}.{name} is in no schema")),
        }
    }
    for inner in value.as_array().into_iter().flatten() {
        faults(&schema["items"], inner, &format!("{at}[]"), found);
    }
}

#[test]
fn the_files_are_those_of_the_code() {
    held("alert.schema.json", &schema());
    held("examples/alert.full.json", &full());
    held("budget.schema.json", &budget_schema());
    held("examples/budget.full.json", &full_budget());
}

#[test]
fn messages_are_as_the_schema_says_with_evidence_and_without() {
    let found = |value: &Value| {
        let mut found = Vec::new();
        faults(&schema(), value, "alert", &mut found);
        found
    };
    assert_eq!(found(&full()), [""; 0]);
    let decided = Decided {
        window_us: 0,
        transition: Transition {
            cause: Cause::Withdrawn,
            state: State::NoData,
            previous: State::Alert,
            severity: Severity::Info,
            since_us: 0,
        },
        revision: 3,
    };
    let segment = Segment(vec![None, None]);
    let bare = action(&rule(), &segment, &decided, &Evidence::default());
    assert_eq!(
        found(&serde_json::from_str(&bare.body).expect("JSON")),
        [""; 0]
    );
    // And the check itself finds faults.
    let mut wrong = full();
    wrong["severity"] = json!("fatal");
    wrong["evidence"]["value"] = json!("much");
    wrong["payload"]
        .as_object_mut()
        .expect("an object")
        .remove("since");
    assert_eq!(found(&wrong).len(), 3, "{:?}", found(&wrong));
}

#[test]
fn the_bodies_hold_no_clock_and_the_ids_are_of_what_was_decided() {
    assert_eq!(full(), full());
    let base = full();
    assert_eq!(
        base["evidence"]["sql"],
        json!(
            "SELECT error_rate AS value FROM measures('performance', '1 minute', 'service', 'environment') \
         WHERE window_start = TIMESTAMP '2026-01-01T00:00:00Z' AND service = 'checkout' AND environment IS NULL"
        )
    );
}
