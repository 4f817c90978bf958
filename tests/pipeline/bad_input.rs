//! Bad input of every kind: a dead letter with its reason, or a row with the fault kept beside it.

use serde_json::{Value, json};

use crate::harness::events::{trace, with};
use crate::harness::farol::{Farol, Totals};
use crate::harness::kafka::{RealKafka, Record};

/// A trace's JSON with a member written as it stands.
fn with_raw(event_id: &str, member: &str) -> Vec<u8> {
    let mut text = trace(event_id).to_string();
    // At the end: of a key that is there twice, the last one counts.
    text.truncate(text.len() - 1);
    text = format!("{text},{member}}}");
    text.into_bytes()
}

/// A trace that lacks some fields.
fn without(event_id: &str, fields: &[&str]) -> Vec<u8> {
    let mut event = trace(event_id);
    if let Some(event) = event.as_object_mut() {
        fields.iter().for_each(|field| drop(event.remove(*field)));
    }
    event.to_string().into_bytes()
}

fn at(event_id: &str, event_time: &Value) -> Vec<u8> {
    with(trace(event_id), &json!({"event_time": event_time}))
        .to_string()
        .into_bytes()
}

/// Payloads that cannot become rows, and the reason code each must get. `None` is a tombstone.
fn refused() -> Vec<(&'static str, Option<Vec<u8>>)> {
    let text = trace("x").to_string().into_bytes();
    let truncated = text[..text.len() / 2].to_vec();
    let mut not_utf8 = text.clone();
    let place = not_utf8
        .iter()
        .position(|byte| *byte == 0xc3)
        .expect("it has an accent");
    not_utf8[place] = 0xff;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    vec![
        ("null_payload", None),
        ("empty_payload", Some(Vec::new())),
        ("invalid_json", Some(truncated)),
        ("invalid_utf8", Some(not_utf8)),
        ("not_an_object", Some(b"[]".to_vec())),
        ("not_an_object", Some(b"\"just a string\"".to_vec())),
        ("too_deep", Some(with_raw("x", &format!("\"deep\":{deep}")))),
        ("invalid_json", Some(with_raw("x", "\"latency_ms\":NaN"))),
        (
            "invalid_json",
            Some(with_raw("x", "\"latency_ms\":-Infinity")),
        ),
        (
            "number_out_of_range",
            Some(with_raw("x", "\"latency_ms\":1e999")),
        ),
        ("missing_event_time", Some(without("x", &["event_time"]))),
        ("missing_event_time", Some(at("x", &Value::Null))),
        ("invalid_event_time", Some(at("x", &json!("yesterday")))),
        (
            "event_time_out_of_range",
            Some(at("x", &json!("9999-12-31T23:59:59Z"))),
        ),
        (
            "event_time_out_of_range",
            Some(at("x", &json!("1969-12-31T23:59:59Z"))),
        ),
        (
            "missing_identity",
            Some(without("x", &["event_id", "trace_id"])),
        ),
    ]
}

/// Payloads that become rows though a field cannot take its value: the id, and the field.
fn faulty() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let case = |id: &'static str, field: &'static str, value: &str| {
        (id, field, with_raw(id, &format!("\"{field}\":{value}")))
    };
    vec![
        case("wrong-type", "temperature", "\"hot\""),
        case("not-an-object", "scores", "7"),
        case(
            "beyond-64-bits",
            "reasoning_tokens",
            "99999999999999999999999999",
        ),
        case("too-precise", "cost", "\"0.0000000000001\""),
        case("too-much", "cost", "1e40"),
    ]
}

