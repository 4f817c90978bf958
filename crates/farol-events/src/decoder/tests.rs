//! What records become, rule by rule. Rows are looked at as JSON, so that a test reads like what it
//! is about: absent and null values are left out, decimals and times are as Arrow prints them.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_schema::DataType;
use serde_json::{Map, Value, json};

use super::*;
use crate::{ReasonCode, event_fingerprint, span_fingerprint};

const TIME: &str = r#""event_time":"2026-01-01T00:00:00Z""#;
const TIME_US: i64 = 1_767_225_600_000_000;

fn decoder() -> Decoder {
    Decoder::new(
        Kind::Trace,
        TimeRange {
            min_us: 0,
            max_us: i64::MAX,
        },
    )
}

/// A trace with an id, a time and further members.
fn trace(members: &str) -> String {
    let separator = if members.is_empty() { "" } else { "," };
    format!(r#"{{"event_id":"e",{TIME}{separator}{members}}}"#)
}

/// The row that a trace with further members becomes, without its id and time.
fn row(members: &str) -> Value {
    let mut decoder = decoder();
    decoder.decode(trace(members).as_bytes()).unwrap();
    let mut row = rows(&decoder.finish().batch).remove(0);
    let members = row.as_object_mut().unwrap();
    assert_eq!(members.remove("event_id"), Some(json!("e")));
    assert_eq!(members.remove("event_time"), Some(json!(TIME_US)));
    row
}

/// The fault of a trace's field, which then has no value.
fn fault(field: &str, value: &str) -> (String, Value) {
    let row = row(&format!("\"{field}\":{value}"));
    assert!(
        field == "attributes" || row.get(field).is_none(),
        "{field} {value}"
    );
    let fault = &row["attributes"]["invalid_fields"][field];
    (
        fault["reason"].as_str().unwrap_or_default().to_owned(),
        fault["value"].clone(),
    )
}

fn code(payload: impl AsRef<[u8]>) -> ReasonCode {
    let mut decoder = decoder();
    let code = decoder.decode(payload.as_ref()).unwrap_err().code;
    assert_eq!(decoder.finish().batch.num_rows(), 0);
    code
}

fn rows(batch: &RecordBatch) -> Vec<Value> {
    let columns = StructArray::from(batch.clone());
    (0..batch.num_rows())
        .map(|row| value(&columns, row))
        .collect()
}

fn value(array: &dyn Array, row: usize) -> Value {
    use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => text(array.as_string::<i32>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(..) => {
            json!(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Decimal128(..) => {
            json!(array.as_primitive::<Decimal128Type>().value_as_string(row))
        }
        DataType::List(_) => {
            let elements = array.as_list::<i32>().value(row);
            (0..elements.len()).map(|at| value(&elements, at)).collect()
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let entry = |at| {
                let key = entries.column(0).as_string::<i32>().value(at).to_owned();
                (key, value(entries.column(1), at))
            };
            Value::Object((0..entries.len()).map(entry).collect())
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let members = fields.iter().zip(columns);
            let present = members.filter(|(_, column)| column.is_valid(row));
            Value::Object(
                present
                    .map(|(field, column)| (field.name().clone(), value(column, row)))
                    .collect(),
            )
        }
        other => panic!("no event has a column of type {other}"),
    }
}

/// A text; where it is that of a JSON object, the object.
fn text(text: &str) -> Value {
    let object = serde_json::from_str::<Map<String, Value>>(text);
    object.map_or_else(|_| json!(text), Value::Object)
}

#[test]
fn every_type_of_field_is_read() {
    let members = r#"
        "start_time": 1767225599500, "span_id": "s", "prompt_version": 7, "prompt_variables": { "a" : [1] },
        "tags": {"team": "blue", "level": 3, "on": true, "none": null, "deep": [1, {}]},
        "input": "a\u00e9\n\"", "input_tokens": 12, "latency_ms": 0.5, "temperature": 1,
        "retrieved": [{"id": 1, "score": 0.25, "text": "t"}, {}, null, {"score": 2}],
        "citations": ["a", 2, null], "candidates": [{"model": "m", "output": "o"}],
        "guardrails": [], "scores": {"b": 0.1, "c": null}, "cost": "0.0025", "currency": "EUR",
        "attributes": {"k": 1}
    "#;
    assert_eq!(
        row(members),
        json!({
            "start_time": TIME_US - 500_000, "span_id": "s", "prompt_version": "7",
            "prompt_variables": {"a": [1]},
            "tags": {"team": "blue", "level": "3", "on": "true", "none": null, "deep": "[1, {}]"},
            "input": "aé\n\"", "input_tokens": 12, "latency_ms": 0.5, "temperature": 1.0,
            "retrieved": [{"id": "1", "score": 0.25, "text": "t"}, {}, null, {"score": 2.0}],
            "citations": ["a", "2", null], "candidates": [{"model": "m", "output": "o"}],
            "guardrails": [], "scores": {"b": 0.1, "c": null}, "cost": "0.002500000000", "currency": "EUR",
            "attributes": {"k": 1},
        })
    );
}

#[test]
fn the_other_kinds_are_read_by_the_same_rules() {
    let cases = [
        (
            Kind::Feedback,
            json!({"response_id": "r", "kind": "thumbs", "value": -1.0, "tags": {"a": "b"}}),
        ),
        (
            Kind::Cost,
            json!({"trace_id": "t", "unit": "tokens", "quantity": "3", "amount": "0.5"}),
        ),
        (
            Kind::Evaluation,
            json!({"response_id": "r", "name": "relevance", "score": 0.5}),
        ),
    ];
    for (kind, event) in cases {
        let mut decoder = Decoder::new(kind, TimeRange::ALL);
        let mut sent = event.clone();
        sent["event_time"] = json!(TIME_US);
        decoder.decode(sent.to_string().as_bytes()).unwrap();
        let decoded = decoder.finish();
        assert_eq!(decoded.batch.schema(), event_schema(kind));
        let row = rows(&decoded.batch).remove(0);
        for (name, value) in event.as_object().unwrap() {
            match value.as_str() {
                Some(text) => assert!(row[name].as_str().unwrap().starts_with(text), "{name}"),
                None => assert_eq!(&row[name], value, "{name}"),
            }
        }
    }
}

#[test]
fn null_is_the_same_as_absent() {
    let nulls: Vec<_> = fields(Kind::Trace)
        .iter()
        .filter(|field| !["event_id", "event_time"].contains(&field.name))
        .map(|field| format!("\"{}\":null", field.name))
        .collect();
    assert_eq!(row(&nulls.join(",")), json!({}));
}

#[test]
fn values_of_the_wrong_type_are_faults() {
    let text = (
        "expected a string or a number, found a boolean".to_owned(),
        json!(true),
    );
    assert_eq!(fault("service", "true"), text);
    assert_eq!(fault("service", r#"{"a":"}"}"#).1, json!({"a": "}"}));
    assert_eq!(
        fault("input_tokens", r#""12""#).0,
        "expected an integer of 64 bits, found a string"
    );
    assert_eq!(
        fault("latency_ms", r#""NaN""#).0,
        "expected a number, found a string"
    );
    assert_eq!(
        fault("latency_ms", "[1]"),
        ("expected a number, found an array".to_owned(), json!([1]))
    );
    assert_eq!(fault("tags", "[]").0, "expected an object, found an array");
    assert_eq!(fault("scores", "1").0, "expected an object, found a number");
    assert_eq!(
        fault("citations", r#""a""#).0,
        "expected an array, found a string"
    );
    assert_eq!(
        fault("retrieved", "{}").0,
        "expected an array, found an object"
    );
    assert_eq!(
        fault("prompt_variables", "[]").0,
        "expected an object, found an array"
    );
    assert_eq!(
        fault("attributes", "5"),
        ("expected an object, found a number".to_owned(), json!(5))
    );
    assert!(
        fault("start_time", r#""noon""#)
            .0
            .starts_with("expected RFC 3339 text")
    );
    assert!(fault("cost", "false").0.starts_with("expected a decimal"));
}

#[test]
fn integers_are_whole_and_fit_64_bits() {
    for (sent, kept) in [
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
        ("12.0", 12),
        ("1.2e3", 1_200),
        ("-0", 0),
    ] {
        assert_eq!(
            row(&format!("\"retries\":{sent}")),
            json!({"retries": kept}),
            "{sent}"
        );
    }
    for sent in [
        "9223372036854775808",
        "1.5",
        "1e30",
        "0.99999999999999999999",
        "1e-13",
    ] {
        assert_eq!(
            fault("retries", sent).0,
            "expected an integer of 64 bits, found another number"
        );
    }
}

#[test]
fn money_never_goes_through_binary_floating_point() {
    assert_eq!(row(r#""cost":0.1"#), json!({"cost": "0.100000000000"}));
    assert_eq!(
        row(r#""cost":"12345678901234567890.123456789012""#)["cost"],
        "12345678901234567890.123456789012"
    );
    assert_eq!(
        row(r#""cost":123456789012.123456789012"#)["cost"],
        "123456789012.123456789012"
    );
    assert_eq!(
        fault("cost", "0.1234567890123").0,
        "expected at most 12 digits after the decimal point"
    );
    assert_eq!(
        fault("cost", "1e26").0,
        "expected at most 26 digits before the decimal point"
    );
    assert_eq!(
        fault("cost", r#""free""#),
        ("expected a decimal number".to_owned(), json!("free"))
    );
    assert_eq!(fault("cost", r#""""#).0, "expected a decimal number");
}

#[test]
fn parts_of_the_wrong_type_are_null_and_noted_by_their_path() {
    let row = row(r#""scores":{"a":"x","b":1},"citations":["c",true],
           "retrieved":[7,{"id":"i","score":"high","rank":1},{"text":false}]"#);
    assert_eq!(row["scores"], json!({"a": null, "b": 1.0}));
    assert_eq!(row["citations"], json!(["c", null]));
    assert_eq!(row["retrieved"], json!([null, {"id": "i"}, {}]));
    let faults = row["attributes"]["invalid_fields"].as_object().unwrap();
    let told: Vec<_> = faults
        .iter()
        .map(|(path, fault)| (path.as_str(), fault["value"].clone()))
        .collect();
    let expected = [
        ("citations[1]", json!(true)),
        ("retrieved[0]", json!(7)),
        ("retrieved[1].rank", json!(1)),
        ("retrieved[1].score", json!("high")),
        ("retrieved[2].text", json!(false)),
        ("scores.a", json!("x")),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_multitude_of_faults_stays_within_bounds() {
    let values = vec!["true"; 100_000].join(",");
    let mut decoder = decoder();
    decoder
        .decode(trace(&format!("\"citations\":[{values}]")).as_bytes())
        .unwrap();
    let row = rows(&decoder.finish().batch).remove(0);
    let faults = row["attributes"]["invalid_fields"].as_object().unwrap();
    assert_eq!(faults.len(), 1);
    assert_eq!(
        faults["citations"]["value"].as_array().unwrap().len(),
        100_000
    );
}

#[test]
fn the_last_of_equal_keys_wins() {
    assert_eq!(
        row(r#""service":"a","service":"b""#),
        json!({"service": "b"})
    );
    assert_eq!(row(r#""service":"a","service":null"#), json!({}));
    assert_eq!(
        row(r#""service":"a","servic\u0065":"b""#),
        json!({"service": "b"})
    );
    assert_eq!(row(r#""retries":"x","retries":1"#), json!({"retries": 1}));
    assert_eq!(
        row(r#""retries":1,"retries":"x""#)["attributes"]["invalid_fields"]["retries"]["value"],
        "x"
    );
    assert_eq!(
        row(r#""tags":{"a":"1","b":"2","a":"3"}"#),
        json!({"tags": {"a": "3", "b": "2"}})
    );
    assert_eq!(
        row(r#""scores":{"a":"x","a":3}"#),
        json!({"scores": {"a": 3.0}})
    );
    assert_eq!(
        row(r#""scores":{"a":1},"scores":{"b":2}"#),
        json!({"scores": {"b": 2.0}})
    );
    assert_eq!(row(r#""scores":{"a":1},"scores":null"#), json!({}));
    assert_eq!(
        row(r#""retrieved":[{"id":"a","score":1,"id":null}]"#),
        json!({"retrieved": [{"score": 1.0}]})
    );
    assert_eq!(
        row(r#""retrieved":[{"score":"x","score":1}]"#),
        json!({"retrieved": [{"score": 1.0}]})
    );
    assert_eq!(
        row(r#""citations":["a"],"citations":["b","c"]"#),
        json!({"citations": ["b", "c"]})
    );
    assert_eq!(
        row(r#""attributes":{"a":1},"attributes":{"b":2}"#),
        json!({"attributes": {"b": 2}})
    );
    assert_eq!(row(r#""attributes":{"a":1},"attributes":null"#), json!({}));
    assert_eq!(row(r#""x":1,"x":2"#), json!({"attributes": {"x": 2}}));
}

#[test]
fn many_entries_with_equal_keys_are_told_apart_in_linear_time() {
    let entries: Vec<_> = (0..200_000)
        .map(|i| format!("\"{}\":{i}", i % 100_000))
        .collect();
    let row = row(&format!("\"tags\":{{{}}}", entries.join(",")));
    assert_eq!(row["tags"].as_object().unwrap().len(), 100_000);
    assert_eq!(row["tags"]["7"], "100007");
}

#[test]
fn unknown_members_are_kept_as_they_are() {
    assert_eq!(
        row(r#""later":{"a":[1,{"b":1.50}]},"attributes":{"k":"v"},"\u00fcber":null"#),
        json!({"attributes": {"k": "v", "later": {"a": [1, {"b": 1.50}]}, "über": null}})
    );
    let mut decoder = decoder();
    decoder
        .decode(trace(r#""later": [1.50,  "\u0041"]"#).as_bytes())
        .unwrap();
    let batch = decoder.finish().batch;
    let attributes = batch
        .column_by_name("attributes")
        .unwrap()
        .as_string::<i32>();
    assert_eq!(attributes.value(0), r#"{"later":[1.50,  "\u0041"]}"#);
}

#[test]
fn times_are_told_in_every_accepted_way() {
    for time in [
        "\"2026-01-01T00:00:00Z\"",
        "\"2026-01-01T02:00:00.000+02:00\"",
        "\"\\u0032026-01-01T00:00:00Z\"",
        "1767225600",
        "1767225600000",
        "1767225600000000",
        "1767225600000000000",
    ] {
        let mut decoder = decoder();
        decoder
            .decode(format!(r#"{{"event_id":"e","event_time":{time}}}"#).as_bytes())
            .unwrap();
        assert_eq!(decoder.finish().min_event_time_us, TIME_US, "{time}");
    }
}

#[test]
fn payloads_that_are_not_events_are_refused() {
    use ReasonCode as Code;
    let cases: &[(&[u8], Code)] = &[
        (b"", Code::EmptyPayload),
        (b" \n", Code::EmptyPayload),
        (b"[]", Code::NotAnObject),
        (b"\"just a string\"", Code::NotAnObject),
        (b"null", Code::NotAnObject),
        (b"[1", Code::InvalidJson),
        (b"{\"event_id\":\"e\"", Code::InvalidJson),
        (b"{} {}", Code::InvalidJson),
        (b"\xef\xbb\xbf{}", Code::InvalidJson),
        (b"{\"event_id\":NaN}", Code::InvalidJson),
        (b"{\"event_id\":\"\xff\xfe\"}", Code::InvalidUtf8),
        (b"{\"x\":[\"\xc3\"]}", Code::InvalidUtf8),
        (b"{\"\xc3\":1}", Code::InvalidUtf8),
        (b"{\"x\":1e999}", Code::NumberOutOfRange),
        (b"{\"latency_ms\":-1e999}", Code::NumberOutOfRange),
        (b"{\"event_id\":\"e\"}", Code::MissingEventTime),
        (
            b"{\"event_id\":\"e\",\"event_time\":null}",
            Code::MissingEventTime,
        ),
        (
            b"{\"event_id\":\"e\",\"event_time\":\"yesterday\"}",
            Code::InvalidEventTime,
        ),
        (
            b"{\"event_id\":\"e\",\"event_time\":1.5}",
            Code::InvalidEventTime,
        ),
        (
            b"{\"event_id\":\"e\",\"event_time\":{}}",
            Code::InvalidEventTime,
        ),
        (
            b"{\"event_id\":\"e\",\"event_time\":99999999999999999999}",
            Code::InvalidEventTime,
        ),
        (
            b"{\"event_id\":\"e\",\"event_time\":-1}",
            Code::EventTimeOutOfRange,
        ),
        (b"{\"event_time\":1}", Code::MissingIdentity),
        (
            b"{\"event_time\":1,\"event_id\":\"\",\"trace_id\":null}",
            Code::MissingIdentity,
        ),
        (
            b"{\"event_time\":1,\"response_id\":\"r\",\"span_id\":\"s\"}",
            Code::MissingIdentity,
        ),
    ];
    for (payload, expected) in cases {
        assert_eq!(
            code(payload),
            *expected,
            "{}",
            String::from_utf8_lossy(payload)
        );
    }
    assert_eq!(code("[".repeat(10_000)), Code::TooDeep);
    assert_eq!(code(format!("{{\"x\":{}", "[".repeat(127))), Code::TooDeep);
}

#[test]
fn reasons_say_what_where_and_what_was_expected() {
    let reason = |payload: &str| decoder().decode(payload.as_bytes()).unwrap_err().reason;
    assert_eq!(
        reason(r#"{"event_id" 5}"#),
        "byte 12 of 14: expected ':' after a key, found 5}"
    );
    assert_eq!(
        reason(r#"{"event_id":"#),
        "byte 12 of 12: expected a value, found the end"
    );
    let yesterday = reason(r#"{"event_id":"e","event_time":"yesterday"}"#);
    assert!(
        yesterday.contains("yesterday") && yesterday.contains("byte 29"),
        "{yesterday}"
    );
    assert!(yesterday.contains("expected RFC 3339"), "{yesterday}");
    assert!(reason(r#"{"event_time":1}"#).contains("event_id, trace_id"));
}

#[test]
fn the_accepted_times_include_both_ends() {
    let range = TimeRange {
        min_us: 1_000_000,
        max_us: 2_000_000,
    };
    let mut decoder = Decoder::new(Kind::Trace, range);
    let mut accepts = |epoch: i64| {
        decoder
            .decode(format!(r#"{{"event_id":"e","event_time":{epoch}}}"#).as_bytes())
            .is_ok()
    };
    assert_eq!([0, 1, 2, 3].map(&mut accepts), [false, true, true, false]);
    decoder.set_time_range(TimeRange::ALL);
    assert!(
        decoder
            .decode(br#"{"event_id":"e","event_time":3}"#)
            .is_ok()
    );
    assert_eq!(decoder.rows(), 3);
}

#[test]
fn a_refused_record_leaves_no_trace() {
    let bad = [
        trace(r#""tags":{"a":"b","c":"d"},"retrieved":[{"id":"x","text":"y"},{"id":"z"#),
        trace(r#""scores":{"a":1,"b":2},"citations":["a","b"],"cost":1,"x":{"y":1"#),
        r#"{"event_id":"gone","service":"s","input":"text","latency_ms":1,"later":1}"#.to_owned(),
        trace(r#""guardrails":[{"name":"n","score":1},{"name":"#),
        trace(r#""guardrails":[{"name":"half \n of a te"#),
        trace(r#""tags":{"a":"half \n of a te"#),
        trace(r#""citations":["half \n of a te"#),
        trace(r#""service":"half \n of a te"#),
    ];
    let good = [
        trace(r#""tags":{"a":"b"},"retrieved":[{"id":"1"}],"x":1"#),
        trace(r#""scores":{"q":1},"citations":["c"],"guardrails":[{"name":"g"}]"#),
        trace(r#""service":"s","retries":"x""#),
    ];
    let mut alone = decoder();
    let mut among = decoder();
    for i in 0..24 {
        let event = good[i % good.len()].as_bytes();
        alone.decode(event).unwrap();
        among.decode(bad[i % bad.len()].as_bytes()).unwrap_err();
        among.decode(event).unwrap();
    }
    let (alone, among) = (alone.finish(), among.finish());
    assert_eq!(alone.batch, among.batch);
    assert_eq!(alone.fingerprints, among.fingerprints);
}

#[test]
fn batches_do_not_know_of_each_other() {
    let mut decoder = decoder();
    let events = [
        trace(r#""service":"s","tags":{"a":"b"}"#),
        trace(r#""retries":1"#),
        trace(""),
    ];
    for event in &events {
        let mut fresh = Decoder::new(Kind::Trace, TimeRange::ALL);
        fresh.decode(event.as_bytes()).unwrap();
        decoder.decode(event.as_bytes()).unwrap();
        assert_eq!(decoder.finish().batch, fresh.finish().batch);
    }
    assert_eq!(decoder.finish().batch.num_rows(), 0);
}

#[test]
fn rows_carry_fingerprints_and_the_batch_its_times() {
    let mut decoder = decoder();
    for event in [
        r#"{"event_id":"e","service":"s","trace_id":"t","span_id":"p","event_time":5}"#,
        r#"{"event_id":"","trace_id":"t","span_id":"p","event_time":3}"#,
        r#"{"trace_id":"t","event_time":9}"#,
    ] {
        decoder.decode(event.as_bytes()).unwrap();
    }
    let decoded = decoder.finish();
    let expected = [
        Some(event_fingerprint(Kind::Trace, Some("s"), "e")),
        Some(span_fingerprint(Kind::Trace, "t", "p")),
        None,
    ];
    assert_eq!(decoded.fingerprints, expected);
    assert_eq!(
        (decoded.min_event_time_us, decoded.max_event_time_us),
        (3_000_000, 9_000_000)
    );
}

#[test]
fn endless_refusals_do_not_count_towards_a_batch() {
    let mut decoder = decoder();
    let payload = format!("[\"{}\"]", "x".repeat(1 << 20));
    for _ in 0..1_100 {
        decoder.decode(payload.as_bytes()).unwrap_err();
    }
}
