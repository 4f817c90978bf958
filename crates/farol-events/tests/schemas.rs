//! The published schema files, the field table, the Arrow schemas and the examples say the same.
//!
//! `FAROL_UPDATE_SCHEMAS=1 cargo test --release -p farol-events --test schemas` writes the schema files anew.

use std::path::PathBuf;

use farol_events::field::{Requirement, fields};
use farol_events::{Decoder, FieldType, Kind, ReasonCode, TimeRange, event_schema};
use serde_json::{Map, Value, json};

/// The names that the interface promises, in its order; `cost` keeps unknown fields in `attributes` like the others.
const NAMES: [(Kind, &str); 4] = [
    (
        Kind::Trace,
        "event_id event_time start_time trace_id span_id parent_span_id response_id session_id user_id service \
         environment tags name operation tool_name agent_name task provider request_model response_model service_tier \
         prompt_id prompt_version prompt_variables system input output input_tokens output_tokens cache_read_tokens \
         cache_write_tokens reasoning_tokens latency_ms time_to_first_token_ms status error_type error_message retries \
         fallback_from finish_reason temperature cache cache_similarity retrieved citations candidates guardrails \
         scores cost currency attributes",
    ),
    (
        Kind::Feedback,
        "event_id event_time trace_id span_id response_id session_id user_id kind value text tags attributes",
    ),
    (
        Kind::Cost,
        "event_id event_time trace_id provider model service environment tags unit quantity amount currency source \
         attributes",
    ),
    (
        Kind::Evaluation,
        "event_id event_time trace_id span_id response_id name score label explanation evaluator tags attributes",
    ),
];

fn schemas() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

fn json_type(field_type: FieldType) -> Value {
    let text = json!({"type": ["string", "number", "null"]});
    match field_type {
        FieldType::Text => text,
        FieldType::Time => json!({"anyOf": [
            {"type": "string", "format": "date-time"},
            {"type": "integer", "description": "epoch in s, ms, µs or ns, told apart by magnitude"},
            {"type": "null"},
        ]}),
        FieldType::Integer => {
            json!({"type": ["integer", "null"], "minimum": i64::MIN, "maximum": i64::MAX})
        }
        FieldType::Double => json!({"type": ["number", "null"]}),
        FieldType::Money => json!({"anyOf": [
            {"type": "number"},
            {"type": "string", "pattern": "^[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?$"},
            {"type": "null"},
        ]}),
        FieldType::DoubleMap => {
            json!({"type": ["object", "null"], "additionalProperties": {"type": ["number", "null"]}})
        }
        FieldType::TextList => json!({"type": ["array", "null"], "items": text}),
        FieldType::TextMap | FieldType::Json => json!({"type": ["object", "null"]}),
        FieldType::Retrieved | FieldType::Candidates | FieldType::Guardrails => {
            let members: Map<_, _> = field_type
                .members()
                .iter()
                .map(|member| {
                    (
                        member.name.to_owned(),
                        described(json_type(member.field_type), member.doc),
                    )
                })
                .collect();
            json!({"type": ["array", "null"], "items": {"type": ["object", "null"], "properties": members}})
        }
    }
}

fn described(mut schema: Value, doc: &str) -> Value {
    schema["description"] = json!(doc);
    schema
}

/// An id by which an event is known: neither null nor empty.
fn identity() -> Value {
    json!({"anyOf": [{"type": "string", "minLength": 1}, {"type": "number"}]})
}

/// Takes null out of what a required field may be.
fn without_null(schema: &mut Value) {
    if let Some(choices) = schema["anyOf"].as_array_mut() {
        choices.retain(|choice| choice["type"] != "null");
    }
}

fn json_schema(kind: Kind) -> Value {
    let mut properties = Map::new();
    for field in fields(kind) {
        let mut schema = described(json_type(field.field_type), field.doc);
        if field.requirement == Requirement::Required {
            without_null(&mut schema);
        }
        if !field.known_values.is_empty() {
            schema["examples"] = json!(field.known_values);
        }
        properties.insert(field.name.to_owned(), schema);
    }
    let identity: Vec<_> = kind
        .identity()
        .iter()
        .map(|name| json!({"required": [name], "properties": {*name: identity()}}))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("Farol {kind}"),
        "type": "object",
        "properties": properties,
        "required": required(kind),
        "anyOf": identity,
        "additionalProperties": true,
    })
}

fn required(kind: Kind) -> Vec<&'static str> {
    let required = |requirement| requirement == Requirement::Required;
    fields(kind)
        .iter()
        .filter(|field| required(field.requirement))
        .map(|field| field.name)
        .collect()
}

