//! What jobs have come to: their tables of partials, and which rows of them are new to a rule.

use std::collections::BTreeMap;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::functions_aggregate::expr_fn::min;
use datafusion::prelude::{SessionContext, col};
use farol_jobs::{Job, Progress};
use farol_lake::{AddedFile, AdditionLimits, Lake, LakeError, Table};
use futures::TryStreamExt as _;

use crate::book::Book;
use crate::error::TriggerError;
use farol_jobs::time::floor;

/// What one look at new partials may take; more is read as a whole.
pub(crate) const LIMITS: AdditionLimits = AdditionLimits {
    versions: 1_000,
    bytes: 256 << 20,
};

/// Before every row that there can be.
const ALL: i64 = i64::MIN / 4;

/// The jobs' tables of partials. The handles are kept: each has read its log, and reads on from there.
#[derive(Default)]
pub(crate) struct Partials(BTreeMap<String, Table>);

impl Partials {
    /// A job's table; `None` before its first step.
    pub async fn of(&mut self, lake: &Lake, job: &Job) -> Result<Option<Table>, LakeError> {
        if let Some(table) = self.0.get(job.name()) {
            return Ok(Some(table.clone()));
        }
        let found = lake.existing(&job.table_name()).await?;
        if let Some(table) = &found {
            self.0.insert(job.name().to_owned(), table.clone());
        }
        Ok(found)
    }
}

/// What a job has come to, as a step found it.
pub(crate) struct Look {
    pub table_name: String,
    pub partials: Table,
    pub version: i64,
    pub progress: Progress,
}

impl Look {
    /// Looks at the newest version.
    pub async fn at(partials: Table, job: &Job) -> Result<Self, LakeError> {
        let (version, marks) = partials.version_and_marks(&job.app_id()).await?;
        Ok(Self {
            table_name: job.table_name(),
            partials,
            version,
            progress: Progress::of(job, &marks),
        })
    }
}

/// From which window on rows changed since a version, as one step has looked it up: rules of one job share it.
#[derive(Default)]
pub(crate) struct Changes(BTreeMap<(String, i64), Option<i64>>);

impl Changes {
    /// Notes which of a rule's rows may have changed since they were read.
    pub async fn note(&mut self, book: &mut Book, look: &Look) -> Result<(), TriggerError> {
        let Some(known) = book.version else {
            book.dirty_us = Some(ALL);
            book.version = Some(look.version);
            return Ok(());
        };
        if look.version <= known {
            return Ok(());
        }
        let key = (look.table_name.clone(), known);
        let first = if let Some(first) = self.0.get(&key) {
            *first
        } else {
            let first = changed_from(&look.partials, known, look.version).await?;
            *self.0.entry(key).or_insert(first)
        };
        if let Some(first_us) = first {
            let before = book.dirty_us.unwrap_or(i64::MAX);
            book.dirty_us = Some(before.min(floor(first_us, book.rule.window_us)));
        }
        book.version = Some(look.version);
        Ok(())
    }
}

/// The first window whose rows may differ between two versions; `None` where all are the same.
async fn changed_from(
    partials: &Table,
    known: i64,
    version: i64,
) -> Result<Option<i64>, TriggerError> {
    match partials.additions(known, LIMITS).await? {
        // What was computed again may differ anywhere.
        Some(additions) if additions.replaced => Ok(Some(ALL)),
        Some(additions) if additions.through >= version => {
            if additions.files.is_empty() {
                Ok(None)
            } else {
                first_window(partials, additions.files).await
            }
        }
        // Too much, or too long ago, to follow: everything is read again.
        _ => Ok(Some(ALL)),
    }
}

/// The first window that some files have rows of.
async fn first_window(
    partials: &Table,
    files: Vec<AddedFile>,
) -> Result<Option<i64>, TriggerError> {
    let context = SessionContext::new();
    let rows = context.read_table(partials.added_rows(files)?)?;
    let frame = rows.aggregate(vec![], vec![min(col("window_start"))])?;
    let mut batches = frame.execute_stream().await?;
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    while let Some(batch) = batches.try_next().await? {
        let column = arrow::compute::cast(batch.column(0), &time)?;
        let column = column.as_primitive::<TimestampMicrosecondType>();
        if !column.is_empty() && column.is_valid(0) {
            return Ok(Some(column.value(0)));
        }
    }
    Ok(None)
}
