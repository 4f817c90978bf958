//! Findings as rows of their table, and rows as findings.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use datafusion::logical_expr::Expr;
use datafusion::prelude::{SessionContext, col, lit};
use farol_lake::{Table, TableSpec};
use farol_stats::watch::Span;

use super::{Finding, State};
use crate::error::DetectorError;

/// Findings as rows of the table.
pub(crate) fn to_batch(findings: &[Finding]) -> Result<RecordBatch, ArrowError> {
    type Text = dyn Fn(&Finding) -> &str;
    let text = |of: &Text| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(findings.iter().map(of)))
    };
    let count = |of: &dyn Fn(&Finding) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(findings.iter().map(of)))
    };
    let time = |of: &dyn Fn(&Finding) -> Option<i64>| -> ArrayRef {
        let values: TimestampMicrosecondArray = findings.iter().map(of).collect();
        Arc::new(values.with_timezone("UTC"))
    };
    let number = |of: &dyn Fn(&Finding) -> Option<f64>| -> ArrayRef {
        let values: Float64Array = findings.iter().map(of).collect();
        Arc::new(values)
    };
    let columns = vec![
        count(&|f| f.sequence),
        text(&|f| &f.finding_id),
        count(&|f| f.revision),
        text(&|f| f.state.as_str()),
        text(&|f| &f.detector),
        text(&|f| &f.method),
        text(&|f| &f.job),
        text(&|f| &f.measure),
        text(&|f| &f.direction),
        text(&|f| &f.segment),
        time(&|f| Some(f.since_us)),
        time(&|f| Some(f.window.start_us)),
        time(&|f| Some(f.window.end_us)),
        time(&|f| Some(f.noticed_us)),
        time(&|f| f.ended_us),
        text(&|f| &f.statistic),
        number(&|f| Some(f.statistic_value)),
        number(&|f| Some(f.threshold)),
        number(&|f| f.p_value),
        number(&|f| Some(f.observed)),
        number(&|f| Some(f.reference)),
        number(&|f| Some(f.effect)),
        number(&|f| f.effect_low),
        number(&|f| f.effect_high),
        time(&|f| Some(f.reference_span.start_us)),
        time(&|f| Some(f.reference_span.end_us)),
        count(&|f| f.observations),
        text(&|f| &f.root_causes),
        text(&|f| &f.samples),
        text(&|f| &f.sql),
        text(&|f| &f.tables),
    ];
    RecordBatch::try_new(TableSpec::findings().schema, columns)
}

/// Every row of the incidents whose id begins like this, in their order.
///
/// # Errors
/// Where the table cannot be read, or holds what this version does not understand.
pub async fn find(table: &Table, beginning: &str) -> Result<Vec<Finding>, DetectorError> {
    let known = |c: char| c.is_ascii_hexdigit();
    if beginning.is_empty() || !beginning.chars().all(known) {
        return Ok(Vec::new());
    }
    let begins = col("finding_id").like(lit(format!("{beginning}%")));
    read(table, Some(begins)).await
}

/// The findings from a number on, in their order.
///
/// # Errors
/// Where the table cannot be read, or holds what this version does not understand.
pub async fn since(table: &Table, sequence: i64) -> Result<Vec<Finding>, DetectorError> {
    read(table, Some(col("sequence").gt_eq(lit(sequence)))).await
}

/// Reads the rows that a filter picks out, in their order.
pub(crate) async fn read(
    table: &Table,
    filter: Option<Expr>,
) -> Result<Vec<Finding>, DetectorError> {
    let version = table.refresh().await?;
    let context = SessionContext::new();
    let spec = TableSpec::findings();
    let names = spec
        .schema
        .fields()
        .iter()
        .map(|field| field.name().as_str());
    let names: Vec<&str> = names.collect();
    let mut frame = context.read_table(table.rows_at(version).await?)?;
    if let Some(filter) = filter {
        frame = frame.filter(filter)?;
    }
    let frame = frame
        .select_columns(&names)?
        .sort(vec![col("sequence").sort(true, false)])?;
    let mut findings = Vec::new();
    for batch in frame.collect().await? {
        from_batch(&batch, &mut findings)?;
    }
    Ok(findings)
}

fn from_batch(batch: &RecordBatch, findings: &mut Vec<Finding>) -> Result<(), DetectorError> {
    let columns = batch
        .columns()
        .iter()
        .zip(TableSpec::findings().schema.fields())
        .map(|(column, field)| arrow::compute::cast(column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        let text = |column: usize| columns[column].as_string::<i32>().value(row).to_owned();
        let count = |column: usize| columns[column].as_primitive::<Int64Type>().value(row);
        let time = |column: usize| {
            columns[column]
                .as_primitive::<TimestampMicrosecondType>()
                .value(row)
        };
        let number = |column: usize| {
            let column = columns[column].as_primitive::<Float64Type>();
            column.is_valid(row).then(|| column.value(row))
        };
        let span = |column: usize| Span {
            start_us: time(column),
            end_us: time(column + 1),
        };
        let state = State::parse(&text(3)).ok_or_else(|| {
            DetectorError::Findings(format!("finding {} is `{}`", text(1), text(3)))
        })?;
        findings.push(Finding {
            sequence: count(0),
            finding_id: text(1),
            revision: count(2),
            state,
            detector: text(4),
            method: text(5),
            job: text(6),
            measure: text(7),
            direction: text(8),
            segment: text(9),
            since_us: time(10),
            window: span(11),
            noticed_us: time(13),
            ended_us: columns[14].is_valid(row).then(|| time(14)),
            statistic: text(15),
            statistic_value: number(16).unwrap_or(f64::NAN),
            threshold: number(17).unwrap_or(f64::NAN),
            p_value: number(18),
            observed: number(19).unwrap_or(f64::NAN),
            reference: number(20).unwrap_or(f64::NAN),
            effect: number(21).unwrap_or(f64::NAN),
            effect_low: number(22),
            effect_high: number(23),
            reference_span: span(24),
            observations: count(26),
            root_causes: text(27),
            samples: text(28),
            sql: text(29),
            tables: text(30),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_written_and_read_back() {
        let opened = Finding::example();
        let ended = opened.ended(240, false);
        assert_eq!((ended.revision, ended.state), (1, State::Ended));
        let written = [opened, ended];
        let batch = to_batch(&written).unwrap();
        let mut read = Vec::new();
        from_batch(&batch, &mut read).unwrap();
        assert_eq!(read, written);
    }
}
