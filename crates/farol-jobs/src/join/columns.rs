//! Columns of batches by name, with their types.

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;

/// A column; an error that names it where it is not there.
pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ArrowError> {
    let found = batch.column_by_name(name);
    found.ok_or_else(|| ArrowError::SchemaError(format!("there is no column `{name}`")))
}

fn typed<'a, T>(name: &str, found: Option<&'a T>) -> Result<&'a T, ArrowError> {
    found.ok_or_else(|| ArrowError::SchemaError(format!("column `{name}` has another type")))
}

/// A column of texts.
pub(super) fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, ArrowError> {
    typed(name, column(batch, name)?.as_string_opt())
}

/// A column of times.
pub(super) fn times<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a TimestampMicrosecondArray, ArrowError> {
    let found = column(batch, name)?;
    typed(name, found.as_primitive_opt::<TimestampMicrosecondType>())
}

fn whole_numbers<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int64Array, ArrowError> {
    typed(name, column(batch, name)?.as_primitive_opt::<Int64Type>())
}

fn small_numbers<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int32Array, ArrowError> {
    typed(name, column(batch, name)?.as_primitive_opt::<Int32Type>())
}

/// A text that says something: not null and not empty.
pub(super) fn said(texts: &StringArray, row: usize) -> Option<&str> {
    texts
        .is_valid(row)
        .then(|| texts.value(row))
        .filter(|text| !text.is_empty())
}

/// Where a row was read from: topic, partition, offset, entry.
pub(super) type Origin = (String, i32, i64, i32);

/// The columns that say where rows were read from.
pub(super) struct Origins<'a> {
    topic: &'a StringArray,
    partition: &'a Int32Array,
    offset: &'a Int64Array,
    entry: &'a Int32Array,
}

impl<'a> Origins<'a> {
    pub fn of(batch: &'a RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self {
            topic: texts(batch, "kafka_topic")?,
            partition: small_numbers(batch, "kafka_partition")?,
            offset: whole_numbers(batch, "kafka_offset")?,
            entry: small_numbers(batch, "kafka_entry")?,
        })
    }

    pub fn get(&self, row: usize) -> Origin {
        (
            said(self.topic, row).unwrap_or_default().to_owned(),
            self.partition.value(row),
            self.offset.value(row),
            self.entry.value(row),
        )
    }
}
