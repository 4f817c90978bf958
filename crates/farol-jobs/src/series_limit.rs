//! How many series a job keeps apart: what is beyond is kept under the segment `other`, and counted.
//!
//! A series is known when the table of partials has it in a recent window, so that a restart goes on with the same.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::DataType;
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::datasource::TableProvider;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::{ident, lit};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt as _;

use crate::definition::{CONTRIBUTIONS, Job, WINDOW_START};
use crate::error::JobError;

/// The value of every segment of what was not kept apart.
pub const OTHER: &str = "other";

/// Series without a partial for so long, before the newest window, are forgotten.
const KNOWN_DAYS: i64 = 7;

/// How often series are forgotten.
const FORGET_AFTER: Duration = Duration::from_hours(6);

/// The series of one job.
#[derive(Debug)]
pub(crate) struct SeriesLimit {
    converter: RowConverter,
    known: HashSet<OwnedRow>,
    most: usize,
    segments: usize,
    loaded_at: Instant,
}

impl SeriesLimit {
    /// The series that a table of partials has in its recent windows.
    pub async fn load(job: &Job, partials: Arc<dyn TableProvider>) -> Result<Self, JobError> {
        let fields = vec![SortField::new(DataType::Utf8); job.segments().len()];
        let mut limit = Self {
            converter: RowConverter::new(fields)?,
            known: HashSet::new(),
            most: job.max_series(),
            segments: job.segments().len(),
            loaded_at: Instant::now(),
        };
        if limit.segments == 0 {
            return Ok(limit);
        }
        let context = SessionContext::new();
        let mut frame = context.read_table(partials)?;
        if job.mode().is_recompute() {
            frame = frame.filter(ident(CONTRIBUTIONS).gt(lit(0_i64)))?;
        }
        let newest = frame
            .clone()
            .aggregate(vec![], vec![max(ident(WINDOW_START))])?;
        let newest = newest.into_unoptimized_plan();
        let newest = datafusion::logical_expr::scalar_subquery(Arc::new(newest));
        let recent = ident(WINDOW_START).gt_eq(
            newest
                - lit(datafusion::common::ScalarValue::new_interval_dt(
                    KNOWN_DAYS as i32,
                    0,
                )),
        );
        let names: Vec<_> = job.segments().iter().map(ident).collect();
        let series = frame.filter(recent)?.select(names)?.distinct()?;
        let mut batches = series.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            let columns = Self::text(batch.columns())?;
            let rows = limit.converter.convert_columns(&columns)?;
            limit.known.extend(rows.iter().map(|row| row.owned()));
        }
        Ok(limit)
    }

    /// Whether series should be looked up anew.
    pub fn is_stale(&self) -> bool {
        self.loaded_at.elapsed() > FORGET_AFTER
    }

    /// A batch of partials in which series beyond the limit are `other`; how many rows those are.
    pub fn apply(&mut self, batch: &RecordBatch) -> Result<(RecordBatch, u64), JobError> {
        if self.segments == 0 {
            return Ok((batch.clone(), 0));
        }
        let columns = Self::text(&batch.columns()[1..=self.segments])?;
        let rows = self.converter.convert_columns(&columns)?;
        let mut beyond = Vec::with_capacity(batch.num_rows());
        for row in &rows {
            let row = row.owned();
            let known = self.known.contains(&row);
            let fits = known || self.known.len() < self.most;
            if fits && !known {
                self.known.insert(row);
            }
            beyond.push(!fits);
        }
        let count = beyond.iter().filter(|beyond| **beyond).count() as u64;
        if count == 0 {
            return Ok((batch.clone(), 0));
        }
        let beyond = BooleanArray::from(beyond);
        let other = StringArray::new_scalar(OTHER);
        let mut columns = batch.columns().to_vec();
        for column in &mut columns[1..=self.segments] {
            *column = zip(&beyond, &other, column)?;
        }
        Ok((RecordBatch::try_new(batch.schema(), columns)?, count))
    }

    fn text(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>, JobError> {
        let cast = |column: &ArrayRef| arrow::compute::cast(column, &DataType::Utf8);
        Ok(columns.iter().map(cast).collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, TimestampMicrosecondArray};
    use arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::definition::time_type;

    fn batch(services: &[Option<&str>]) -> RecordBatch {
        let fields = vec![
            Field::new(WINDOW_START, time_type(), true),
            Field::new("service", DataType::Utf8, true),
            Field::new("requests", DataType::Int64, true),
        ];
        let count = services.len();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampMicrosecondArray::from(vec![0; count]).with_timezone("UTC")),
            Arc::new(StringArray::from(services.to_vec())),
            Arc::new(Int64Array::from(vec![1; count])),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    #[test]
    fn what_is_beyond_the_limit_is_other_and_counted() {
        let mut limit = SeriesLimit {
            converter: RowConverter::new(vec![SortField::new(DataType::Utf8)]).unwrap(),
            known: HashSet::new(),
            most: 2,
            segments: 1,
            loaded_at: Instant::now(),
        };
        let services = |batch: &RecordBatch| -> Vec<Option<String>> {
            let column = batch.column(1).as_string::<i32>();
            column.iter().map(|text| text.map(str::to_owned)).collect()
        };
        let told = |texts: &[Option<&str>]| -> Vec<Option<String>> {
            texts.iter().map(|text| text.map(str::to_owned)).collect()
        };
        let (first, beyond) = limit.apply(&batch(&[Some("a"), None, Some("a")])).unwrap();
        assert_eq!(
            (services(&first), beyond),
            (told(&[Some("a"), None, Some("a")]), 0)
        );
        let (second, beyond) = limit.apply(&batch(&[Some("b"), None, Some("c")])).unwrap();
        assert_eq!(
            (services(&second), beyond),
            (told(&[Some("other"), None, Some("other")]), 2)
        );
    }
}
