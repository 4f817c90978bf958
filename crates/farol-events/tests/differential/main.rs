//! The decoder and serde_json accept and refuse the same bytes, and read the same values.

mod compare;

use farol_events::Kind;
use proptest::prelude::*;
use serde_json::{Value, json};

const EXAMPLE: &str = include_str!("../../../../schemas/examples/trace.full.json");

fn check(payload: &[u8]) -> Result<(), TestCaseError> {
    compare::check(Kind::Trace, payload).map_err(TestCaseError::fail)
}

fn member(name: &str, value: &str) -> String {
    format!(r#"{{"event_id":"a","event_time":"2026-03-01T00:00:00Z","{name}":{value}}}"#)
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

/// The text of a value that is nearly what a field takes: members have names that mean something
/// and come several times, numbers are written in every way.
fn nearly_right() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,45})(\\.[0-9]{1,45})?([eE][+-]?[0-9]{1,2})?",
        "\"[+-]?[0-9]{0,30}\\.?[0-9]{0,16}([eE][+-]?[0-9]{1,3})?\"",
        "\"([ a-z\u{e9}\u{1f600}]|\\\\[nt\"\\\\]|\\\\u00e9|\\\\ud83d\\\\ude00){0,40}\"",
        Just("\"2026-03-01T16:49:00.250Z\"".to_owned()),
    ];
    let name = "id|score|text|model|output|name|stage|action|severity|a|b|i\\\\u0064";
    leaf.prop_recursive(3, 24, 20, move |inner| {
        let object = prop::collection::vec((name, inner.clone()), 0..24).prop_map(|members| {
            let members = members
                .iter()
                .map(|(key, value)| format!("\"{key}\":{value}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        });
        let list = prop::collection::vec(inner, 0..20);
        prop_oneof![
            object,
            list.prop_map(|elements| format!("[ {} ]", elements.join(" , "))),
        ]
    })
}

/// Every exponent and length of digits around the limits of a decimal(38,12).
#[test]
fn money_is_exact_at_its_limits() {
    for digits in [1, 12, 13, 18, 19, 20, 25, 26, 27, 37, 38, 39, 60] {
        for text in ["9".repeat(digits), format!("1{}", "0".repeat(digits - 1))] {
            for point in 0..=digits {
                let (before, after) = text.split_at(point);
                let before = if before.is_empty() { "0" } else { before };
                let number = match after {
                    "" => before.to_owned(),
                    after => format!("{before}.{after}"),
                };
                for exponent in ["", "e0", "e12", "E-12", "e+26", "e-26", "e-300"] {
                    for value in [
                        format!("{number}{exponent}"),
                        format!("\"{number}{exponent}\""),
                    ] {
                        for name in ["cost", "retries", "latency_ms"] {
                            let event = member(name, &value);
                            compare::check(Kind::Trace, event.as_bytes()).unwrap();
                        }
                    }
                }
            }
        }
    }
}

/// Later members replace earlier ones and their faults, however many there were.
#[test]
fn faults_that_are_replaced_leave_room_for_others() {
    let bad = (0..20).map(|at| format!("\"k{at}\":\"bad\""));
    let good = (0..8).map(|at| format!("\"k{at}\":1"));
    let members = bad.chain(good).collect::<Vec<_>>().join(",");
    for name in ["scores", "tags", "attributes", "unheard_of"] {
        let event = member(name, &format!("{{{members}}}"));
        compare::check_every_kind(event.as_bytes()).unwrap();
    }
    let event = member("retrieved", &format!("[{{{members}}}]"));
    compare::check_every_kind(event.as_bytes()).unwrap();
}

#[test]
fn examples_read_the_same() {
    for example in [
        EXAMPLE,
        include_str!("../../../../schemas/examples/trace.minimal.json"),
        include_str!("../../../../schemas/examples/feedback.full.json"),
        include_str!("../../../../schemas/examples/feedback.minimal.json"),
        include_str!("../../../../schemas/examples/cost.full.json"),
        include_str!("../../../../schemas/examples/cost.minimal.json"),
        include_str!("../../../../schemas/examples/evaluation.full.json"),
        include_str!("../../../../schemas/examples/evaluation.minimal.json"),
    ] {
        compare::check_every_kind(example.as_bytes()).unwrap();
    }
}

proptest! {
    #[test]
    fn any_value_in_any_field(field in "service|input|output|user_id|status|input_tokens|output_tokens|retries|latency_ms|tags|scores|retrieved|citations|cost|attributes|[a-z\u{e9}\"]{1,8}", value in any_json()) {
        let mut event = json!({"event_id": "a", "event_time": "2026-03-01T00:00:00Z"});
        event[&field] = value;
        check(event.to_string().as_bytes())?;
    }

    #[test]
    fn nearly_right_values(field in "event_id|event_time|start_time|service|input_tokens|latency_ms|tags|scores|retrieved|candidates|guardrails|citations|cost|prompt_variables|attributes|unheard_of", values in prop::collection::vec(nearly_right(), 1..3)) {
        let event = values.iter().fold(String::new(), |members, value| format!("{members},\"{field}\":{value}"));
        let event = format!(r#"{{"event_id":"a","event_time":"2026-03-01T00:00:00Z"{event}}}"#);
        compare::check_every_kind(event.as_bytes()).map_err(TestCaseError::fail)?;
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
