//! Bad input: each kind of it is refused with its reason, or stored with the fault kept; nothing else is touched.

use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use farol_events::{Decoded, Decoder, Kind, ReasonCode, TimeRange};

const YEAR_US: i64 = 365 * 86_400_000_000;
const GOOD: &str =
    r#"{"event_id":"a","event_time":"2026-03-01T00:00:00Z","service":"s","input_tokens":7}"#;

fn decoder() -> Decoder {
    Decoder::new(
        Kind::Trace,
        TimeRange {
            min_us: 0,
            max_us: 100 * YEAR_US,
        },
    )
}

/// Decodes `bad` between two good records, which must be untouched by it.
fn refused(bad: &[u8]) -> ReasonCode {
    let mut decoder = decoder();
    decoder.decode(GOOD.as_bytes()).unwrap();
    let reject = decoder.decode(bad).unwrap_err();
    assert!(!reject.reason.is_empty());
    decoder.decode(GOOD.as_bytes()).unwrap();
    let decoded = decoder.finish();
    assert_eq!(decoded.batch.num_rows(), 2);
    assert_eq!(tokens(&decoded), [Some(7), Some(7)]);
    reject.code
}

fn stored(event: &str) -> Decoded {
    let mut decoder = decoder();
    decoder
        .decode(event.as_bytes())
        .unwrap_or_else(|reject| panic!("{event}: {reject}"));
    decoder.finish()
}

fn tokens(decoded: &Decoded) -> Vec<Option<i64>> {
    let column = decoded.batch.column_by_name("input_tokens").unwrap();
    column.as_primitive::<Int64Type>().iter().collect()
}

fn attributes(decoded: &Decoded) -> serde_json::Value {
    let column = decoded.batch.column_by_name("attributes").unwrap();
    serde_json::from_str(column.as_string::<i32>().value(0)).unwrap()
}

