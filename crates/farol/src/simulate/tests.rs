//! What a simulation promises.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use farol_events::{Decoder, Kind, TimeRange};
use serde_json::Value;

use super::{
    incident::{IncidentKind, Incidents},
    simulation::{Limit, Simulated, Simulation},
};

/// 2025-01-06T09:00:00Z, when the day's rate is at its mean.
const START_US: i64 = 1_736_154_000_000_000;

const DAY_US: i64 = 86_400_000_000;

fn first(seed: u64, events: u64) -> Vec<Simulated> {
    Simulation::new(seed, START_US, 50.0)
        .limit(Limit::Events(events))
        .collect()
}

fn value(event: &Simulated) -> Value {
    serde_json::from_slice(&event.json).expect("JSON")
}

fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    event[name].as_str().unwrap_or_default()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    assert_eq!(first(7, 3_000), first(7, 3_000));
    assert_ne!(first(7, 100), first(8, 100));
}

#[test]
fn every_event_decodes_without_a_fault() {
    let incidents = (0..).zip(IncidentKind::ALL).map(|(turn, (_, name, _))| {
        let incident = format!("{name}@{}m+2m", 3 * turn);
        incident.parse().expect("a good incident")
    });
    let events = Simulation::new(3, START_US, 15.0)
        .incidents(Incidents::once(START_US, incidents.collect()))
        .limit(Limit::Events(20_000));
    let range = TimeRange {
        min_us: START_US - DAY_US,
        max_us: START_US + DAY_US,
    };
    let mut decoders: HashMap<Kind, Decoder> = Kind::ALL
        .iter()
        .map(|kind| (*kind, Decoder::new(*kind, range)))
        .collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for event in events {
        let json = String::from_utf8_lossy(&event.json).into_owned();
        let decoder = decoders.get_mut(&event.kind).expect("one for each kind");
        decoder
            .decode(&event.json)
            .unwrap_or_else(|reject| panic!("{}: {json}", reject.reason));
        *counts.entry(event.kind.as_str()).or_default() += 1;
    }
    for (kind, mut decoder) in decoders {
        let decoded = decoder.finish();
        assert!(
            decoded.batch.num_rows() > 5,
            "{kind}: {}",
            decoded.batch.num_rows()
        );
        // Unknown members and faults are kept in `attributes`: a simulated event has neither.
        if let Some(attributes) = decoded.batch.column_by_name("attributes") {
            assert_eq!(
                attributes.null_count(),
                attributes.len(),
                "{kind}: {attributes:?}"
            );
        }
        assert!(decoded.fingerprints.iter().all(Option::is_some), "{kind}");
    }
    assert_eq!(counts.values().sum::<usize>(), 20_000);
}

#[test]
fn events_are_sent_in_order_and_never_before_they_happen() {
    let events = first(1, 5_000);
    assert!(events.iter().map(|event| event.send_us).is_sorted());
    assert!(
        events
            .iter()
            .all(|event| event.send_us >= event.event_time_us)
    );
    assert!(events.iter().all(|event| !event.key.is_empty()));
}

#[test]
fn spans_refer_to_spans_of_their_trace_that_began_before_them() {
    let events = first(2, 10_000);
    let spans: Vec<Value> = events
        .iter()
        .filter(|event| event.kind == Kind::Trace)
        .map(value)
        .collect();
    let by_id: HashMap<(&str, &str), &Value> = spans
        .iter()
        .map(|span| ((text(span, "trace_id"), text(span, "span_id")), span))
        .collect();
    assert_eq!(by_id.len(), spans.len(), "span ids repeat");
    let mut children = 0;
    for span in spans
        .iter()
        .filter(|span| !span["parent_span_id"].is_null())
    {
        let parent = by_id[&(text(span, "trace_id"), text(span, "parent_span_id"))];
        assert!(
            text(parent, "start_time") <= text(span, "start_time")
                && text(parent, "event_time") >= text(span, "event_time")
        );
        children += 1;
    }
    assert!(children > 3_000, "{children} children");
}

