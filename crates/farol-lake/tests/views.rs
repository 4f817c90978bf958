//! The views with plain names: what they say of events that are easily said wrong, and what filters reach.

#[path = "support/tables.rs"]
#[allow(dead_code)]
mod tables;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::array_value_to_string;
use farol_events::{Decoder, Kind, TimeRange, table_schema};
use farol_lake::sql::Session;
use farol_lake::{Joined, TableSpec};
use futures::TryStreamExt as _;
use serde_json::{Value, json};
use tables::{DAY, Place, append};

/// 2026-01-01T10:00:00Z.
const TEN_MS: i64 = 1_767_261_600_000;

/// Rows as ingest makes them of these events.
fn rows(kind: Kind, events: &[Value]) -> RecordBatch {
    let mut decoder = Decoder::new(kind, TimeRange::ALL);
    for event in events {
        decoder
            .decode(event.to_string().as_bytes())
            .expect("an event");
    }
    let decoded = decoder.finish().batch;
    let count = events.len();
    let texts = |name: &str| -> ArrayRef {
        let of = |event: &Value| event[name].as_str().map(str::to_owned);
        Arc::new(events.iter().map(of).collect::<StringArray>())
    };
    let schema = table_schema(kind);
    let columns = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "model" if kind == Kind::Trace => texts("request_model"),
            "event_date" => Arc::new(Date32Array::from(vec![DAY; count])) as ArrayRef,
            "kafka_topic" => Arc::new(StringArray::from(vec!["t"; count])),
            "kafka_partition" | "kafka_entry" => Arc::new(Int32Array::from(vec![0; count])),
            "kafka_offset" => Arc::new(Int64Array::from_iter_values(0..count as i64)),
            name => match decoded.column_by_name(name) {
                Some(column) => column.clone(),
                None => new_null_array(field.data_type(), count),
            },
        });
    RecordBatch::try_new(schema.clone(), columns.collect()).expect("the table's columns")
}

/// A span that ended so many milliseconds after ten o'clock and took so long; `more` is laid over it.
fn span(
    trace: &str,
    id: &str,
    parent: Option<&str>,
    end_ms: i64,
    latency_ms: i64,
    more: Value,
) -> Value {
    let mut event = json!({
        "event_id": format!("{trace}-{id}"), "event_time": TEN_MS + end_ms, "start_time": TEN_MS + end_ms - latency_ms,
        "trace_id": trace, "span_id": id, "parent_span_id": parent, "service": "shop", "environment": "production",
        "name": id, "latency_ms": latency_ms, "status": "ok",
    });
    let Value::Object(more) = more else {
        panic!("an object of fields")
    };
    for (name, value) in more {
        event[name] = value;
    }
    event
}

/// Feedback joined with its call, as jobs make it: the columns that are given, and NULL.
fn joined_rows(schema: &SchemaRef, rows: &[Value]) -> RecordBatch {
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        let of = |row: &Value| row[field.name().as_str()].clone();
        match field.data_type() {
            DataType::Utf8 => {
                let texts = rows.iter().map(|row| of(row).as_str().map(str::to_owned));
                Arc::new(texts.collect::<StringArray>())
            }
            DataType::Float64 => Arc::new(
                rows.iter()
                    .map(|row| of(row).as_f64())
                    .collect::<Float64Array>(),
            ),
            DataType::Timestamp(..) => {
                let micros = rows.iter().map(|row| of(row).as_i64().map(|ms| ms * 1_000));
                let times = micros.collect::<TimestampMicrosecondArray>();
                cast(&times, field.data_type()).expect("a time")
            }
            DataType::Date32 => Arc::new(Date32Array::from(vec![DAY; rows.len()])),
            other => new_null_array(other, rows.len()),
        }
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).expect("the table's columns")
}

async fn session(place: &Place, traces: &[Value], feedback_joined: &[Value]) -> Session {
    let lake = place.lake().await;
    let (kind, spec) = (Kind::Trace, TableSpec::raw(Kind::Trace));
    let table = lake.table(kind.table(), &spec).await.expect("a table");
    append(&table, rows(kind, traces)).await;
    let spec = Joined::Feedback.spec();
    let name = Joined::Feedback.table();
    let table = lake.table(name, &spec).await.expect("a table");
    append(&table, joined_rows(&spec.schema, feedback_joined)).await;
    Session::open(&lake).await.expect("a session")
}

