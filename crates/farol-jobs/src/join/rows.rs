//! Joined rows: what was said, and the segment of the call that it is about.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{is_not_null, take_record_batch};
use arrow::datatypes::Schema;
use farol_lake::{CALL_COLUMNS, Joined};

use super::columns::{column, said, texts, times};
use super::found::Matched;
use super::subject::DAY_US;
use crate::error::JobError;

/// Puts rows and their calls together.
pub(super) fn joined_rows(joined: Joined, matched: &Matched) -> Result<RecordBatch, JobError> {
    let spec = joined.spec();
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for field in spec.schema.fields() {
        if !spec.partition_columns.contains(field.name()) {
            columns.push(column_of(joined, matched, field.name())?);
            fields.push(Arc::clone(field));
        }
    }
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}

/// Joined rows by the date of their call, in days since the epoch.
pub(super) fn by_date(rows: &RecordBatch) -> Result<BTreeMap<i32, RecordBatch>, JobError> {
    let mut days = BTreeMap::<i32, Vec<u32>>::new();
    for (row, time_us) in times(rows, "event_time")?.values().iter().enumerate() {
        let day = i32::try_from(time_us.div_euclid(DAY_US)).unwrap_or(i32::MAX);
        days.entry(day)
            .or_default()
            .push(u32::try_from(row).unwrap_or(u32::MAX));
    }
    let of_day = |(day, kept): (i32, Vec<u32>)| {
        Ok((day, take_record_batch(rows, &UInt32Array::from(kept))?))
    };
    days.into_iter().map(of_day).collect()
}

fn column_of(joined: Joined, matched: &Matched, name: &str) -> Result<ArrayRef, JobError> {
    let own = |name: &str| column(&matched.own, name).cloned();
    let of_call = |name: &str| column(&matched.calls, name).cloned();
    if name == "event_time" {
        return Ok(of_call(name)?);
    }
    if name == joined.own_time() {
        return Ok(own("event_time")?);
    }
    if name == "trace_id" {
        // Who names an answer alone does not know its trace.
        let (own, call) = (own(name)?, of_call(name)?);
        return Ok(zip(&is_not_null(&call)?, &call, &own)?);
    }
    match CALL_COLUMNS.iter().find(|(of_row, _)| *of_row == name) {
        Some((_, of_trace)) => Ok(of_call(of_trace)?),
        None => Ok(own(name)?),
    }
}

/// What tells whether a row says again what another said: the event, what it is, and the trace, or without one the answer.
pub(super) type Said = (String, String, String);

/// What each row of a joined table says; `None` of an event without an id.
pub(super) fn told(joined: Joined, rows: &RecordBatch) -> Result<Vec<Option<Said>>, JobError> {
    let event = texts(rows, "event_id")?;
    let what = texts(rows, joined.what())?;
    let (trace, response) = (texts(rows, "trace_id")?, texts(rows, "response_id")?);
    let told = |row: usize| {
        let about = said(trace, row).or_else(|| said(response, row));
        let texts = [said(what, row), about].map(|text| text.unwrap_or_default().to_owned());
        let [what, about] = texts;
        Some((said(event, row)?.to_owned(), what, about))
    };
    Ok((0..rows.num_rows()).map(told).collect())
}
