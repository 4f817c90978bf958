//! Real workloads on a real Kafka: what `farol emit` and `farol simulate` send is what the tables hold.
//!
//! The published traces are judged by `workloads.py`, which knows neither Farol's code nor its tables
//! but by documentation, and reads the lake with another implementation of Delta Lake.

mod harness;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use harness::farol::Farol;
use harness::kafka::RealKafka;
use serde_json::Value;

/// What of the traces is emitted: `FORMAT=PATH`. ServeGen whole describes 320 million requests; these
/// are both categories with densities, and clients with and without them.
const WORKLOADS: [(&str, &str); 6] = [
    ("azure-llm", "azure_llm_2023"),
    ("mooncake", "mooncake"),
    ("servegen", "servegen/reason"),
    ("servegen", "servegen/multimodal/mm-image/chunk-1-trace.csv"),
    ("servegen", "servegen/language/m-small/chunk-0-trace.csv"),
    ("servegen", "servegen/language/m-large/chunk-108-trace.csv"),
];

fn events_sent(report: &str) -> i64 {
    let report: Value = serde_json::from_str(report).expect("emit --json prints an object");
    report["events"]
        .as_i64()
        .expect("it says how many events it sent")
}

#[test]
fn published_workloads_arrive_whole() {
    let Some(data) = harness::shared_data("data/workloads") else {
        return;
    };
    let place = |path: &str| data.join(path).to_string_lossy().into_owned();
    let kafka = RealKafka::shared();
    let farol = Farol::new(&kafka.brokers(), &[("workloads.traces", "trace", 4)], "");
    farol.ok(&["topics", "create"]);

    let mut sent = 0;
    for (format, path) in WORKLOADS {
        sent += events_sent(&farol.ok(&["emit", &place(path), "--format", format, "--json"]));
    }
    // A second time: the same ids, so that nothing is stored twice.
    let again = events_sent(&farol.ok(&[
        "emit",
        &place("azure_llm_2023"),
        "--format",
        "azure-llm",
        "--json",
    ]));
    farol.drain();

    let totals = farol.totals();
    assert_eq!(
        (totals.stored, totals.duplicates, totals.dead_letters),
        (sent, again, 0),
        "{totals:?}"
    );
    let inputs = WORKLOADS.map(|(format, path)| format!("{format}={}", place(path)));
    let judged = Command::new(harness::python())
        .arg(harness::root().join("tests/workloads.py"))
        .arg("--lake")
        .arg(farol.lake())
        .args(inputs)
        .output()
        .expect("Python is there");
    let said = String::from_utf8_lossy(&judged.stdout);
    assert!(
        judged.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&judged.stderr)
    );
    println!("{said}");

    // What they have the fields for is measured as an independent computation does.
    farol.ok(&["run", "--roles", "jobs", "--drain"]);
    harness::measures_equal_raw_events(&farol, &["performance", "spend", "reliability"]);
}

#[test]
fn simulated_traffic_is_the_same_each_time_and_arrives_without_a_fault() {
    let kafka = RealKafka::shared();
    let topics = [
        ("simulated.traces", "trace", 2),
        ("simulated.feedback", "feedback", 2),
        ("simulated.costs", "cost", 1),
        ("simulated.evaluations", "evaluation", 1),
    ];
    let farol = Farol::new(&kafka.brokers(), &topics, "");
    farol.ok(&["topics", "create"]);
    let simulate = |file: &str| -> (PathBuf, Vec<u8>) {
        farol.ok(&[
            "simulate", "--seed", "7", "--rate", "10", "--events", "15000", "--to", "ndjson", file,
        ]);
        let path = farol.path().join(file);
        let written = fs::read(&path).expect("the file was written");
        (path, written)
    };
    let (file, first) = simulate("a.ndjson");
    let (_, second) = simulate("b.ndjson");
    assert!(first == second, "the same seed gave different events");

    let sent = farol.ok(&["emit", &file.to_string_lossy(), "--json"]);
    assert_eq!(events_sent(&sent), 15_000);
    farol.drain();

    let totals = farol.totals();
    assert_eq!(
        (totals.stored, totals.duplicates, totals.dead_letters),
        (15_000, 0, 0),
        "{totals:?}"
    );
    let sent: Value = serde_json::from_str(&sent).expect("an object");
    for ((topic, ..), table) in topics
        .iter()
        .zip(["traces", "feedback", "costs", "evaluations"])
    {
        let rows = farol.number(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(Some(rows), sent["topics"][topic].as_i64(), "{table}");
        assert!(rows > 0, "{table} has no rows");
    }
    for table in ["traces", "feedback", "evaluations"] {
        let kept = farol.number(&format!("SELECT count(attributes) FROM {table}"));
        assert_eq!(kept, 0, "{table}: attributes hold what no field took");
    }
    let orphans = "SELECT count(*) FROM feedback f LEFT ANTI JOIN traces t ON f.trace_id = t.trace_id AND f.span_id = t.span_id";
    assert_eq!(
        farol.number(orphans),
        0,
        "feedback on answers that are not there"
    );
}

#[test]
fn lines_that_are_no_events_are_named_and_the_rest_is_sent() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(&kafka.brokers(), &[("lines.traces", "trace", 1)], "");
    farol.ok(&["topics", "create"]);
    let lines = "{\"event_id\":\"a\",\"event_time\":1735689600,\"trace_id\":\"t\"}\nnot json\n{\"event_id\":\"b\",\"event_time\":1735689601}\n";
    fs::write(farol.path().join("events.ndjson"), lines).expect("the file can be written");

    let ended = farol.call(&["emit", "events.ndjson", "--service", "shop", "--json"]);
    assert_eq!(
        (ended.code, events_sent(&ended.stdout)),
        (Some(1), 2),
        "{}",
        ended.stderr
    );
    assert!(
        ended
            .stderr
            .contains("events.ndjson:2: expected a JSON object"),
        "{}",
        ended.stderr
    );
    let missing = farol.call(&["emit", "absent.ndjson"]);
    assert_eq!(missing.code, Some(1));
    assert!(
        missing.stderr.contains("absent.ndjson"),
        "{}",
        missing.stderr
    );

    farol.drain();
    assert_eq!(farol.event_ids("traces"), ["a", "b"]);
    assert_eq!(
        farol.number("SELECT count(*) FROM traces WHERE service = 'shop'"),
        2
    );
}
