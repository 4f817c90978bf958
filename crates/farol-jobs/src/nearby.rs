//! Rows near windows, read once for many of them.
//!
//! ```text
//! windows to compute ──▶ runs of neighbours ──▶ rows near a run, read once, in the order of time ──▶ a slice for each window
//! ```
//!
//! Neighbouring windows see mostly the same rows, and to open a table's files takes longer than to look at the rows of a
//! window. So the rows near a run of windows are read together: of each input the columns that the job's SQL reads, within
//! a bound of memory. What a window sees is the slice of its own reach and nothing else, as if it had been read alone. A
//! window whose own rows are more than the bound must read them from the table.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::common::DataFusionError;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt as _;

use crate::aggregate::{EVENT_TIME, InputRows, rows_near};
use crate::definition::Job;
use crate::error::JobError;

/// Rows that are held at once, in bytes, before they are sorted.
const HELD_BYTES: usize = 64 << 20;

/// Windows of a run at the most.
const RUN_WINDOWS: i64 = 64;

/// Where rows near windows come from.
pub(crate) struct Nearby<'a> {
    context: &'a SessionContext,
    job: &'a Job,
    rows: &'a InputRows,
    windows: &'a BTreeSet<i64>,
    /// Of each input the columns that the job reads.
    columns: Vec<Vec<String>>,
    held: Option<Held>,
    /// Windows that a run is tried with: those that fit before, and more where there was room.
    at_once: i64,
}

/// The rows near a run of windows.
struct Held {
    /// The first window, and the last.
    run: (i64, i64),
    inputs: Vec<RecordBatch>,
}

impl<'a> Nearby<'a> {
    /// Rows for these windows, with these columns of each input.
    pub fn new(
        context: &'a SessionContext,
        job: &'a Job,
        rows: &'a InputRows,
        windows: &'a BTreeSet<i64>,
        columns: impl IntoIterator<Item = BTreeSet<String>>,
    ) -> Self {
        let columns = columns.into_iter().map(|mut columns| {
            columns.insert(EVENT_TIME.to_owned());
            columns.into_iter().collect()
        });
        Self {
            context,
            job,
            rows,
            windows,
            columns: columns.collect(),
            held: None,
            at_once: RUN_WINDOWS,
        }
    }

    /// The rows of each input that a window's SQL may look at; `None` where they are too many to be held.
    ///
    /// # Errors
    /// Where the inputs cannot be read.
    pub async fn of(&mut self, start_us: i64) -> Result<Option<Vec<RecordBatch>>, JobError> {
        let is_held = |held: &Held| (held.run.0..=held.run.1).contains(&start_us);
        if !self.held.as_ref().is_some_and(is_held) {
            self.held = self.read(start_us).await?;
        }
        let Some(held) = &self.held else {
            return Ok(None);
        };
        let (before_us, after_us) = self.job.mode().reach_us();
        let end_us = start_us.saturating_add(self.job.window().micros());
        let range = (
            start_us.saturating_sub(before_us),
            end_us.saturating_add(after_us),
        );
        let slices = held.inputs.iter().map(|rows| slice(rows, range));
        Ok(Some(slices.collect::<Result<_, DataFusionError>>()?))
    }

    /// Reads the rows near a run of windows that begins with this one; `None` where even its own are too many.
    async fn read(&mut self, start_us: i64) -> Result<Option<Held>, JobError> {
        loop {
            let (width_us, reach) = (self.job.window().micros(), self.job.mode().reach_us());
            let last = last_of_run(width_us, reach, self.windows, start_us, self.at_once);
            let range = (start_us, last.saturating_add(width_us));
            let read = self.read_range(range).await?;
            let bytes = read.as_ref().map(|(_, bytes)| *bytes);
            let tried = self.at_once;
            self.at_once = next_run(tried, bytes);
            match read {
                Some((inputs, _)) => {
                    let run = (start_us, last);
                    return Ok(Some(Held { run, inputs }));
                }
                None if tried == 1 => return Ok(None),
                None => {}
            }
        }
    }