async fn ask(session: &Session, sql: &str) -> Vec<String> {
    let (_, stream) = session.query(sql).await.expect(sql);
    let batches: Vec<RecordBatch> = stream.try_collect().await.expect(sql);
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter();
            let cells: Vec<_> = cells
                .map(|column| array_value_to_string(column, row).expect("a value"))
                .collect();
            lines.push(cells.join(" | "));
        }
    }
    lines
}

/// An agent's turn: the agent and the chain repeat what the calls inside of them used.
fn turn(trace: &str, at_ms: i64, currency: &str, status: &str) -> Vec<Value> {
    let session = json!({"session_id": "s1", "user_id": "ana"});
    let with = |more: Value| {
        let mut all = session.clone();
        for (name, value) in more.as_object().expect("fields") {
            all[name] = value.clone();
        }
        all
    };
    vec![
        span(
            trace,
            "embed",
            Some("root"),
            at_ms + 100,
            100,
            with(
                json!({"operation": "embeddings", "input_tokens": 10, "cost": "0.001", "currency": currency}),
            ),
        ),
        span(
            trace,
            "call",
            Some("root"),
            at_ms + 900,
            800,
            with(
                json!({"operation": "chat", "input_tokens": 100, "output_tokens": 20, "cost": "0.02", "currency": currency,
                "status": status, "error_type": if status == "ok" { Value::Null } else { json!("overloaded") },
                "prompt_id": "answer", "prompt_version": "1", "response_id": format!("r-{trace}"),
                "provider": "openai", "request_model": "gpt-4o"}),
            ),
        ),
        span(
            trace,
            "root",
            None,
            at_ms + 1_000,
            1_000,
            with(
                json!({"operation": "chain", "input": "q", "output": "a", "input_tokens": 110, "output_tokens": 20,
                "cost": "0.021", "currency": currency, "status": status}),
            ),
        ),
    ]
}

#[tokio::test]
async fn tokens_and_cost_count_once_and_currencies_are_never_mixed() {
    let place = Place::new();
    let mut traces = turn("t1", 0, "USD", "ok");
    traces.extend(turn("t2", 5_000, "EUR", "error"));
    // It says nothing of what it is, and what it paid is of no known currency.
    traces.push(span(
        "t3",
        "plain",
        None,
        9_000,
        10,
        json!({"session_id": "s1", "input_tokens": 1, "cost": "0.5", "user_id": null}),
    ));
    traces.push(span(
        "t4",
        "free",
        None,
        9_000,
        10,
        json!({"session_id": "s2", "operation": "chat"}),
    ));
    let session = session(&place, &traces, &[]).await;
    assert_eq!(
        ask(&session, "SELECT * FROM sessions ORDER BY session_id").await,
        [
            "s1 | ana | shop | production | 2026-01-01T10:00:00Z | 2026-01-01T10:00:09Z | 3 | 5 | 2 | 1 | 221 | 40 | \
             {EUR: 0.021000000000, USD: 0.021000000000, unknown: 0.500000000000}",
            "s2 |  | shop | production | 2026-01-01T10:00:08.990Z | 2026-01-01T10:00:09Z | 1 | 1 | 0 | 0 |  |  | ",
        ]
    );
    let models = "SELECT provider, model, calls, services, error_rate, input_tokens, cost_by_currency['USD'], \
                  cost_by_currency['EUR'] FROM models WHERE model = 'gpt-4o'";
    assert_eq!(
        ask(&session, models).await,
        ["openai | gpt-4o | 2 | 1 | 0.5 | 200 | 0.020000000000 | 0.020000000000"]
    );
}

