//! Looking calls up: near in time first, everywhere last, and of every file only what its statistics do not rule out.
//!
//! ```text
//! new rows ──▶ the hour before each ──▶ not found ──▶ the days around, then all dates, newest first
//! new calls ──▶ only they are looked through, for what waits
//! ```
//!
//! What is looked for is a set of ids. A few are named to the reader, which then leaves out row groups by their
//! statistics and Bloom filters; many are a set that each id is looked up in. Other columns are only decoded for the rows
//! that are asked for.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{ColumnarValue, Expr, Volatility, create_udf, ident, lit};
use datafusion::prelude::SessionContext;
use farol_lake::{AddedFile, CALL_COLUMNS, PLACE, Table};
use futures::TryStreamExt as _;

use super::found::Found;
use super::subject::{Tier, ranges};
use super::waiting::Waiting;
use crate::aggregate::{conform, within};
use crate::error::JobError;
use crate::step::working_context;

/// So many ids are named to the reader.
const NAMED_IDS: usize = 32;
/// So many ranges of time are looked through apart.
const RANGES: usize = 8;

/// The columns by which calls are found.
const KEY_COLUMNS: [&str; 4] = ["trace_id", "span_id", "response_id", "parent_span_id"];

/// All calls, as they were at a version.
#[derive(Debug, Clone)]
pub(super) struct AllCalls {
    pub table: Table,
    pub version: i64,
}

impl AllCalls {
    /// Looks for calls within the hour before each row.
    pub async fn near(&self, waiting: &Waiting, found: &mut Found) -> Result<(), JobError> {
        self.around(waiting, found, Tier::Hour).await
    }

    /// Looks for calls at any time.
    pub async fn everywhere(&self, waiting: &Waiting, found: &mut Found) -> Result<(), JobError> {
        self.around(waiting, found, Tier::Days).await?;
        for files in newest_first(self.table.live_files(self.version).await?) {
            if waiting.len() == found.len() {
                break;
            }
            self.among(files, None, waiting, found, Tier::Any).await?;
        }
        Ok(())
    }

    async fn around(
        &self,
        waiting: &Waiting,
        found: &mut Found,
        tier: Tier,
    ) -> Result<(), JobError> {
        let times = waiting.times_us(|place| found.has(place))?;
        for range in ranges(times.into_iter(), tier, RANGES) {
            let dated = ("event_time", true);
            let files = self
                .table
                .files_within(self.version, dated, &[range])
                .await?;
            self.among(files, Some(range), waiting, found, tier).await?;
        }
        Ok(())
    }

    /// Looks for calls among the rows of some files.
    pub async fn among(
        &self,
        files: Vec<AddedFile>,
        range: Option<(i64, i64)>,
        waiting: &Waiting,
        found: &mut Found,
        most: Tier,
    ) -> Result<(), JobError> {
        if files.is_empty() {
            return Ok(());
        }
        let ids = waiting.ids(|place| found.has(place))?;
        let names = columns();
        let schema = schema_of(&self.table, &names)?;
        for (column, ids) in [("trace_id", ids.traces), ("response_id", ids.responses)] {
            if ids.is_empty() {
                continue;
            }
            let sought = Sought {
                column,
                ids,
                time: range.map(|range| ("event_time", range)),
            };
            let mut rows = sought.rows(&self.table, files.clone(), &names).await?;
            while let Some(batch) = rows.try_next().await? {
                found.take(waiting, &conform(&batch, &schema)?, most)?;
            }
        }
        Ok(())
    }
}

/// The columns of a call that are read.
fn columns() -> Vec<&'static str> {
    let of_row = CALL_COLUMNS.iter().map(|(_, column)| *column);
    let all: BTreeSet<_> = KEY_COLUMNS.into_iter().chain(of_row).chain(PLACE).collect();
    all.into_iter().collect()
}

