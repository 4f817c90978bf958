//! What a flush writes: rows as one file per day of their event time, dead letters as batches of bounded size.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use farol_lake::{Table, Upload};

use super::Rows;
use crate::clock::day_of;
use crate::dead_letter::{self, DeadLetter};
use crate::error::IngestError;
use crate::marks::PartitionKey;

/// Dead letters as batches, each small enough for 32-bit offsets.
pub(super) fn letter_batches(
    letters: &[(&PartitionKey, &DeadLetter)],
    now: i64,
) -> Result<Vec<RecordBatch>, IngestError> {
    const MAX_BYTES: usize = 256 << 20;
    let mut batches = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    for (index, (_, letter)) in letters.iter().enumerate() {
        if bytes > 0 && bytes + letter.bytes() > MAX_BYTES {
            batches.push(dead_letter::to_batch(
                letters[begin..index].iter().copied(),
                now,
            )?);
            (begin, bytes) = (index, 0);
        }
        bytes += letter.bytes();
    }
    batches.push(dead_letter::to_batch(
        letters[begin..].iter().copied(),
        now,
    )?);
    Ok(batches)
}

/// Writes rows to one file per day.
pub(crate) async fn upload_rows(table: &Table, rows: &[Rows]) -> Result<Vec<Upload>, IngestError> {
    let mut uploads = Vec::new();
    for (day, batches) in by_day(rows)? {
        uploads.push(table.upload(Some(day), batches).await?);
    }
    Ok(uploads)
}

/// Sorts rows by the day of their event time; most batches lie within one day and are not touched.
fn by_day(rows: &[Rows]) -> Result<BTreeMap<i32, Vec<RecordBatch>>, IngestError> {
    let mut days = BTreeMap::<i32, Vec<RecordBatch>>::new();
    for rows in rows.iter().filter(|rows| rows.batch.num_rows() > 0) {
        if rows.min_day == rows.max_day {
            days.entry(rows.min_day)
                .or_default()
                .push(rows.batch.clone());
            continue;
        }
        let of_row = days_of(&rows.batch)?;
        let distinct: std::collections::BTreeSet<_> = of_row.iter().copied().collect();
        for day in distinct {
            let keep: BooleanArray = of_row.iter().map(|of| Some(*of == day)).collect();
            days.entry(day)
                .or_default()
                .push(filter_record_batch(&rows.batch, &keep)?);
        }
    }
    Ok(days)
}

fn days_of(batch: &RecordBatch) -> Result<Vec<i32>, IngestError> {
    let column = batch
        .column_by_name("event_time")
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>())
        .filter(|column| column.null_count() == 0)
        .ok_or_else(|| {
            arrow::error::ArrowError::SchemaError(
                "rows without an event_time in microseconds".into(),
            )
        })?;
    Ok(column
        .values()
        .iter()
        .map(|time_us| day_of(*time_us))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, TimestampMicrosecondArray};

    use super::*;

    const DAY_US: i64 = 86_400_000_000;

    fn rows(times: &[i64]) -> Rows {
        let column = TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC");
        let batch =
            RecordBatch::try_from_iter([("event_time", Arc::new(column) as ArrayRef)]).unwrap();
        let days = || times.iter().map(|time| day_of(*time));
        let (min_day, max_day) = (days().min().unwrap(), days().max().unwrap());
        Rows {
            epoch: 1,
            batch,
            min_day,
            max_day,
        }
    }

    #[test]
    fn rows_are_filed_under_the_day_of_their_event_time() {
        let days = by_day(&[rows(&[1, 2]), rows(&[3, DAY_US, 5, 3 * DAY_US])]).unwrap();
        let counts: Vec<_> = days
            .iter()
            .map(|(day, batches)| {
                (
                    *day,
                    batches.iter().map(RecordBatch::num_rows).sum::<usize>(),
                )
            })
            .collect();
        assert_eq!(counts, [(0, 4), (1, 1), (3, 1)]);
    }
}