    /// The rows near a range, in the order of their time, and their bytes; `None` where they are too many.
    async fn read_range(
        &self,
        range: (i64, i64),
    ) -> Result<Option<(Vec<RecordBatch>, usize)>, JobError> {
        let (mut inputs, mut bytes) = (Vec::new(), 0);
        for (rows, columns) in self.rows.iter().zip(&self.columns) {
            let columns: Vec<_> = columns.iter().map(String::as_str).collect();
            let near = rows_near(self.context, self.job, rows.clone(), range)?;
            let mut stream = near.select_columns(&columns)?.execute_stream().await?;
            let (schema, mut batches) = (stream.schema(), Vec::new());
            while let Some(batch) = stream.try_next().await? {
                bytes += batch.get_array_memory_size();
                if bytes > HELD_BYTES {
                    return Ok(None);
                }
                batches.push(batch);
            }
            inputs.push(in_order(&concat_batches(&schema, &batches)?)?);
        }
        Ok(Some((inputs, bytes)))
    }
}

/// Windows to try next, after so many whose rows had so many bytes, or too many: neighbours are mostly alike, so what did
/// not fit is not read in vain again.
fn next_run(tried: i64, bytes: Option<usize>) -> i64 {
    match bytes {
        None => (tried / 4).max(1),
        Some(bytes) if bytes < HELD_BYTES / 8 => (tried * 4).min(RUN_WINDOWS),
        Some(_) => tried,
    }
}

/// The last window of a run: neighbours that see rows in common, and not too many.
fn last_of_run(
    width_us: i64,
    (before_us, after_us): (i64, i64),
    windows: &BTreeSet<i64>,
    start_us: i64,
    most: i64,
) -> i64 {
    let near_us = before_us.saturating_add(after_us).saturating_add(width_us);
    let end_us = start_us.saturating_add(width_us.saturating_mul(most));
    let mut last = start_us;
    for window in windows.range(start_us..end_us) {
        if window - last > near_us {
            break;
        }
        last = *window;
    }
    last
}

fn in_order(rows: &RecordBatch) -> Result<RecordBatch, DataFusionError> {
    let Some(times) = rows.column_by_name(EVENT_TIME) else {
        return Err(DataFusionError::Internal("rows without a time".to_owned()));
    };
    let order = sort_to_indices(times, None, None)?;
    Ok(take_record_batch(rows, &order)?)
}

/// The rows whose time is in a range (its end not included), of rows in the order of their time.
fn slice(rows: &RecordBatch, (from_us, to_us): (i64, i64)) -> Result<RecordBatch, DataFusionError> {
    let times = rows
        .column_by_name(EVENT_TIME)
        .and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>())
        .ok_or_else(|| DataFusionError::Internal("rows without a time".to_owned()))?
        .values();
    let first = times.partition_point(|time| *time < from_us);
    let end = times.partition_point(|time| *time < to_us).max(first);
    Ok(rows.slice(first, end - first))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn a_run_ends_where_windows_see_nothing_in_common_or_are_many() {
        let windows = BTreeSet::from([0, 10, 20, 60, 100, 110]);
        let last = |start, most| last_of_run(10, (15, 5), &windows, start, most);
        assert_eq!(last(0, 64), 20);
        assert_eq!(last(0, 2), 10);
        assert_eq!(last(20, 64), 20);
        assert_eq!(last(60, 64), 60);
        assert_eq!(last(100, 64), 110);
        assert_eq!(last(100, 1), 100);
    }

    #[test]
    fn runs_are_as_long_as_what_fits() {
        assert_eq!(next_run(64, None), 16);
        assert_eq!(next_run(1, None), 1);
        assert_eq!(next_run(4, Some(HELD_BYTES / 2)), 4);
        assert_eq!(next_run(4, Some(HELD_BYTES / 10)), 16);
        assert_eq!(next_run(64, Some(0)), RUN_WINDOWS);
    }

    fn rows() -> RecordBatch {
        let times = [7_i64, 3, 5, 9, 5];
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(times));
        let times = TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC");
        let columns = [
            (EVENT_TIME, Arc::new(times) as ArrayRef),
            ("number", numbers),
        ];
        in_order(&RecordBatch::try_from_iter(columns).unwrap()).unwrap()
    }

    fn numbers(rows: &RecordBatch) -> Vec<i64> {
        let column = rows.column_by_name("number").unwrap();
        column.as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn a_window_sees_the_rows_of_its_reach_and_no_other() {
        for (range, expected) in [
            ((0, 10), vec![3, 5, 5, 7, 9]),
            ((5, 7), vec![5, 5]),
            ((5, 8), vec![5, 5, 7]),
            ((10, 20), vec![]),
            ((6, 4), vec![]),
        ] {
            let seen = slice(&rows(), range).unwrap();
            assert_eq!(numbers(&seen), expected, "{range:?}");
        }
    }
}
