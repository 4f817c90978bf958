//! Every shipped measure against an independent computation over the raw events (`tests/measures.py`).

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::harness;
use crate::harness::farol::Farol;
use crate::harness::kafka::RealKafka;

/// What simulated traffic lacks: fields that are missing, verdicts without an action, the application's own scores, a loop,
/// candidates without text, feedback on a whole trace and by the answer's id.
const ODD_TRACES: [&str; 16] = [
    r#""trace_id":"odd-1","span_id":"a","service":"odd""#,
    r#""trace_id":"odd-2","span_id":"a","service":"odd","operation":"chat","status":"ok","retries":0,"output_tokens":1,"time_to_first_token_ms":5,"latency_ms":4"#,
    r#""trace_id":"odd-3","span_id":"a","service":"odd","operation":"chat","response_id":"answer-3","scores":{"hallucination":0.7,"relevance":0.25},"cost":"0.1","currency":"EUR""#,
    r#""trace_id":"odd-4","span_id":"a","service":"odd","operation":"chat","scores":{"groundedness":0.9},"guardrails":[{"name":"toxicity","score":0.9},{"name":"PII scan","score":0.1},{"name":"jailbreak"}]"#,
    r#""trace_id":"odd-5","span_id":"a","service":"odd","operation":"chat","scores":{"faithfulness":0.1},"citations":["none","d2"],"output":"one two","candidates":[{"model":"m","output":"one two"},{"model":"n"},{"model":"o","output":"one three"}],"tags":{"review":"TRUE"}"#,
    r#""trace_id":"odd-6","span_id":"r","service":"odd","operation":"invoke_agent","agent_name":"loop","status":"error","latency_ms":100.5,"input_tokens":900,"output_tokens":10,"cost":"0.5","currency":"USD""#,
    r#""trace_id":"odd-6","span_id":"t1","parent_span_id":"r","service":"odd","operation":"execute_tool","tool_name":"find","input":"x","status":"ok","latency_ms":10"#,
    r#""trace_id":"odd-6","span_id":"t2","parent_span_id":"r","service":"odd","operation":"execute_tool","tool_name":"find","input":"x","status":"timeout","latency_ms":200.25"#,
    r#""trace_id":"odd-6","span_id":"t3","parent_span_id":"t2","service":"odd","operation":"execute_tool","tool_name":"find","input":"x","status":"ok","latency_ms":0.5"#,
    r#""trace_id":"odd-6","span_id":"lost","parent_span_id":"nowhere","service":"odd","operation":"chat","cost":"0.25","currency":"USD""#,
    r#""trace_id":"odd-7","span_id":"a","service":"odd","operation":"retrieval","retrieved":[]"#,
    r#""trace_id":"odd-7","span_id":"b","service":"odd","operation":"retrieval","retrieved":[{"id":"d1","score":0.5},{"id":"d2"}]"#,
    r#""trace_id":"odd-7","span_id":"c","service":"odd","operation":"chat","citations":["d1","d9"],"cache":"exact","cost":"0","currency":"USD","input_tokens":10"#,
    r#""trace_id":"odd-8","span_id":"a","service":"odd","operation":"chat","fallback_from":"m","status":"ok","retries":2,"cache":"none","cost":"0.02","currency":"USD""#,
    r#""trace_id":"odd-9","span_id":"a","service":"odd","operation":"chat","fallback_from":"m","retries":1,"user_id":"u","session_id":"s""#,
    r#""trace_id":"odd-9","span_id":"b","service":"odd","operation":"chat","candidates":[{"model":"m"}],"citations":[]"#,
];

const ODD_FEEDBACK: [&str; 9] = [
    r#""trace_id":"odd-2","span_id":"a","kind":"rating","value":4.5"#,
    r#""trace_id":"odd-6","kind":"rating","value":1"#,
    r#""response_id":"answer-3","kind":"correction","text":"no""#,
    r#""response_id":"answer-3","trace_id":"odd-3","kind":"copy""#,
    r#""response_id":"answer-3","trace_id":"odd-4","kind":"copy""#,
    r#""trace_id":"odd-2","span_id":"a","kind":"thumbs","value":0"#,
    r#""trace_id":"never","span_id":"a","kind":"thumbs","value":1"#,
    r#""trace_id":"odd-2","span_id":"a","kind":"conversion","value":0"#,
    r#""trace_id":"odd-2","span_id":"a","kind":"follow_up""#,
];

const ODD_EVALUATIONS: [&str; 6] = [
    r#""trace_id":"odd-2","span_id":"a","name":"hallucination","score":0.2"#,
    r#""trace_id":"odd-2","span_id":"a","name":"Hallucination","score":0.2,"label":"FAIL""#,
    r#""trace_id":"odd-4","span_id":"a","name":"faithfulness","score":0.2"#,
    r#""trace_id":"odd-4","name":"toxicity","score":0.6"#,
    r#""response_id":"answer-3","name":"pii_leak","label":"yes""#,
    r#""trace_id":"never","name":"relevance","score":1"#,
];

/// Events of one kind, each with an id and a time.
fn lines(kind: &str, bodies: &[&str]) -> String {
    let mut lines = String::new();
    for (place, body) in bodies.iter().enumerate() {
        let second = place % 60;
        let _ = writeln!(
            lines,
            r#"{{"event_id":"{kind}-{place}","event_time":"2025-01-06T09:07:{second:02}.5Z",{body}}}"#
        );
    }
    lines
}

#[test]
fn every_measure_equals_an_independent_computation() {
    let kafka = RealKafka::shared();
    let topics = [
        ("catalogue.traces", "trace", 2),
        ("catalogue.feedback", "feedback", 2),
        ("catalogue.costs", "cost", 1),
        ("catalogue.evaluations", "evaluation", 1),
    ];
    let farol = Farol::new(&kafka.brokers(), &topics, "");
    farol.ok(&["topics", "create"]);
    farol.ok(&[
        "simulate",
        "--seed",
        "11",
        "--rate",
        "8",
        "--events",
        "40000",
        "--incident",
        "error_burst@20m+10m",
        "--incident",
        "injection_wave@50m+10m",
        "--to",
        "ndjson",
        "traffic.ndjson",
    ]);
    farol.ok(&["emit", "traffic.ndjson"]);
    for (kind, bodies) in [
        ("traces", &ODD_TRACES[..]),
        ("feedback", &ODD_FEEDBACK),
        ("evaluations", &ODD_EVALUATIONS),
    ] {
        let file = format!("{kind}.ndjson");
        fs::write(farol.path().join(&file), lines(kind, bodies)).expect("it can be written");
        let topic = format!("catalogue.{kind}");
        farol.ok(&["emit", &file, "--topic", &topic]);
    }
    farol.ok(&["run", "--roles", "ingest,jobs", "--drain"]);
    // Simulated traffic has rows for all of them.
    let checked: Value = serde_json::from_str(&farol.ok(&["check", "--json"])).expect("an object");
    let jobs = checked["jobs"].as_array().expect("jobs").iter();
    let jobs: Vec<_> = jobs.map(|job| job.as_str().expect("a name")).collect();
    assert!(jobs.len() > 10, "{jobs:?}");
    harness::measures_equal_raw_events(&farol, &jobs);
}
