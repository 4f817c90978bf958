//! Events become rows of the right tables, and stay what they are while files are merged under readers.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::events::{ago, ids, keyed_traces, trace, with};
use crate::harness::farol::{Farol, Totals};
use crate::harness::kafka::{RealKafka, Record};
use crate::harness::{PATIENCE, python, root, wait_until};

/// One event of each kind but traces, with what its table must say of it.
fn others() -> [(&'static str, Value, &'static str, Value); 3] {
    [
        (
            "kinds.feedback",
            json!({"event_id": "f-1", "event_time": ago(Duration::ZERO), "trace_id": "t-kinds-000001", "kind": "thumbs",
                   "value": -1, "text": "errado", "tags": {"page": "help"}}),
            "SELECT event_id, trace_id, kind, value, text, tags['page'] AS page, kafka_partition FROM feedback",
            json!([{"event_id": "f-1", "trace_id": "t-kinds-000001", "kind": "thumbs", "value": -1.0, "text": "errado",
                    "page": "help", "kafka_partition": 0}]),
        ),
        (
            "kinds.costs",
            json!({"event_id": "c-1", "event_time": ago(Duration::ZERO), "provider": "openai", "unit": "requests",
                   "quantity": 12, "amount": "0.123456789012", "currency": "USD", "source": "invoice"}),
            "SELECT event_id, CAST(amount AS VARCHAR) AS amount, source FROM costs",
            json!([{"event_id": "c-1", "amount": "0.123456789012", "source": "invoice"}]),
        ),
        (
            "kinds.evaluations",
            json!({"event_id": "e-1", "event_time": ago(Duration::ZERO), "trace_id": "t-kinds-000001",
                   "name": "groundedness", "score": 0.75, "evaluator": "llm", "surprise": [1, {"deep": true}]}),
            "SELECT event_id, name, score, attributes FROM evaluations",
            json!([{"event_id": "e-1", "name": "groundedness", "score": 0.75,
                    "attributes": "{\"surprise\":[1,{\"deep\":true}]}"}]),
        ),
    ]
}

#[test]
fn every_kind_of_event_lands_in_its_table() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(
        &kafka.brokers(),
        &[
            ("kinds.traces", "trace", 4),
            ("kinds.feedback", "feedback", 2),
            ("kinds.costs", "cost", 1),
            ("kinds.evaluations", "evaluation", 1),
        ],
        "",
    );
    farol.ok(&["topics", "create"]);
    let sent = ids("kinds", 0..2_000);
    kafka.send("kinds.traces", keyed_traces(&sent));
    // A producer's retry: the same event on the same partition.
    kafka.send("kinds.traces", keyed_traces(&sent[..50]));
    for (topic, event, ..) in others() {
        kafka.send(
            topic,
            [
                Record::keyed("t-kinds-000001", event.to_string()),
                Record::keyed("", "{"),
            ],
        );
    }
    farol.drain();

    assert_eq!(farol.event_ids("traces"), sent);
    for (.., query, expected) in others() {
        let mut rows = Value::from(farol.sql(query));
        if let Some(partition) = rows[0].get_mut("kafka_partition") {
            *partition = json!(0);
        }
        assert_eq!(rows, expected, "{query}");
    }
    let sums = farol.sql(
        "SELECT CAST(sum(cost) AS VARCHAR) AS cost, sum(input_tokens) AS tokens, count(DISTINCT kafka_partition) AS partitions \
         FROM traces",
    );
    assert_eq!(
        sums,
        [json!({"cost": "0.000000246000", "tokens": 200_000, "partitions": 4})]
    );
    let totals = farol.totals();
    let expected = Totals {
        read: 2_056,
        stored: 2_003,
        duplicates: 50,
        dead_letters: 3,
        ..Totals::default()
    };
    assert_eq!(totals, expected);
    farol.verify();
    assert_eq!(
        farol
            .status()
            .iter()
            .filter(|p| p.watermark.is_some())
            .count(),
        7,
        "{:?}",
        farol.status()
    );
    // A second drain finds nothing, and says the same.
    farol.drain();
    assert_eq!(farol.totals(), expected);
}

