//! Values with parts (lists, maps, structs) as JSON text: for formats and protocols that have no such values.

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use std::sync::Arc;

/// Whether a value of the type has parts.
pub(crate) fn has_parts(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => has_parts(values),
        other => other.is_nested(),
    }
}

/// The batch with every column that has parts turned into JSON text.
///
/// # Errors
/// Where a value cannot be written as JSON.
pub fn parts_as_json(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if !batch
        .schema()
        .fields()
        .iter()
        .any(|field| has_parts(field.data_type()))
    {
        return Ok(batch.clone());
    }
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if has_parts(field.data_type()) {
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            columns.push(json_text(column)?);
        } else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// Each value as JSON; null stays null.
pub(crate) fn json_text(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    const BEFORE: &str = "{\"v\":";
    let batch = RecordBatch::try_from_iter_with_nullable([("v", Arc::clone(column), true)])?;
    let mut lines = Vec::new();
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, LineDelimited>(&mut lines);
    writer.write(&batch)?;
    writer.finish()?;
    drop(writer);
    let lines =
        String::from_utf8(lines).map_err(|error| ArrowError::JsonError(error.to_string()))?;
    let values = lines.lines().map(|line| {
        let value = line.strip_prefix(BEFORE)?.strip_suffix('}')?;
        (value != "null").then_some(value)
    });
    Ok(Arc::new(values.collect::<StringArray>()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, ListArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn parts_become_json_and_the_rest_stays() {
        let list =
            ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
        let batch = RecordBatch::try_from_iter([
            ("a", Arc::new(list) as ArrayRef),
            ("b", Arc::new(Int64Array::from(vec![7, 8])) as ArrayRef),
        ])
        .unwrap();
        let flat = parts_as_json(&batch).unwrap();
        let texts: Vec<_> = flat.column(0).as_string::<i32>().iter().collect();
        assert_eq!(texts, [Some("[1,null]"), None]);
        assert_eq!(flat.column(1), batch.column(1));
    }
}
