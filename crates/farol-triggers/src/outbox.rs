//! The `actions` table: decisions as rows, and rows as decisions.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use datafusion::prelude::{SessionContext, col, lit};
use farol_lake::{Table, TableSpec};

use crate::action::Action;
use crate::error::TriggerError;
use crate::lifecycle::{Cause, State, Transition};
use crate::rule::Severity;

/// The mark that every commit of decisions moves by one: of two instances one wins.
pub(crate) const STEP: &str = "farol/trigger#step";

/// The mark of the next row's `sequence`.
pub(crate) const NEXT_ACTION: &str = "farol/trigger#next_action";

/// The prefix of all marks of triggers.
pub(crate) const MARKS: &str = "farol/trigger";

/// Decisions as rows of the table.
pub(crate) fn to_batch(actions: &[Action]) -> Result<RecordBatch, ArrowError> {
    let text = |of: &dyn Fn(&Action) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(actions.iter().map(of)))
    };
    let count = |of: &dyn Fn(&Action) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(actions.iter().map(of)))
    };
    let time = |of: &dyn Fn(&Action) -> i64| -> ArrayRef {
        let values = TimestampMicrosecondArray::from_iter_values(actions.iter().map(of));
        Arc::new(values.with_timezone("UTC"))
    };
    let columns = vec![
        count(&|a| a.sequence),
        text(&|a| a.action_id.clone()),
        text(&|a| a.kind.clone()),
        text(&|a| a.rule.clone()),
        text(&|a| a.segment.clone()),
        text(&|a| a.alert_id.clone()),
        time(&|a| a.window_us),
        time(&|a| a.window_end_us),
        count(&|a| a.revision),
        text(&|a| a.transition.cause.as_str().to_owned()),
        text(&|a| a.transition.state.as_str().to_owned()),
        text(&|a| a.transition.previous.as_str().to_owned()),
        time(&|a| a.transition.since_us),
        text(&|a| a.transition.severity.as_str().to_owned()),
        text(&|a| a.body.clone()),
    ];
    RecordBatch::try_new(TableSpec::actions().schema, columns)
}

/// The rows from a place in the order on, at most so many, in order.
pub(crate) async fn read(
    table: &Table,
    from: i64,
    limit: Option<usize>,
) -> Result<Vec<Action>, TriggerError> {
    let version = table.refresh().await?;
    let context = SessionContext::new();
    let rows = table.rows_at(version).await?;
    let names: Vec<String> = TableSpec::actions()
        .schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let frame = context
        .read_table(rows)?
        .filter(col("sequence").gt_eq(lit(from)))?
        .select_columns(&names)?
        .sort(vec![col("sequence").sort(true, false)])?
        .limit(0, limit)?;
    let mut actions = Vec::new();
    for batch in frame.collect().await? {
        from_batch(&batch, &mut actions)?;
    }
    Ok(actions)
}

fn from_batch(batch: &RecordBatch, actions: &mut Vec<Action>) -> Result<(), TriggerError> {
    let columns = batch
        .columns()
        .iter()
        .zip(TableSpec::actions().schema.fields())
        .map(|(column, field)| arrow::compute::cast(column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    let text = |column: usize, row: usize| columns[column].as_string::<i32>().value(row);
    let count = |column: usize, row: usize| columns[column].as_primitive::<Int64Type>().value(row);
    let time = |column: usize, row: usize| {
        columns[column]
            .as_primitive::<TimestampMicrosecondType>()
            .value(row)
    };
    for row in 0..batch.num_rows() {
        let unknown = |column: usize| {
            TriggerError::Actions(format!(
                "action {} says `{}`",
                text(1, row),
                text(column, row)
            ))
        };
        actions.push(Action {
            sequence: count(0, row),
            action_id: text(1, row).to_owned(),
            kind: text(2, row).to_owned(),
            rule: text(3, row).to_owned(),
            segment: text(4, row).to_owned(),
            alert_id: text(5, row).to_owned(),
            window_us: time(6, row),
            window_end_us: time(7, row),
            revision: count(8, row),
            transition: Transition {
                cause: Cause::parse(text(9, row)).ok_or_else(|| unknown(9))?,
                state: State::parse(text(10, row)).ok_or_else(|| unknown(10))?,
                previous: State::parse(text(11, row)).ok_or_else(|| unknown(11))?,
                since_us: time(12, row),
                severity: Severity::parse(text(13, row)).ok_or_else(|| unknown(13))?,
            },
            body: text(14, row).to_owned(),
        });
    }
    Ok(())
}
