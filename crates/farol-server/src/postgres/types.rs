//! What PostgreSQL calls the types of columns.

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion_postgres::arrow_pg::datatypes::field_into_pg_type;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::error::PgWireResult;

use crate::encode::has_parts;

/// Whether values of the type are sent as JSON text: maps, structs and lists of them have no type in PostgreSQL.
pub(super) fn is_json(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) => {
            has_parts(item.data_type()) || matches!(item.data_type(), DataType::Dictionary(..))
        }
        other => has_parts(other),
    }
}

/// The type that clients are told.
pub(super) fn pg_type(field: &FieldRef) -> PgWireResult<Type> {
    if is_json(field.data_type()) {
        return Ok(Type::JSON);
    }
    field_into_pg_type(field)
}

/// The name that `information_schema` has for a type.
pub(super) fn standard_name(pg_type: &Type) -> &str {
    match pg_type.name() {
        "bool" => "boolean",
        "int2" => "smallint",
        "int4" => "integer",
        "int8" => "bigint",
        "float4" => "real",
        "float8" => "double precision",
        "timestamptz" => "timestamp with time zone",
        "timestamp" => "timestamp without time zone",
        "time" => "time without time zone",
        name if name.starts_with('_') => "ARRAY",
        name => name,
    }
}