#[test]
fn what_follows_refers_to_an_answer_that_was_sent_before() {
    let mut answers = BTreeSet::new();
    let (mut followed, mut minutes_later) = (0, 0);
    for event in first(5, 20_000) {
        let json = value(&event);
        let id = (
            text(&json, "trace_id").to_owned(),
            text(&json, "span_id").to_owned(),
        );
        match event.kind {
            Kind::Trace => drop(answers.insert(id)),
            Kind::Feedback | Kind::Evaluation => {
                assert!(answers.contains(&id), "{json}");
                followed += 1;
                minutes_later += usize::from(event.kind == Kind::Feedback);
            }
            Kind::Cost => assert!(json["amount"].is_string(), "{json}"),
        }
    }
    assert!(
        followed > 300 && minutes_later > 150,
        "{followed}, {minutes_later}"
    );
}

#[test]
fn the_rate_is_right_over_a_day_and_follows_its_rhythm() {
    let rate = 2.0;
    let mut hours = [0_u32; 24];
    for event in Simulation::new(11, START_US, rate).limit(Limit::Until(START_US + DAY_US)) {
        hours[(event.send_us.rem_euclid(DAY_US) / 3_600_000_000) as usize] += 1;
    }
    let total: u32 = hours.iter().sum();
    let expected = rate * 86_400.0;
    assert!(
        (f64::from(total) / expected - 1.0).abs() < 0.03,
        "{total} events, expected {expected}"
    );
    let ratio = f64::from(hours[14] + hours[15]) / f64::from(hours[2] + hours[3]);
    assert!(
        (2.5..3.6).contains(&ratio),
        "peak to trough {ratio}, expected 3"
    );
}

#[test]
fn limits_are_exact() {
    for events in [0, 1, 2, 3, 10, 1_000] {
        assert_eq!(first(4, events).len() as u64, events);
    }
    let end_us = START_US + 600_000_000;
    let until: Vec<_> = Simulation::new(4, START_US, 20.0)
        .limit(Limit::Until(end_us))
        .collect();
    assert!(
        until.iter().all(|event| event.send_us < end_us) && until.len() > 8_000,
        "{}",
        until.len()
    );
    // A limit changes the end only.
    let longer: Vec<_> = Simulation::new(4, START_US, 20.0).take(5_000).collect();
    assert_eq!(until[..5_000], longer[..]);
}

#[test]
fn traffic_is_varied() {
    let events: Vec<Value> = first(9, 30_000)
        .iter()
        .filter(|event| event.kind == Kind::Trace)
        .map(value)
        .collect();
    let distinct = |name: &str| {
        events
            .iter()
            .filter_map(|event| event[name].as_str())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(distinct("service").len(), 5);
    assert!(distinct("provider").len() >= 4 && distinct("response_model").len() >= 7);
    assert!(distinct("prompt_version").len() >= 6 && distinct("environment").len() == 2);
    for operation in [
        "chat",
        "embeddings",
        "retrieval",
        "execute_tool",
        "invoke_agent",
        "chain",
        "guardrail",
    ] {
        assert!(distinct("operation").contains(operation), "{operation}");
    }
    for status in ["ok", "error", "timeout", "rate_limited", "blocked"] {
        assert!(distinct("status").contains(status), "{status}");
    }
    for finish in ["stop", "length", "tool_calls", "content_filter"] {
        assert!(distinct("finish_reason").contains(finish), "{finish}");
    }
    assert!(
        distinct("cache").len() == 3
            && distinct("session_id").len() > 500
            && distinct("user_id").len() > 300
    );
    assert!(
        events.iter().any(|event| event["retries"].is_u64())
            && events
                .iter()
                .any(|event| event["fallback_from"].is_string())
    );
    let failed = events
        .iter()
        .filter(|event| event["status"] != "ok")
        .count() as f64
        / events.len() as f64;
    assert!((0.01..0.08).contains(&failed), "{failed}");
}