/// Counts and sums as another implementation of Delta Lake and other engines see them.
fn as_others_read(farol: &Farol) -> Vec<Value> {
    let output = Command::new(python())
        .arg(root().join("tests/readers.py"))
        .arg(farol.lake())
        .output()
        .expect("Python is there");
    let (said, failed) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "readers.py: {said}{failed}");
    said.lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn files_are_merged_beside_ingest_and_readers() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(
        &kafka.brokers(),
        &[("merged.traces", "trace", 2)],
        "ingest: {flush_interval: 100ms, idle_timeout: 2s}\nmaintenance: {interval: 1s}\n",
    );
    farol.ok(&["topics", "create"]);
    let ingest = farol.start(&["run", "--roles", "ingest,maintenance"]);
    let sent = ids("merged", 0..3_000);
    let mut seen = 0;
    for (round, part) in sent.chunks(300).enumerate() {
        kafka.send("merged.traces", keyed_traces(part));
        let target = ((round + 1) * 300) as i64;
        // Readers see every row once, at any moment: counts only grow, and no id is there twice.
        seen = wait_until("the rows are queryable", PATIENCE, || {
            let rows =
                farol.sql("SELECT count(*) AS rows, count(DISTINCT event_id) AS ids FROM traces");
            let (rows, ids) = (rows[0]["rows"].as_i64()?, rows[0]["ids"].as_i64()?);
            assert_eq!(rows, ids, "a row is there twice");
            assert!(rows >= seen, "{rows} rows after {seen}");
            seen = rows;
            (rows >= target).then_some(rows)
        });
        // By hand too, at the same time as the role: one of the two wins.
        let compacted = farol.call(&["lake", "compact"]);
        assert_eq!(compacted.code, Some(0), "{}", compacted.stderr);
    }
    assert_eq!(ingest.stop(), Some(0));
    assert_eq!(farol.event_ids("traces"), sent);
    let before = as_others_read(&farol);
    farol.ok(&["lake", "compact"]);
    let live = |farol: &Farol| {
        let tables = farol.ok(&["lake", "tables", "--json"]);
        let tables: Vec<Value> = tables
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let traces = tables
            .into_iter()
            .find(|table| table["name"] == "traces")
            .expect("the table is there");
        traces["files"].as_i64().expect("a number") as usize
    };
    let merged = live(&farol);
    assert!(merged <= 4, "{merged} files are left");
    assert!(farol.parquet_files("traces") > merged);
    farol.ok(&["lake", "vacuum", "--older-than", "0s", "--unsafe-age"]);
    assert_eq!(farol.parquet_files("traces"), merged);
    assert_eq!(farol.event_ids("traces"), sent);
    assert_eq!(
        as_others_read(&farol),
        before,
        "another reader sees something else after compaction and vacuum"
    );
    farol.verify();
}

#[test]
fn sql_prunes_by_event_time_and_answers_in_every_format() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(&kafka.brokers(), &[("formats.traces", "trace", 1)], "");
    farol.ok(&["topics", "create"]);
    let old = with(
        trace("old"),
        &json!({"event_time": "2024-02-29T23:59:59.999999Z", "service": "archive"}),
    );
    kafka.send(
        "formats.traces",
        [
            Record::to(0, old.to_string()),
            Record::to(0, trace("new").to_string()),
        ],
    );
    farol.drain();
    let query = "SELECT event_id, event_time, event_date FROM traces WHERE event_time < '2024-03-01T00:00:00Z'";
    assert_eq!(
        farol.sql(query),
        [
            json!({"event_id": "old", "event_time": "2024-02-29T23:59:59.999999Z", "event_date": "2024-02-29"})
        ]
    );
    let query = "SELECT event_id, service FROM traces ORDER BY event_id DESC";
    assert_eq!(
        farol.ok(&["sql", query, "--format", "csv"]),
        "event_id,service\nold,archive\nnew,assistant\n"
    );
    let lines = "{\"event_id\":\"old\",\"service\":\"archive\"}\n{\"event_id\":\"new\",\"service\":\"assistant\"}\n";
    assert_eq!(farol.ok(&["sql", query, "--format", "ndjson"]), lines);
    let table = farol.ok(&["sql", query]);
    assert!(
        table.contains("archive") && table.contains("event_id"),
        "{table}"
    );
    farol.ok(&["sql", query, "--format", "parquet", "-o", "rows.parquet"]);
    let file = std::fs::read(farol.path().join("rows.parquet")).expect("the file is there");
    assert_eq!(&file[..4], b"PAR1");
    let wrong = farol.call(&["sql", "SELECT no_such_column FROM traces"]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("no_such_column"), "{}", wrong.stderr);
}
