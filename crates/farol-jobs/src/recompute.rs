//! Windows computed whole, for SQL that looks at several rows.
//!
//! ```text
//! added rows ──▶ windows within reach ──▶ for each: rows near it, from one snapshot ──▶ SQL ──▶ a higher revision
//! ```
//!
//! A step finds the windows near which its versions added rows, and runs the SQL, planned once, for each of them, over the rows of
//! the input as it was at the last of these versions. What comes out is appended with that version as the `revision` (of
//! several inputs with the sum of their versions, which grows with each of them); readers take the highest of each window.
//! So a window's value depends on the rows near it and on nothing else: not on the order in which they came, nor on what
//! was computed together with it. Windows that late rows touch are computed again in the same step as the others: how often
//! steps are taken bounds how often.
//!
//! A revision in which the SQL gives nothing for a window is a row without contributions: else the one before would
//! still count.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::datasource::TableProvider;
use datafusion::prelude::SessionContext;
use farol_lake::{AdditionLimits, Upload};
use futures::TryStreamExt as _;

use crate::aggregate::{InputRows, whole_window, windows_of};
use crate::definition::{CONTRIBUTIONS, Job, REVISION, WINDOW_START, Width};
use crate::error::JobError;
use crate::inputs::{Added, revision};
use crate::nearby::Nearby;
use crate::step::{Runner, working_context};
use crate::whole::WholeWindows;
use crate::writer::{Series, Writer};

/// What one step may take. Of what was added only the times are read.
pub(crate) const LIMITS: AdditionLimits = AdditionLimits {
    versions: 4_096,
    bytes: 16 << 30,
};

/// Computes the windows near which rows were added; how many rows of partials were kept under `other`.
pub(crate) async fn near(
    runner: &mut Runner,
    added: &Added,
) -> Result<(Vec<Upload>, u64), JobError> {
    let context = working_context()?;
    let mut windows = BTreeSet::new();
    for rows in added.rows()? {
        windows.extend(touched(&context, &runner.job, rows, None).await?);
    }
    let versions = added.through();
    let rows = added.rows_at(&versions).await?;
    compute(runner, &rows, &windows, revision(&versions), Empty::IsSaid).await
}

/// Computes every window of a range that the input has rows near, to be put in the place of what is there.
pub(crate) async fn range(
    runner: &mut Runner,
    rows: InputRows,
    (from, to): (i64, i64),
    revision: i64,
) -> Result<(Vec<Upload>, u64), JobError> {
    let context = working_context()?;
    let mut windows = BTreeSet::new();
    for rows in &rows {
        windows.extend(touched(&context, &runner.job, rows.clone(), Some((from, to))).await?);
    }
    windows.retain(|start| (from..to).contains(start));
    compute(runner, &rows, &windows, revision, Empty::IsLeftOut).await
}

/// Computes these windows from rows of the input, to see what comes of them.
pub(crate) async fn windows(
    runner: &mut Runner,
    rows: &InputRows,
    windows: &BTreeSet<i64>,
    revision: i64,
) -> Result<(Vec<Upload>, u64), JobError> {
    compute(runner, rows, windows, revision, Empty::IsLeftOut).await
}

/// What becomes of a window that the SQL gives nothing for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Empty {
    /// It has a revision before, which must not count any more.
    IsSaid,
    /// Nothing is left of what was there.
    IsLeftOut,
}

async fn compute(
    runner: &mut Runner,
    rows: &InputRows,
    windows: &BTreeSet<i64>,
    revision: i64,
    empty: Empty,
) -> Result<(Vec<Upload>, u64), JobError> {
    let context = working_context()?;
    let job = runner.job.clone();
    let mut writer = Writer::begin(runner, Series::Limited).await?;
    let schemas: Vec<_> = rows.iter().map(|rows| rows.schema()).collect();
    let planned = WholeWindows::plan(&job, &schemas, revision).await?;
    let mut nearby = Nearby::new(&context, &job, rows, windows, planned.columns());
    for start in windows {
        let partials = if let Some(near) = nearby.of(*start).await? {
            writer.write_all(planned.run(*start, near)?).await?
        } else {
            let frame = whole_window(&context, &job, rows, *start, revision).await?;
            writer.write(frame).await?
        };
        if partials == 0 && empty == Empty::IsSaid {
            writer.push(nothing(&job, *start, revision)?).await?;
        }
    }
    writer.finish().await
}