#[tokio::test]
async fn what_people_say_of_answers_is_beside_their_turns_and_prompts() {
    let place = Place::new();
    let mut traces = turn("t1", 0, "USD", "ok");
    traces.extend(turn("t2", 5_000, "USD", "ok"));
    // A producer's retry that was stored again.
    traces.push(traces[1].clone());
    let said = |id: &str, trace: &str, at_ms: i64, kind: &str, more: Value| {
        let version = (kind == "thumbs").then_some("1");
        let mut event = json!({"event_id": id, "feedback_time": TEN_MS + at_ms, "kind": kind, "trace_id": trace,
            "prompt_id": version.map(|_| "answer"), "prompt_version": version});
        for (name, value) in more.as_object().expect("fields") {
            event[name] = value.clone();
        }
        event
    };
    let joined = [
        said("f1", "t1", 2_000, "thumbs", json!({"value": -1.0})),
        said(
            "f2",
            "t1",
            3_000,
            "thumbs",
            json!({"value": 1.0, "response_id": "r-t1"}),
        ),
        said("f3", "t2", 9_000, "thumbs", json!({"value": 1.0})),
        said("f4", "t2", 9_500, "comment", json!({"text": "thanks"})),
    ];
    let session = session(&place, &traces, &joined).await;
    // The last word counts for a turn; all of them for a prompt.
    let turns = "SELECT trace_id, input, output, thumbs, rating, comments, feedback FROM conversations \
                 WHERE session_id = 's1' ORDER BY event_time";
    assert_eq!(
        ask(&session, turns).await,
        [
            "t1 | q | a | 1.0 |  |  | 2",
            "t2 | q | a | 1.0 |  | thanks | 2"
        ]
    );
    let prompts = "SELECT prompt_id, prompt_version, calls, error_rate, thumbs_up, thumbs_down, round(thumbs_up_ratio, 3), \
                   cost_by_currency['USD'], first_seen, last_seen FROM prompt_versions";
    assert_eq!(
        ask(&session, prompts).await,
        [
            "answer | 1 | 3 | 0.0 | 2 | 1 | 0.667 | 0.060000000000 | 2026-01-01T10:00:00.900Z | 2026-01-01T10:00:05.900Z"
        ]
    );
}

#[tokio::test]
async fn a_trace_that_failed_is_told_by_the_span_that_failed_first() {
    let place = Place::new();
    let mut traces = turn("t1", 0, "USD", "timeout");
    traces.extend(turn("t2", 5_000, "USD", "ok"));
    // The agent went on without the tool.
    traces.push(span(
        "t3",
        "tool",
        Some("root"),
        8_000,
        10,
        json!({"status": "error", "error_type": "http_503", "tool_name": "search"}),
    ));
    traces.push(span("t3", "root", None, 8_100, 200, json!({})));
    let mut alone = span("-", "x", None, 8_200, 5, json!({"status": "blocked"}));
    alone["trace_id"] = Value::Null;
    traces.push(alone);
    let session = session(&place, &traces, &[]).await;
    let failed = "SELECT trace_id, span_id, event_time, status, error_type, failed_spans, root_failed FROM failed_traces \
                  ORDER BY event_time";
    assert_eq!(
        ask(&session, failed).await,
        [
            "t1 | call | 2026-01-01T10:00:00.900Z | timeout | overloaded | 2 | true",
            "t3 | tool | 2026-01-01T10:00:08Z | error | http_503 | 1 | false",
            " | x | 2026-01-01T10:00:08.200Z | blocked |  | 1 | true",
        ]
    );
}

