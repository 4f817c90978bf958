//! Names of types, as SQL users know them.

use arrow::datatypes::{DataType, Field};

/// A type's name in SQL: PostgreSQL's words, and those of structures as they are nested.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytea".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 | DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double precision".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("decimal({precision},{scale})")
        }
        DataType::Dictionary(_, values) => type_name(values),
        DataType::List(element) | DataType::LargeList(element) => {
            format!("list<{}>", type_name(element.data_type()))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                let parts: Vec<_> = fields.iter().map(|f| type_name(f.data_type())).collect();
                format!("map<{}>", parts.join(", "))
            }
            other => format!("map<{}>", type_name(other)),
        },
        DataType::Struct(fields) => {
            let member = |field: &std::sync::Arc<Field>| {
                format!("{} {}", field.name(), type_name(field.data_type()))
            };
            let parts: Vec<_> = fields.iter().map(member).collect();
            format!("struct<{}>", parts.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use farol_events::{FieldType, data_type};

    use super::*;

    #[test]
    fn types_have_the_names_that_sql_users_know() {
        let told = |field_type| type_name(&data_type(field_type));
        assert_eq!(told(FieldType::Time), "timestamp with time zone");
        assert_eq!(told(FieldType::Money), "decimal(38,12)");
        assert_eq!(told(FieldType::DoubleMap), "map<text, double precision>");
        assert_eq!(
            told(FieldType::Candidates),
            "list<struct<model text, output text>>"
        );
    }
}