/// The starts of the windows within reach of rows.
async fn touched(
    context: &SessionContext,
    job: &Job,
    rows: Arc<dyn TableProvider>,
    range: Option<(i64, i64)>,
) -> Result<BTreeSet<i64>, JobError> {
    let mut with_rows = BTreeSet::new();
    let mut batches = windows_of(context, job, rows, range)?
        .execute_stream()
        .await?;
    while let Some(batch) = batches.try_next().await? {
        let starts = batch
            .column(0)
            .as_primitive_opt::<TimestampMicrosecondType>();
        with_rows.extend(starts.into_iter().flatten().flatten());
    }
    Ok(within_reach(
        job.window(),
        job.mode().reach_us(),
        &with_rows,
    ))
}

/// Every window that sees some row, given the windows that rows are in: one sees so far before and after itself.
fn within_reach(
    width: Width,
    (before_us, after_us): (i64, i64),
    with_rows: &BTreeSet<i64>,
) -> BTreeSet<i64> {
    let mut touched = BTreeSet::new();
    for start in with_rows {
        let mut window = width.start_of(start.saturating_sub(after_us));
        let last = start.saturating_add(width.micros() - 1 + before_us);
        while window <= last {
            touched.insert(window);
            window = window.saturating_add(width.micros());
        }
    }
    touched
}

/// A revision of a window in which there is nothing.
fn nothing(job: &Job, start_us: i64, revision: i64) -> Result<RecordBatch, JobError> {
    let schema = job.partials_schema();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            WINDOW_START => {
                Arc::new(TimestampMicrosecondArray::from(vec![start_us]).with_timezone("UTC"))
            }
            REVISION => Arc::new(Int64Array::from(vec![revision])),
            CONTRIBUTIONS => Arc::new(Int64Array::from(vec![0])),
            _ => new_null_array(field.data_type(), 1),
        }
    });
    Ok(RecordBatch::try_new(schema.clone(), columns.collect())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_US: i64 = 60_000_000;

    fn touched(reach_us: (i64, i64), starts: &[i64]) -> Vec<i64> {
        let width = Width::parse("1m").unwrap();
        let starts = starts.iter().map(|minute| minute * MINUTE_US).collect();
        let touched = within_reach(width, reach_us, &starts);
        assert!(touched.iter().all(|start| start % MINUTE_US == 0));
        touched.iter().map(|start| start / MINUTE_US).collect()
    }

    #[test]
    fn without_reach_only_the_window_itself_is_touched() {
        assert_eq!(touched((0, 0), &[5, 9]), [5, 9]);
        assert_eq!(touched((0, 0), &[-1]), [-1]);
    }

    #[test]
    fn reach_touches_the_windows_around() {
        assert_eq!(touched((MINUTE_US, MINUTE_US), &[5]), [4, 5, 6]);
        assert_eq!(
            touched((2 * MINUTE_US, 2 * MINUTE_US), &[5, 6]),
            [3, 4, 5, 6, 7, 8]
        );
        // A second before or after the minute is still in the next one.
        assert_eq!(touched((1_000_000, 1_000_000), &[0]), [-1, 0, 1]);
    }

    #[test]
    fn a_window_that_looks_back_is_touched_by_what_is_before_it() {
        assert_eq!(touched((2 * MINUTE_US, 0), &[5]), [5, 6, 7]);
        assert_eq!(touched((0, MINUTE_US), &[5]), [4, 5]);
    }
}
