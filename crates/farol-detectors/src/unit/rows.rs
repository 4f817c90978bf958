//! The rows of a unit's windows, from `measures(…)`.

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType};
use farol_jobs::duration;
use farol_jobs::segment::{Segment, name_list, quoted_name, quoted_text, text_list};
use farol_jobs::time::rfc3339;
use farol_lake::sql::Session;
use futures::TryStreamExt as _;

use crate::definition::{Method, Unit};
use crate::error::DetectorError;
use farol_stats::watch::Span;

/// One segment's row in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The segment.
    pub segment: Segment,
    /// Of each of the unit's measures its value, or how many of how many; `None` where that is not known.
    pub values: Vec<(Option<f64>, Option<f64>)>,
}

/// Reads the windows of a range and hands each to `judge`, in order; windows without rows too.
///
/// # Errors
/// Where the measures cannot be read, or `judge` fails.
pub async fn each_window(
    session: &Session,
    unit: &Unit,
    range: Span,
    mut judge: impl FnMut(Span, &[Row]),
) -> Result<(), DetectorError> {
    let (_, mut batches) = session.query(&query(unit, range)).await?;
    let mut next_us = range.start_us;
    let mut rows: Vec<Row> = Vec::new();
    let mut pass = |upto_us: i64, rows: &mut Vec<Row>| {
        while next_us < upto_us {
            let window = Span {
                start_us: next_us,
                end_us: next_us + unit.window_us,
            };
            judge(window, rows);
            rows.clear();
            next_us = window.end_us;
        }
    };
    let mut current_us = range.start_us;
    while let Some(batch) = batches.try_next().await? {
        for (window_us, row) in read(unit, &batch)? {
            if window_us > current_us {
                // The window whose rows are gathered, and after it those without any.
                pass(window_us, &mut rows);
                current_us = window_us;
            }
            rows.push(row);
        }
    }
    pass(range.end_us, &mut rows);
    Ok(())
}

/// The expressions that a measure is read as.
fn columns(unit: &Unit) -> impl Iterator<Item = (String, String)> {
    unit.measures.iter().map(|watched| match &watched.method {
        Method::Rate { ones, trials } => (ones.clone(), trials.clone()),
        _ => (quoted_name(&watched.measure), "NULL".to_owned()),
    })
}

fn query(unit: &Unit, range: Span) -> String {
    let values: Vec<_> = columns(unit)
        .enumerate()
        .map(|(place, (first, second))| {
            // Two measures may be of the same expression.
            format!(
                ", CAST({first} AS DOUBLE) AS first_{place}, CAST({second} AS DOUBLE) AS second_{place}"
            )
        })
        .collect();
    let values = values.concat();
    format!(
        "SELECT window_start{}{values} FROM measures({}, {}{}) \
         WHERE window_start >= TIMESTAMP '{}' AND window_start < TIMESTAMP '{}' ORDER BY window_start",
        name_list(unit.by.iter()),
        quoted_text(&unit.job),
        quoted_text(&duration::words(unit.window_us)),
        text_list(unit.by.iter()),
        rfc3339(range.start_us),
        rfc3339(range.end_us),
    )
}

fn read(unit: &Unit, batch: &RecordBatch) -> Result<Vec<(i64, Row)>, DetectorError> {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let windows = cast(batch.column(0), &time)?;
    let windows = windows.as_primitive::<TimestampMicrosecondType>();
    let first = 1 + unit.by.len();
    let segments = (1..first)
        .map(|column| cast(batch.column(column), &DataType::Utf8))
        .collect::<Result<Vec<_>, _>>()?;
    let numbers = (first..batch.num_columns())
        .map(|column| cast(batch.column(column), &DataType::Float64))
        .collect::<Result<Vec<_>, _>>()?;
    let number = |column: usize, row: usize| {
        let column = numbers[column].as_primitive::<Float64Type>();
        column.is_valid(row).then(|| column.value(row))
    };
    let rows = (0..batch.num_rows()).map(|row| {
        let segment = segments.iter().map(|column| {
            let column = column.as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_owned())
        });
        let values = (0..unit.measures.len())
            .map(|place| (number(2 * place, row), number(2 * place + 1, row)));
        let seen = Row {
            segment: Segment(segment.collect()),
            values: values.collect(),
        };
        (windows.value(row), seen)
    });
    Ok(rows.collect())
}
