//! A job whose partials were made with another definition: what was changed, and what computing them anew would do.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::datasource::TableProvider;
use datafusion::functions_aggregate::expr_fn::{max, min};
use datafusion::logical_expr::{cast, ident};
use farol_events::time_text::format_rfc3339;
use farol_lake::{Lake, Table};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::aggregate::InputRows;
use crate::definition::{Job, WINDOW_START, time_type};
use crate::error::JobError;
use crate::inputs::Inputs;
use crate::partials_table::{has_seen_rows, standing};
use crate::progress::progress;
use crate::step::working_context;

/// A range of windows: from the start of the first to the end of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// The start of the first, in microseconds.
    pub from_us: i64,
    /// The end of the last, in microseconds.
    pub to_us: i64,
}

impl std::fmt::Display for Windows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (from, to) = (format_rfc3339(self.from_us), format_rfc3339(self.to_us));
        write!(f, "{from} to {to}")
    }
}

impl Serialize for Windows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut windows = serializer.serialize_struct("Windows", 2)?;
        windows.serialize_field("from", &format_rfc3339(self.from_us))?;
        windows.serialize_field("to", &format_rfc3339(self.to_us))?;
        windows.end()
    }
}

/// A job whose partials were made with another definition, and what computing them anew is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// What was changed.
    pub differences: Vec<String>,
    /// The windows that the input has rows for: they are computed anew. `None` where it has none.
    pub recomputed: Option<Windows>,
    /// Windows that there are partials of, from before the input's oldest row: what is known of them would be lost.
    pub lost: Option<Windows>,
}

impl Changed {
    /// What computing them anew does, a line each.
    pub fn told(&self, job: &Job) -> Vec<String> {
        let reads = job.inputs().collect::<Vec<_>>().join(", ");
        let mut lines = vec![match self.recomputed {
            Some(windows) => format!("computed anew from {reads}: windows {windows}"),
            None => format!("{reads} has no rows, so nothing can be computed anew"),
        }];
        lines.extend(self.lost.map(|windows| {
            format!("LOST: windows {windows}, of which {reads} has no rows any more")
        }));
        lines
    }
}

/// Whether a job was changed since its partials were made, and what that means; `None` where it was not.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn changed(
    lake: &Lake,
    job: &Job,
    partials: &Table,
) -> Result<Option<Changed>, JobError> {
    let differences = standing(partials, job).differences;
    if differences.is_empty() {
        return Ok(None);
    }
    let progress = progress(partials, job).await?;
    if !has_seen_rows(lake, job, &progress).await? {
        return Ok(None);
    }
    let mut inputs = Inputs::of(job);
    inputs.open(lake).await?;
    let (versions, _) = inputs.newest().await?;
    let rows = span_of_all(inputs.rows_at(&versions).await?).await?;
    let recomputed = rows.map(|rows| windows_near(job, rows));
    let kept = partials.rows_at(partials.refresh().await?).await?;
    let lost = span(kept, WINDOW_START)
        .await?
        .and_then(|(oldest, newest)| {
            let end = newest.saturating_add(job.window().micros());
            let to_us = recomputed.map_or(end, |windows| windows.from_us.min(end));
            (oldest < to_us).then_some(Windows {
                from_us: oldest,
                to_us,
            })
        });
    Ok(Some(Changed {
        differences,
        recomputed,
        lost,
    }))
}

/// The windows within reach of rows of a range.
pub(crate) fn windows_near(job: &Job, (oldest, newest): (i64, i64)) -> Windows {
    let (before_us, after_us) = job.mode().reach_us();
    let window = job.window();
    Windows {
        from_us: window.start_of(oldest.saturating_sub(after_us)),
        to_us: window.start_of(newest.saturating_add(before_us)) + window.micros(),
    }
}

/// The smallest and the largest time of a column; `None` where there is none.
async fn span(rows: Arc<dyn TableProvider>, column: &str) -> Result<Option<(i64, i64)>, JobError> {
    let time = || cast(ident(column), time_type());
    let batches = working_context()?
        .read_table(rows)?
        .aggregate(vec![], vec![min(time()), max(time())])?
        .collect()
        .await?;
    let Some(batch) = batches.first() else {
        return Ok(None);
    };
    let time_us = |place: usize| match ScalarValue::try_from_array(batch.column(place), 0) {
        Ok(ScalarValue::TimestampMicrosecond(time_us, _)) => Ok(time_us),
        Ok(other) => Err(JobError::Range(format!("`{column}` is {other}, no time"))),
        Err(error) => Err(error.into()),
    };
    Ok(time_us(0)?.zip(time_us(1)?))
}

/// The times of the oldest and the newest row of all inputs.
pub(crate) async fn span_of_all(inputs: InputRows) -> Result<Option<(i64, i64)>, JobError> {
    let mut all: Option<(i64, i64)> = None;
    for rows in inputs {
        if let Some((oldest, newest)) = span(rows, "event_time").await? {
            let known = all.unwrap_or((oldest, newest));
            all = Some((known.0.min(oldest), known.1.max(newest)));
        }
    }
    Ok(all)
}