/// Some columns of a table, with Farol's own types.
pub(super) fn schema_of(table: &Table, names: &[&str]) -> Result<SchemaRef, JobError> {
    let spec = farol_lake::TableSpec::known(table.name());
    let schema = spec.map_or_else(|| table.schema().clone(), |spec| spec.schema);
    let fields = names
        .iter()
        .map(|name| Ok(schema.field_with_name(name)?.clone()))
        .collect::<Result<Vec<Field>, arrow::error::ArrowError>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// Files by date, the newest first: one date, then two, then four, and so on, so that little is opened for what is near
/// and many dates are gone through in few steps.
fn newest_first(files: Vec<AddedFile>) -> Vec<Vec<AddedFile>> {
    let mut dates = BTreeMap::<Option<String>, Vec<AddedFile>>::new();
    for file in files {
        dates.entry(file.partition.clone()).or_default().push(file);
    }
    // Files without a date may hold any, so they come first.
    let undated = dates.remove(&None);
    let mut groups: Vec<_> = undated.into_iter().collect();
    let mut rest = dates.into_values().rev();
    let mut most = 1;
    loop {
        let group: Vec<_> = rest.by_ref().take(most).flatten().collect();
        if group.is_empty() {
            return groups;
        }
        groups.push(group);
        most *= 2;
    }
}

/// Rows that are looked for by an id, within a range of times where one is given.
pub(super) struct Sought {
    pub column: &'static str,
    pub ids: HashSet<String>,
    pub time: Option<(&'static str, (i64, i64))>,
}

impl Sought {
    /// The rows of some files, some of their columns.
    pub async fn rows(
        self,
        table: &Table,
        files: Vec<AddedFile>,
        columns: &[&str],
    ) -> Result<datafusion::execution::SendableRecordBatchStream, JobError> {
        let rows = table.added_rows(files)?;
        let mut frame = context()?.read_table(rows)?;
        if let Some((column, range)) = self.time {
            frame = frame.filter(within(ident(column), range))?;
        }
        let frame = frame
            .filter(one_of(self.column, self.ids))?
            .select(columns.iter().map(|name| ident(*name)).collect::<Vec<_>>())?;
        Ok(frame.execute_stream().await?)
    }
}

/// A session whose filters are applied while files are decoded.
pub(super) fn context() -> Result<SessionContext, DataFusionError> {
    let context = working_context()?;
    let mut config = context.copied_config();
    config.options_mut().execution.parquet.pushdown_filters = true;
    let state = SessionStateBuilder::new_from_existing(context.state())
        .with_config(config)
        .build();
    Ok(SessionContext::new_with_state(state))
}

/// Whether a column's text is one of some ids.
fn one_of(column: &str, ids: HashSet<String>) -> Expr {
    if ids.len() <= NAMED_IDS {
        return ident(column).in_list(ids.into_iter().map(lit).collect(), false);
    }
    let is_sought = move |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let texts = arrays
            .first()
            .and_then(|array| array.as_string_opt::<i32>());
        let texts = texts.ok_or_else(|| DataFusionError::Internal("an id is a text".to_owned()))?;
        let sought = texts
            .iter()
            .map(|text| text.is_some_and(|text| ids.contains(text)));
        let sought: BooleanArray = sought.map(Some).collect();
        Ok(ColumnarValue::Array(Arc::new(sought)))
    };
    create_udf(
        "is_sought",
        vec![DataType::Utf8],
        DataType::Boolean,
        Volatility::Immutable,
        Arc::new(is_sought),
    )
    .call(vec![ident(column)])
}

/// All rows of some files, with Farol's own types.
pub(super) async fn all_rows(
    table: &Table,
    files: Vec<AddedFile>,
) -> Result<Vec<RecordBatch>, JobError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let rows = table.added_rows(files)?;
    let schema = rows.schema();
    let mut stream = context()?.read_table(rows)?.execute_stream().await?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await? {
        batches.push(conform(&batch, &schema)?);
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_gone_through_from_the_newest_in_growing_steps() {
        let file = |date: Option<&str>| AddedFile {
            path: String::new(),
            bytes: 0,
            partition: date.map(str::to_owned),
        };
        let dates = [
            "2026-01-01",
            "2026-01-04",
            "2026-01-02",
            "2026-01-03",
            "2026-01-04",
        ];
        let files = dates
            .iter()
            .map(|date| file(Some(date)))
            .chain([file(None)]);
        let found = newest_first(files.collect());
        let groups: Vec<Vec<_>> = found
            .iter()
            .map(|group| group.iter().map(|file| file.partition.as_deref()).collect())
            .collect();
        assert_eq!(
            groups,
            [
                vec![None],
                vec![Some("2026-01-04"), Some("2026-01-04")],
                vec![Some("2026-01-03"), Some("2026-01-02")],
                vec![Some("2026-01-01")]
            ]
        );
        assert!(newest_first(Vec::new()).is_empty());
    }
}