#[tokio::test]
async fn a_tree_has_depth_paths_and_the_time_that_is_a_spans_own() {
    let place = Place::new();
    let mut traces = vec![
        span("t", "root", None, 1_000, 1_000, json!({})),
        // Two parts at once, 100 to 500 and 300 to 700: 600 of the root's time.
        span("t", "left", Some("root"), 500, 400, json!({})),
        span("t", "right", Some("root"), 700, 400, json!({})),
        // One that goes on after its parent.
        span("t", "late", Some("right"), 900, 500, json!({})),
        span("t", "orphan", Some("never-came"), 950, 10, json!({})),
    ];
    traces.push(traces[1].clone());
    let mut parent = "root".to_owned();
    for level in 1..=10 {
        let name = format!("d{level}");
        traces.push(span(
            "deep",
            &name,
            (level > 1).then_some(parent.as_str()),
            2_000 + level,
            10,
            json!({}),
        ));
        parent = name;
    }
    let session = session(&place, &traces, &[]).await;
    let tree = "SELECT span_id, depth, path, self_ms, root_latency_ms, share_of_root FROM trace_tree WHERE trace_id = 't' \
                ORDER BY start_time, span_id";
    assert_eq!(
        ask(&session, tree).await,
        [
            "root | 0 | root | 400.0 | 1000.0 | 1.0",
            "left | 1 | root > left | 400.0 | 1000.0 | 0.4",
            "right | 1 | root > right | 0.0 | 1000.0 | 0.4",
            "late | 2 | root > right > late | 500.0 | 1000.0 | 0.5",
            "orphan | 0 | orphan | 10.0 | 10.0 | 1.0",
        ]
    );
    let deep = "SELECT span_id, depth, path, root_latency_ms FROM trace_tree WHERE trace_id = 'deep' AND span_id IN ('d9', 'd10') \
                ORDER BY event_time";
    assert_eq!(
        ask(&session, deep).await,
        [
            "d9 | 8 | d1 > d2 > d3 > d4 > d5 > d6 > d7 > d8 > d9 | 10.0",
            "d10 |  | … > d2 > d3 > d4 > d5 > d6 > d7 > d8 > d9 > d10 | ",
        ]
    );
}

#[tokio::test]
async fn slow_is_slower_than_the_service_s_own_task_on_that_day() {
    let place = Place::new();
    let mut traces = Vec::new();
    for call in 0..200 {
        let more = json!({"task": "answer"});
        traces.push(span(
            &format!("a{call}"),
            "root",
            None,
            call,
            if call < 199 { 100 + call % 10 } else { 5_000 },
            more,
        ));
    }
    // Slow by nature, and too few to tell.
    for call in 0..99 {
        let more = json!({"task": "report"});
        traces.push(span(
            &format!("r{call}"),
            "root",
            None,
            call,
            60_000 + call,
            more,
        ));
    }
    let session = session(&place, &traces, &[]).await;
    let slow = "SELECT trace_id, task, latency_ms, round(threshold_ms / 109, 1), times_threshold > 40 FROM slow_traces";
    assert_eq!(
        ask(&session, slow).await,
        ["a199 | answer | 5000.0 | 1.0 | true"]
    );
}

/// The scans of a query's plan: how many of them there are, and how many know of a column's filter.
async fn scans(session: &Session, sql: &str, filter: &str) -> (usize, usize) {
    let plan = ask(session, &format!("EXPLAIN {sql}")).await.join("\n");
    let scans: Vec<_> = plan
        .lines()
        .filter(|line| line.contains("DataSourceExec"))
        .collect();
    let filtered = scans.iter().filter(|line| line.contains(filter)).count();
    assert!(!scans.is_empty(), "{plan}");
    println!("{sql}\n{plan}");
    (scans.len(), filtered)
}

#[tokio::test]
async fn filters_reach_the_scans() {
    let place = Place::new();
    let feedback = json!({"event_id": "f", "trace_id": "t1", "kind": "copy"});
    let session = session(&place, &turn("t1", 0, "USD", "error"), &[feedback]).await;
    let views = [
        "conversations",
        "failed_traces",
        "slow_traces",
        "trace_tree",
    ];
    for view in views {
        let sql = format!("SELECT * FROM {view} WHERE trace_id = 't1'");
        let (all, filtered) = scans(&session, &sql, "= t1").await;
        // What is usual is known of all traces.
        let open = usize::from(view == "slow_traces");
        assert_eq!(filtered + open, all, "{view} by trace");
        let sql = format!("SELECT * FROM {view} WHERE event_time >= '2026-01-01T09:00:00Z'");
        let (_, filtered) = scans(&session, &sql, "event_time@").await;
        assert!(filtered > 0, "{view} by time");
    }
    let by_day = "SELECT * FROM slow_traces WHERE event_date = '2026-01-02'";
    let plan = ask(&session, &format!("EXPLAIN {by_day}")).await.join("\n");
    println!("{plan}");
    for (view, column) in [
        ("sessions", "session_id"),
        ("models", "model"),
        ("prompt_versions", "prompt_id"),
    ] {
        let sql = format!("SELECT * FROM {view} WHERE {column} = 'x'");
        let (_, filtered) = scans(&session, &sql, "= x").await;
        assert!(filtered > 0, "{view} by {column}");
    }
}
