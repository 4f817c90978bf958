//! Rows that say again what is joined already: a producer that sent an event once more, long after the first time.
//!
//! Ingest drops repetitions within its horizon. What comes later is told here, where it would count: by the event, what it
//! is, and the trace. The first is looked for where it would be, about the same call; so the look-up is of an hour or two
//! of the joined table.

use std::collections::HashSet;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use farol_lake::{Joined, Table};
use futures::TryStreamExt as _;

use super::columns::{Origins, times};
use super::rows::{Said, told};
use super::search::{Sought, schema_of};
use super::subject::{Tier, ranges};
use crate::aggregate::conform;
use crate::error::JobError;

/// So many ranges of time are looked through apart.
const RANGES: usize = 8;

/// The joined table as a step found it.
pub(super) struct Before<'a> {
    pub joined: Joined,
    pub table: &'a Table,
    pub version: i64,
}

impl Before<'_> {
    /// Leaves out the joined rows that say again what is joined, or what another of them says: of those the first by
    /// time and place counts.
    pub async fn first_only(&self, rows: &RecordBatch) -> Result<RecordBatch, JobError> {
        let told = told(self.joined, rows)?;
        let mut known = self.known(rows, &told).await?;
        let mut kept = Vec::new();
        for row in self.in_order(rows)? {
            let counts = match &told[row] {
                Some(said) => known.insert(said.clone()),
                None => true,
            };
            if counts {
                kept.push(u32::try_from(row).unwrap_or(u32::MAX));
            }
        }
        Ok(take_record_batch(rows, &UInt32Array::from(kept))?)
    }

    /// Rows by when they were given, and where they were read from.
    fn in_order(&self, rows: &RecordBatch) -> Result<Vec<usize>, JobError> {
        let (times, origins) = (times(rows, self.joined.own_time())?, Origins::of(rows)?);
        let mut order: Vec<usize> = (0..rows.num_rows()).collect();
        order.sort_by_cached_key(|row| (times.value(*row), origins.get(*row)));
        Ok(order)
    }

    /// What is joined already of what rows say.
    async fn known(
        &self,
        rows: &RecordBatch,
        told_now: &[Option<Said>],
    ) -> Result<HashSet<Said>, JobError> {
        let events = told_now.iter().flatten();
        let events: HashSet<String> = events.map(|(event_id, ..)| event_id.clone()).collect();
        let mut known = HashSet::new();
        if events.is_empty() {
            return Ok(known);
        }
        let columns = ["event_id", self.joined.what(), "trace_id", "response_id"];
        let schema = schema_of(self.table, &columns)?;
        let call_times = times(rows, "event_time")?.values().iter().copied();
        for range in ranges(call_times, Tier::Hour, RANGES) {
            let dated = ("event_time", true);
            let files = self
                .table
                .files_within(self.version, dated, &[range])
                .await?;
            if files.is_empty() {
                continue;
            }
            let sought = Sought {
                column: "event_id",
                ids: events.clone(),
                time: Some(("event_time", range)),
            };
            let mut found = sought.rows(self.table, files, &columns).await?;
            while let Some(batch) = found.try_next().await? {
                let told = told(self.joined, &conform(&batch, &schema)?)?;
                known.extend(told.into_iter().flatten());
            }
        }
        Ok(known)
    }
}