fn avro_type(kind: Kind, name: &str, field_type: FieldType) -> Value {
    match field_type {
        FieldType::Text | FieldType::Json => json!("string"),
        FieldType::Time => json!({"type": "long", "logicalType": "timestamp-micros"}),
        FieldType::Integer => json!("long"),
        FieldType::Double => json!("double"),
        FieldType::Money => {
            json!({"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 12})
        }
        FieldType::TextMap => json!({"type": "map", "values": ["null", "string"]}),
        FieldType::DoubleMap => json!({"type": "map", "values": ["null", "double"]}),
        FieldType::TextList => json!({"type": "array", "items": ["null", "string"]}),
        FieldType::Retrieved | FieldType::Candidates | FieldType::Guardrails => {
            let members: Vec<_> = field_type
                .members()
                .iter()
                .map(|member| {
                    let inner = avro_type(kind, member.name, member.field_type);
                    json!({"name": member.name, "doc": member.doc, "type": ["null", inner], "default": null})
                })
                .collect();
            json!({"type": "array", "items": ["null", {"type": "record", "name": format!("{kind}_{name}"), "fields": members}]})
        }
    }
}

fn avro_schema(kind: Kind) -> Value {
    let fields: Vec<_> = fields(kind)
        .iter()
        .map(|field| {
            let inner = avro_type(kind, field.name, field.field_type);
            if field.requirement == Requirement::Required {
                json!({"name": field.name, "doc": field.doc, "type": inner})
            } else {
                json!({"name": field.name, "doc": field.doc, "type": ["null", inner], "default": null})
            }
        })
        .collect();
    json!({"type": "record", "name": kind.as_str(), "namespace": "farol", "fields": fields})
}

#[test]
fn the_schema_files_are_those_of_the_field_table() {
    for kind in Kind::ALL {
        for (file, schema) in [
            (format!("{kind}.schema.json"), json_schema(kind)),
            (format!("{kind}.avsc"), avro_schema(kind)),
        ] {
            let path = schemas().join(file);
            let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            if std::env::var_os("FAROL_UPDATE_SCHEMAS").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                found == text,
                "{} is out of date; FAROL_UPDATE_SCHEMAS=1 cargo test --release -p farol-events --test schemas",
                path.display()
            );
        }
    }
}

#[test]
fn the_names_are_those_of_the_interface_in_its_order() {
    for (kind, names) in NAMES {
        let promised: Vec<_> = names.split_whitespace().collect();
        let table: Vec<_> = fields(kind).iter().map(|field| field.name).collect();
        assert_eq!(table, promised, "{kind}");
        let schema = event_schema(kind);
        let arrow: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        assert_eq!(arrow, promised, "{kind}");
    }
}

fn decoded(kind: Kind, which: &str) -> (Value, farol_events::Decoded) {
    let path = schemas().join(format!("examples/{kind}.{which}.json"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut decoder = Decoder::new(kind, TimeRange::ALL);
    decoder
        .decode(&bytes)
        .unwrap_or_else(|reject| panic!("{}: {reject}", path.display()));
    (serde_json::from_slice(&bytes).unwrap(), decoder.finish())
}

#[test]
fn a_full_example_fills_every_column() {
    for kind in Kind::ALL {
        let (example, decoded) = decoded(kind, "full");
        for field in fields(kind) {
            assert!(
                !example[field.name].is_null(),
                "{kind}.full.json lacks {}",
                field.name
            );
            let column = decoded.batch.column_by_name(field.name).unwrap();
            assert_eq!(column.null_count(), 0, "{kind}.{} is null", field.name);
        }
        assert!(decoded.fingerprints[0].is_some());
        let attributes = decoded.batch.column_by_name("attributes").unwrap();
        assert!(
            !format!("{attributes:?}").contains("invalid_fields"),
            "{kind}: {attributes:?}"
        );
    }
}

#[test]
fn a_minimal_example_is_an_event() {
    for kind in Kind::ALL {
        let (example, decoded) = decoded(kind, "minimal");
        assert_eq!(decoded.batch.num_rows(), 1);
        for name in required(kind) {
            assert!(!example[name].is_null(), "{kind}.minimal.json lacks {name}");
        }
    }
}

#[test]
fn every_reason_is_told_in_the_readme() {
    let readme = std::fs::read_to_string(schemas().join("README.md")).unwrap();
    for code in ReasonCode::ALL {
        assert!(
            readme.contains(&format!("`{code}`")),
            "schemas/README.md does not tell of {code}"
        );
    }
}

#[test]
fn a_schema_asks_for_what_the_decoder_asks_for() {
    for kind in Kind::ALL {
        let schema = json_schema(kind);
        let time = schema["properties"]["event_time"]["anyOf"]
            .as_array()
            .unwrap();
        assert!(time.iter().all(|choice| choice["type"] != "null"), "{kind}");
        assert_eq!(
            schema["anyOf"].as_array().unwrap().len(),
            kind.identity().len()
        );
        let empty = json!({"event_time": "2026-03-01T00:00:00Z", kind.identity()[0]: ""});
        let mut decoder = Decoder::new(kind, TimeRange::ALL);
        let reject = decoder.decode(empty.to_string().as_bytes()).unwrap_err();
        assert_eq!(reject.code, ReasonCode::MissingIdentity);
    }
}
