//! Arrow schemas, derived from the field table: of decoded events, of the raw tables, and of the
//! dead letters. Names inside lists and maps are those that Delta Lake uses, so that a table's
//! columns need no conversion.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field as ArrowField, Fields, Schema, SchemaRef, TimeUnit};

use crate::field::{FieldType, fields};
use crate::{Kind, decimal};

/// The schema of decoded events: the kind's own fields, in the field table's order.
pub fn event_schema(kind: Kind) -> SchemaRef {
    static SCHEMAS: LazyLock<[SchemaRef; 4]> = LazyLock::new(|| Kind::ALL.map(build_event_schema));
    SCHEMAS[kind as usize].clone()
}

/// The schema of the kind's table: the event's fields, what Farol computes, then where it came from.
pub fn table_schema(kind: Kind) -> SchemaRef {
    static SCHEMAS: LazyLock<[SchemaRef; 4]> = LazyLock::new(|| Kind::ALL.map(build_table_schema));
    SCHEMAS[kind as usize].clone()
}

/// The schema of the table of records that could not be decoded.
pub fn dead_letter_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut columns = origin_columns();
        columns.extend([
            nullable("kafka_key", DataType::Binary),
            nullable("headers", DataType::Utf8),
            nullable("reason_code", DataType::Utf8),
            nullable("reason", DataType::Utf8),
            nullable("raw", DataType::Binary),
        ]);
        Arc::new(Schema::new(columns))
    });
    SCHEMA.clone()
}

/// The Arrow type of a field.
pub fn data_type(field_type: FieldType) -> DataType {
    match field_type {
        FieldType::Text | FieldType::Json => DataType::Utf8,
        FieldType::Time => time_type(),
        FieldType::Integer => DataType::Int64,
        FieldType::Double => DataType::Float64,
        FieldType::Money => money_type(),
        FieldType::TextMap => map_type(DataType::Utf8),
        FieldType::DoubleMap => map_type(DataType::Float64),
        FieldType::TextList => list_type(DataType::Utf8),
        FieldType::Retrieved | FieldType::Candidates | FieldType::Guardrails => {
            list_type(DataType::Struct(member_fields(field_type)))
        }
    }
}

/// The Arrow fields of the objects in an array of objects.
pub(crate) fn member_fields(field_type: FieldType) -> Fields {
    field_type
        .members()
        .iter()
        .map(|member| nullable(member.name, data_type(member.field_type)))
        .collect()
}

/// The Arrow fields of a map's entries.
pub(crate) fn entry_fields(value: DataType) -> Fields {
    Fields::from(vec![
        ArrowField::new("key", DataType::Utf8, false),
        nullable("value", value),
    ])
}

/// The Arrow field of a list's elements.
pub(crate) fn element_field(element: DataType) -> Arc<ArrowField> {
    Arc::new(nullable("element", element))
}

/// The Arrow field of a map's entries, which are a struct.
pub(crate) fn entries_field(value: DataType) -> Arc<ArrowField> {
    Arc::new(ArrowField::new(
        "key_value",
        DataType::Struct(entry_fields(value)),
        false,
    ))
}

fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn money_type() -> DataType {
    DataType::Decimal128(decimal::PRECISION, decimal::SCALE)
}

fn map_type(value: DataType) -> DataType {
    DataType::Map(entries_field(value), false)
}

fn list_type(element: DataType) -> DataType {
    DataType::List(element_field(element))
}

fn nullable(name: &str, data_type: DataType) -> ArrowField {
    ArrowField::new(name, data_type, true)
}

fn build_event_schema(kind: Kind) -> SchemaRef {
    Arc::new(Schema::new(event_columns(kind)))
}

fn build_table_schema(kind: Kind) -> SchemaRef {
    let mut columns = event_columns(kind);
    if kind == Kind::Trace {
        columns.extend(computed_columns());
    }
    columns.extend(origin_columns());
    Arc::new(Schema::new(columns))
}

fn event_columns(kind: Kind) -> Vec<ArrowField> {
    fields(kind)
        .iter()
        .map(|field| nullable(field.name, data_type(field.field_type)))
        .collect()
}

/// What Farol works out about a trace, from the event and the price book.
fn computed_columns() -> [ArrowField; 7] {
    [
        nullable("model", DataType::Utf8),
        nullable("cost_usd", money_type()),
        nullable("cost_computed", money_type()),
        nullable("cost_avoided", money_type()),
        nullable("cost_source", DataType::Utf8),
        nullable("price_version", DataType::Utf8),
        nullable("cost_missing_reason", DataType::Utf8),
    ]
}

/// Where a row came from, and when it was taken in.
fn origin_columns() -> Vec<ArrowField> {
    vec![
        nullable("event_date", DataType::Date32),
        nullable("ingested_at", time_type()),
        nullable("kafka_topic", DataType::Utf8),
        nullable("kafka_partition", DataType::Int32),
        nullable("kafka_offset", DataType::Int64),
        nullable("kafka_entry", DataType::Int32),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_hold_the_field_table_in_its_order() {
        for kind in Kind::ALL {
            let schema = event_schema(kind);
            let names: Vec<_> = schema
                .fields()
                .iter()
                .map(|field| field.name().as_str())
                .collect();
            let expected: Vec<_> = fields(kind).iter().map(|field| field.name).collect();
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn tables_begin_with_the_event_and_end_with_its_origin() {
        for kind in Kind::ALL {
            let table = table_schema(kind);
            let event = event_schema(kind);
            assert_eq!(table.fields()[..event.fields().len()], event.fields()[..]);
            assert_eq!(
                table.fields()[table.fields().len() - 1].name(),
                "kafka_entry"
            );
        }
        assert_eq!(table_schema(Kind::Trace).fields().len(), 51 + 7 + 6);
    }

    #[test]
    fn money_times_and_maps_have_the_promised_types() {
        let schema = event_schema(Kind::Trace);
        let of = |name: &str| {
            schema
                .field_with_name(name)
                .map(|field| field.data_type().to_string())
        };
        assert_eq!(of("cost").unwrap(), "Decimal128(38, 12)");
        assert_eq!(of("event_time").unwrap(), "Timestamp(µs, \"UTC\")");
        assert!(of("tags").unwrap().starts_with("Map("));
    }
}
