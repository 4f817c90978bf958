//! What the decoder found: Arrow columns read back.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use super::cell::Cell;

/// The value of a column in a row.
pub fn cell(column: &ArrayRef, row: usize) -> Cell {
    if column.is_null(row) {
        return Cell::Null;
    }
    match column.data_type() {
        DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row).to_owned()),
        DataType::Int64 => Cell::Integer(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => {
            Cell::Double(column.as_primitive::<Float64Type>().value(row).to_bits())
        }
        DataType::Decimal128(..) => Cell::Money(column.as_primitive::<Decimal128Type>().value(row)),
        DataType::Timestamp(..) => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            Cell::Time(times.value(row))
        }
        DataType::Map(..) => map(column, row),
        DataType::List(_) => {
            let elements = column.as_list::<i32>().value(row);
            Cell::List((0..elements.len()).map(|at| cell(&elements, at)).collect())
        }
        DataType::Struct(_) => {
            let members = column.as_struct().columns();
            Cell::Object(members.iter().map(|member| cell(member, row)).collect())
        }
        other => panic!("no field is of the type {other}"),
    }
}

fn map(column: &ArrayRef, row: usize) -> Cell {
    let entries = column.as_map().value(row);
    let keys = entries.column(0).as_string::<i32>();
    let values = entries.column(1);
    let entry = |at| (keys.value(at).to_owned(), cell(values, at));
    Cell::Map((0..entries.len()).map(entry).collect())
}