#[test]
fn every_kind_of_bad_input_is_kept_with_its_reason() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(&kafka.brokers(), &[("bad.traces", "trace", 1)], "");
    kafka.create_topic("bad.traces", 1, &[("max.message.bytes", "33554432")]);
    let mut ingest = farol.start(&["run", "--roles", "ingest"]);
    let refused = refused();
    let record = |payload: &Option<Vec<u8>>| Record {
        partition: Some(0),
        key: Some(b"\xffkey".to_vec()),
        payload: payload.clone(),
        headers: vec![("source", b"test".to_vec()), ("binary", b"\xff".to_vec())],
    };
    let bad = kafka.send(
        "bad.traces",
        refused.iter().map(|(_, payload)| record(payload)),
    );
    kafka.send(
        "bad.traces",
        faulty()
            .into_iter()
            .map(|(.., payload)| Record::to(0, payload)),
    );
    let twice = with_raw(
        "a-key-twice",
        "\"latency_ms\":1,\"latency_ms\":2.5,\"prompt_version\":3",
    );
    kafka.send("bad.traces", [Record::to(0, twice)]);
    // 20 MiB are over max_record_bytes, 12 MiB are not.
    let large = |id: &str, mebibytes: usize| {
        with(trace(id), &json!({"output": "x".repeat(mebibytes << 20)})).to_string()
    };
    let too_large = large("too-large", 20);
    let too_large_at = kafka.send("bad.traces", [Record::to(0, too_large.clone())])[0].1;
    kafka.send(
        "bad.traces",
        [
            Record::to(0, large("large", 12)),
            Record::to(0, trace("last").to_string()),
        ],
    );

    let rows = faulty().len() + 3;
    let totals = farol.wait_for_read(refused.len() + 1 + rows);
    assert!(ingest.ended().is_none(), "{}", ingest.stderr());
    assert_eq!(ingest.stop(), Some(0));
    let expected = Totals {
        read: (refused.len() + 1 + rows) as i64,
        stored: rows as i64,
        dead_letters: refused.len() as i64 + 1,
        ..Totals::default()
    };
    assert_eq!(totals, expected);

    check_letters(&farol, &refused, &bad);
    check_too_large(&farol, too_large_at, too_large.len());
    check_rows(&farol);
    let shown = farol.ok(&["dlq", "show", "bad.traces", "0", &bad[2].1.to_string()]);
    assert!(
        shown.contains("invalid_json") && shown.contains("event_id"),
        "{shown}"
    );
    let listed = farol.ok(&["dlq", "list", "--json", "--reason-code", "invalid_json"]);
    assert_eq!(
        listed.lines().count(),
        refused
            .iter()
            .filter(|(code, _)| *code == "invalid_json")
            .count()
    );
    farol.verify();
}

/// Each refused payload is there with its bytes, key, headers and reason.
fn check_letters(farol: &Farol, refused: &[(&str, Option<Vec<u8>>)], sent: &[(i32, i64)]) {
    let letters = farol.sql(
        "SELECT kafka_offset, reason_code, reason, encode(raw, 'hex') AS raw, encode(kafka_key, 'hex') AS key, headers \
         FROM dead_letters WHERE reason_code <> 'too_large' ORDER BY kafka_offset",
    );
    assert_eq!(letters.len(), refused.len());
    for ((letter, (code, payload)), (_, offset)) in letters.iter().zip(refused).zip(sent) {
        assert_eq!(
            (
                letter["kafka_offset"].as_i64(),
                letter["reason_code"].as_str()
            ),
            (Some(*offset), Some(*code)),
            "{letter}"
        );
        assert!(
            letter["reason"]
                .as_str()
                .is_some_and(|reason| reason.len() > 10),
            "{letter}"
        );
        assert_eq!(
            letter["raw"].as_str().map(str::to_owned),
            payload.as_deref().map(hex),
            "{code}"
        );
        assert_eq!(letter["key"], json!(hex(b"\xffkey")));
        let headers: Value =
            serde_json::from_str(letter["headers"].as_str().expect("a text")).expect("JSON");
        assert_eq!(
            headers,
            json!([{"key": "source", "value": "test"}, {"key": "binary", "value_base64": "/w=="}])
        );
    }
}

/// Of a record that is too large its beginning is kept, and its size is told.
fn check_too_large(farol: &Farol, offset: i64, bytes: usize) {
    let kept = farol.sql(
        "SELECT kafka_offset, length(encode(raw, 'hex')) / 2 AS bytes, reason FROM dead_letters WHERE reason_code = 'too_large'",
    );
    assert_eq!(
        (kept[0]["kafka_offset"].as_i64(), kept[0]["bytes"].as_i64()),
        (Some(offset), Some(64 << 10)),
        "{kept:?}"
    );
    assert!(
        kept[0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains(&bytes.to_string())),
        "{kept:?}"
    );
}

/// Rows that were stored with a field missing say so in `attributes`.
fn check_rows(farol: &Farol) {
    for (id, field, _) in faulty() {
        let rows = farol.sql(&format!(
            "SELECT {field} IS NULL AS absent, attributes FROM traces WHERE event_id = '{id}'"
        ));
        assert_eq!(rows.len(), 1, "{id}");
        assert_eq!(rows[0]["absent"], json!(true), "{id}");
        let attributes: Value =
            serde_json::from_str(rows[0]["attributes"].as_str().expect("a text")).expect("JSON");
        let fault = &attributes["invalid_fields"][field];
        assert!(
            fault["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{id}: {attributes}"
        );
        assert!(!fault["value"].is_null(), "{id}: {attributes}");
    }
    let twice = farol.sql(
        "SELECT latency_ms, prompt_version, attributes FROM traces WHERE event_id = 'a-key-twice'",
    );
    assert_eq!(
        twice,
        [json!({"latency_ms": 2.5, "prompt_version": "3", "attributes": null})]
    );
    assert_eq!(
        farol.number("SELECT length(output) AS n FROM traces WHERE event_id = 'large'"),
        12 << 20
    );
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