fn with(member: &str) -> String {
    format!(r#"{{"event_id":"a","event_time":"2026-03-01T00:00:00Z",{member}}}"#)
}

#[test]
fn json_cut_at_any_byte_is_refused() {
    for cut in 0..GOOD.len() {
        let code = refused(&GOOD.as_bytes()[..cut]);
        let expected = if cut == 0 {
            ReasonCode::EmptyPayload
        } else {
            ReasonCode::InvalidJson
        };
        assert_eq!(code, expected, "cut at {cut}");
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for member in [
        r#""x":NaN"#,
        r#""x":Infinity"#,
        r#""x":-Infinity"#,
        r#""x":01"#,
        r#""x":1."#,
        r#""x":"\ud800""#,
        "\"x\":\"\u{1}\"",
    ] {
        assert_eq!(
            refused(with(member).as_bytes()),
            ReasonCode::InvalidJson,
            "{member}"
        );
    }
    assert_eq!(
        refused(format!("{GOOD} x").as_bytes()),
        ReasonCode::InvalidJson
    );
    assert_eq!(
        refused(format!("\u{feff}{GOOD}").as_bytes()),
        ReasonCode::InvalidJson
    );
    assert_eq!(
        refused(with(r#""x":1e999"#).as_bytes()),
        ReasonCode::NumberOutOfRange
    );
    assert_eq!(refused(b" \n"), ReasonCode::EmptyPayload);
    for other in ["[]", "1", "null", "\"text\"", "true"] {
        assert_eq!(
            refused(other.as_bytes()),
            ReasonCode::NotAnObject,
            "{other}"
        );
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_wherever_they_are() {
    for (before, after) in [
        ("\"service\":\"", "\""),
        ("\"unknown\":\"", "\""),
        ("\"tags\":{\"a\":\"", "\"}"),
    ] {
        let mut bytes = br#"{"event_id":"a","event_time":"2026-03-01T00:00:00Z","#.to_vec();
        bytes.extend(before.bytes());
        bytes.extend([0xff, 0xfe]);
        bytes.extend(after.bytes());
        bytes.push(b'}');
        assert_eq!(refused(&bytes), ReasonCode::InvalidUtf8, "{before}");
    }
}

/// The event's own object is the first level.
#[test]
fn depth_is_bounded() {
    let nested = |levels: usize, open: &str, close: &str| {
        format!("{}1{}", open.repeat(levels - 1), close.repeat(levels - 1))
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for levels in [128, 129, 10_000] {
            let deep = with(&format!(r#""x":{}"#, nested(levels, open, close)));
            assert_eq!(
                refused(deep.as_bytes()),
                ReasonCode::TooDeep,
                "{levels} levels of {open}"
            );
        }
        let deepest = nested(127, open, close);
        // As what names no field, as what a field cannot take, and within the event's own attributes.
        for member in [
            format!(r#""x":{deepest}"#),
            format!(r#""latency_ms":{deepest}"#),
            format!(r#""attributes":{{"x":{}}}"#, nested(126, open, close)),
        ] {
            // That readers of JSON accept what is kept is what `attributes` asserts.
            attributes(&stored(&with(&member)));
        }
    }
}

/// Callers' own limits are lower; this one keeps offsets within 32 bits.
#[test]
fn what_exceeds_512_mib_is_refused_unread() {
    let zeros = vec![0; (512 << 20) + 1];
    assert_eq!(refused(&zeros), ReasonCode::TooLarge);
}

#[test]
fn times_and_ids_are_needed() {
    let time = |value: &str| format!(r#"{{"event_id":"a","event_time":{value}}}"#);
    assert_eq!(
        refused(br#"{"event_id":"a"}"#),
        ReasonCode::MissingEventTime
    );
    assert_eq!(
        refused(time("null").as_bytes()),
        ReasonCode::MissingEventTime
    );
    for value in [
        "\"yesterday\"",
        "\"2026-02-30T00:00:00Z\"",
        "\"2026-03-01T00:00:00\"",
        "true",
        "{}",
    ] {
        assert_eq!(
            refused(time(value).as_bytes()),
            ReasonCode::InvalidEventTime,
            "{value}"
        );
    }
    for value in ["\"1969-12-31T23:59:59Z\"", "\"2999-01-01T00:00:00Z\"", "-5"] {
        assert_eq!(
            refused(time(value).as_bytes()),
            ReasonCode::EventTimeOutOfRange,
            "{value}"
        );
    }
    assert_eq!(
        refused(br#"{"event_time":"2026-03-01T00:00:00Z"}"#),
        ReasonCode::MissingIdentity
    );
}

#[test]
fn a_fault_in_another_field_is_kept_beside_the_row() {
    for value in [
        "99999999999999999999",
        "1.5",
        "\"many\"",
        "[1]",
        "{}",
        "true",
    ] {
        let decoded = stored(&with(&format!(r#""input_tokens":{value},"service":"s""#)));
        assert_eq!(tokens(&decoded), [None], "{value}");
        let fault = &attributes(&decoded)["invalid_fields"]["input_tokens"];
        assert!(
            fault["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{value}: {fault}"
        );
        let service = decoded.batch.column_by_name("service").unwrap();
        assert_eq!(service.as_string::<i32>().value(0), "s");
    }
}

#[test]
fn the_last_of_duplicate_keys_counts() {
    let decoded = stored(&with(r#""input_tokens":1,"input_tokens":2"#));
    assert_eq!(tokens(&decoded), [Some(2)]);
}

#[test]
fn a_record_of_20_mib_is_decoded() {
    let decoded = stored(&with(&format!(r#""output":"{}""#, "x".repeat(20 << 20))));
    let output = decoded.batch.column_by_name("output").unwrap();
    assert_eq!(output.as_string::<i32>().value(0).len(), 20 << 20);
}

#[test]
fn unknown_fields_are_kept() {
    let decoded = stored(&with(
        r#""attributes":{"a":1},"future":{"nested":[1,{"deep":true}]}"#,
    ));
    let attributes = attributes(&decoded);
    assert_eq!(
        attributes,
        serde_json::json!({"a": 1, "future": {"nested": [1, {"deep": true}]}})
    );
    assert!(
        !decoded
            .batch
            .column_by_name("attributes")
            .unwrap()
            .is_null(0)
    );
}
