//! The decoder and serde_json accept and refuse the same bytes, and read the same values.

use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use farol_events::{Decoded, Decoder, Kind, ReasonCode, Reject, TimeRange};
use proptest::prelude::*;
use serde_json::{Value, json};

const EXAMPLE: &str = include_str!("../../../schemas/examples/trace.full.json");

/// What the decoder says beyond JSON itself.
const ABOUT_EVENTS: [ReasonCode; 4] = [
    ReasonCode::MissingEventTime,
    ReasonCode::InvalidEventTime,
    ReasonCode::EventTimeOutOfRange,
    ReasonCode::MissingIdentity,
];

fn decode(bytes: &[u8]) -> Result<Decoded, Reject> {
    let mut decoder = Decoder::new(Kind::Trace, TimeRange::ALL);
    decoder.decode(bytes).map(|()| decoder.finish())
}

/// A text field's value as the interface reads it: text, or a number's text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let parsed = serde_json::from_slice::<Value>(bytes);
    let decoded = match (decode(bytes), &parsed) {
        (Ok(decoded), Ok(_)) => decoded,
        (Err(reject), Ok(Value::Object(_))) => {
            prop_assert!(
                ABOUT_EVENTS.contains(&reject.code),
                "serde_json accepts: {reject}"
            );
            return Ok(());
        }
        (Err(reject), Ok(_)) => {
            prop_assert_eq!(reject.code, ReasonCode::NotAnObject);
            return Ok(());
        }
        (Err(reject), Err(_)) => {
            let about =
                ABOUT_EVENTS.contains(&reject.code) || reject.code == ReasonCode::NotAnObject;
            prop_assert!(!about, "serde_json refuses the JSON itself: {}", reject);
            return Ok(());
        }
        (Ok(_), Err(error)) => {
            return Err(TestCaseError::fail(format!(
                "decoded, but serde_json refuses: {error}"
            )));
        }
    };
    values(&decoded, &parsed.expect("both accept"))
}

fn values(decoded: &Decoded, parsed: &Value) -> Result<(), TestCaseError> {
    let column = |name: &str| decoded.batch.column_by_name(name).expect("a field");
    for name in ["service", "input", "output", "user_id", "status"] {
        let Some(expected) = text(&parsed[name]) else {
            continue;
        };
        prop_assert_eq!(
            column(name).as_string::<i32>().value(0),
            expected,
            "{}",
            name
        );
    }
    for name in ["input_tokens", "output_tokens", "retries"] {
        let found = column(name).as_primitive::<Int64Type>();
        let found = found.is_valid(0).then(|| found.value(0));
        match &parsed[name] {
            Value::Number(number) if number.is_i64() => {
                prop_assert_eq!(found, number.as_i64(), "{}", name);
            }
            Value::Null
            | Value::String(_)
            | Value::Bool(_)
            | Value::Array(_)
            | Value::Object(_) => {
                prop_assert_eq!(found, None, "{}", name);
            }
            Value::Number(_) => {}
        }
    }
    let found = column("latency_ms").as_primitive::<Float64Type>();
    if let Some(expected) = parsed["latency_ms"].as_f64() {
        // serde_json may round the last bit the other way.
        let difference = (found.value(0) - expected).abs();
        prop_assert!(
            difference <= expected.abs() * f64::EPSILON,
            "{} is not {expected}",
            found.value(0)
        );
    }
    Ok(())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_in_any_field(field in "service|input|output|user_id|status|input_tokens|output_tokens|retries|latency_ms|tags|scores|retrieved|citations|cost|attributes|[a-z\u{e9}\"]{1,8}", value in any_json()) {
        let mut event = json!({"event_id": "a", "event_time": "2026-03-01T00:00:00Z"});
        event[&field] = value;
        check(event.to_string().as_bytes())?;
    }

    #[test]
    fn mutated_bytes(at in 0..EXAMPLE.len(), bytes in prop::collection::vec(any::<u8>(), 0..4), cut in 0..8_usize) {
        let mut example = EXAMPLE.as_bytes().to_vec();
        let end = (at + cut).min(example.len());
        example.splice(at..end, bytes);
        check(&example)?;
    }

    #[test]
    fn mutated_structure(at in 0..EXAMPLE.len(), piece in "[\\[\\]{}:,\"\\\\0-9eE.+\\-tfn]{1,3}", cut in 0..3_usize) {
        let mut example = EXAMPLE.as_bytes().to_vec();
        let end = (at + cut).min(example.len());
        example.splice(at..end, piece.bytes());
        check(&example)?;
    }
}
