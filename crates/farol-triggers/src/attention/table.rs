//! Tables that operators write: a row at a time, each in a commit of its own.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray as _, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::prelude::SessionContext;
use farol_lake::{Commit, Lake, Outcome, Step, Table, TableSpec};

use crate::error::TriggerError;

/// The prefix of the marks of these tables.
const MARK: &str = "farol/operators#step";

/// How often a row is tried again that another's came before.
const TRIES_MAX: u32 = 100;

/// A value of a row.
pub(super) enum Cell {
    Text(String),
    Count(i64),
    /// Microseconds.
    Time(i64),
}

/// A text of a row.
pub(super) fn text(batch: &RecordBatch, column: usize, row: usize) -> String {
    let texts = batch.column(column).as_string::<i32>();
    texts.value(row).to_owned()
}

/// A time of a row, in microseconds.
pub(super) fn time(batch: &RecordBatch, column: usize, row: usize) -> i64 {
    let times = batch.column(column);
    times.as_primitive::<TimestampMicrosecondType>().value(row)
}

/// Adds a row. Where two write at once, each row is there once.
pub(super) async fn append(
    lake: &Lake,
    name: &str,
    spec: &TableSpec,
    row: &[Cell],
) -> Result<(), TriggerError> {
    let table = lake.table(name, spec).await?;
    let column = |cell: &Cell| -> ArrayRef {
        match cell {
            Cell::Text(text) => Arc::new(StringArray::from_iter_values([text])),
            Cell::Count(count) => Arc::new(Int64Array::from_iter_values([*count])),
            Cell::Time(time_us) => {
                let times = TimestampMicrosecondArray::from_iter_values([*time_us]);
                Arc::new(times.with_timezone("UTC"))
            }
        }
    };
    let columns = row.iter().map(column).collect();
    let batch = RecordBatch::try_new(spec.schema.clone(), columns)?;
    for _ in 0..TRIES_MAX {
        let from = table.marks(MARK).await?.get(MARK).copied();
        let step = Step {
            guard: MARK.to_owned(),
            from,
            marks: vec![(MARK.to_owned(), from.unwrap_or(0) + 1)],
        };
        let upload = table.upload(None, vec![batch.clone()]).await?;
        let commit = Commit::append(vec![step], vec![upload]);
        if let Outcome::Committed { .. } = table.commit(&commit).await? {
            return Ok(());
        }
    }
    Err(TriggerError::Busy(name.to_owned()))
}

/// Every row of a version, with the columns as the specification has them.
pub(super) async fn rows(
    table: &Table,
    version: i64,
    spec: &TableSpec,
) -> Result<Vec<RecordBatch>, TriggerError> {
    let names: Vec<&str> = spec
        .schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let frame = SessionContext::new()
        .read_table(table.rows_at(version).await?)?
        .select_columns(&names)?;
    let mut batches = Vec::new();
    for batch in frame.collect().await? {
        let columns = batch
            .columns()
            .iter()
            .zip(spec.schema.fields())
            .map(|(column, field)| arrow::compute::cast(column, field.data_type()))
            .collect::<Result<Vec<_>, _>>()?;
        batches.push(RecordBatch::try_new(spec.schema.clone(), columns)?);
    }
    Ok(batches)
}
