//! The metrics topic: a record for each closed window and segment of each job. Its key is job, segment and window, so
//! that compaction keeps the last word on each window.
//!
//! A window is published when the watermark has passed its end, and again when late rows change it. What changed is read
//! from the versions of the job's partials since the position. Where the log of these was cleaned away, windows that
//! closed since are published, and late rows in between are not told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::json::writer::{JsonArray, WriterBuilder};
use datafusion::datasource::TableProvider;
use datafusion::prelude::SessionContext;
use farol_jobs::{Job, Jobs, Progress, is_readable, views};
use farol_kafka::OutgoingRecord;
use farol_lake::sql::Session;
use farol_lake::{AdditionLimits, Lake, Table};
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::progress::Published;
use crate::error::TriggerError;
use farol_jobs::segment::{name_list, quoted_name};
use farol_jobs::time::{floor, rfc3339};

/// Versions that one look may take.
const LIMITS: AdditionLimits = AdditionLimits {
    versions: 256,
    bytes: 64 << 20,
};

/// Where nothing was published of a job yet, so much of its past is.
const FIRST_US: i64 = 3_600_000_000;

/// Windows of one transaction; each has as many records as the job has series.
const WINDOWS_MAX: usize = 16;

/// How far a job's measures are published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPublished {
    /// The version of the job's partials whose changes are published, or wait in `changed_us`.
    pub version: i64,
    /// The end of the last window that was published for the first time, microseconds since the epoch.
    pub closed_us: i64,
    /// Closed windows that are to be published, or published again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub changed_us: BTreeSet<i64>,
}

/// What closed windows there are to publish.
pub(super) struct Metrics {
    jobs: Jobs,
    tables: BTreeMap<String, Table>,
    /// Opened with the first window; it reads on from there.
    session: Option<Session>,
}

impl Metrics {
    pub fn new(jobs: Jobs) -> Self {
        Self {
            jobs,
            tables: BTreeMap::new(),
            session: None,
        }
    }

    /// The next records after a position, and the position after them; `None` where nothing is due.
    pub async fn next(
        &mut self,
        lake: &Lake,
        topic: &str,
        published: &Published,
    ) -> Result<Option<(Vec<OutgoingRecord>, Published)>, TriggerError> {
        let jobs: Vec<_> = self.jobs.iter().cloned().collect();
        for job in jobs {
            let Some(partials) = self.table(lake, &job).await? else {
                continue;
            };
            let known = published.metrics.get(job.name());
            let Some(mut next) = follow(&job, &partials, known).await? else {
                continue;
            };
            let windows: Vec<i64> = next.changed_us.iter().copied().take(WINDOWS_MAX).collect();
            next.changed_us.retain(|window| !windows.contains(window));
            let records = self.records(lake, &job, topic, &windows).await?;
            let mut after = published.clone();
            after.metrics.insert(job.name().to_owned(), next);
            return Ok(Some((records, after)));
        }
        Ok(None)
    }

    /// Whether anything is due after a position.
    pub async fn due(&mut self, lake: &Lake, published: &Published) -> Result<bool, TriggerError> {
        let jobs: Vec<_> = self.jobs.iter().cloned().collect();
        for job in jobs {
            if let Some(partials) = self.table(lake, &job).await?
                && follow(&job, &partials, published.metrics.get(job.name()))
                    .await?
                    .is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn table(&mut self, lake: &Lake, job: &Job) -> Result<Option<Table>, TriggerError> {
        if let Some(table) = self.tables.get(job.name()) {
            return Ok(Some(table.clone()));
        }
        let Some(table) = lake.existing(&job.table_name()).await? else {
            return Ok(None);
        };
        // A job that was changed is published again once it is computed anew; it holds up no other.
        if !is_readable(job, &table) {
            return Ok(None);
        }
        self.tables.insert(job.name().to_owned(), table.clone());
        Ok(Some(table))
    }

    /// A record for each segment of these windows.
    async fn records(
        &mut self,
        lake: &Lake,
        job: &Job,
        topic: &str,
        windows: &[i64],
    ) -> Result<Vec<OutgoingRecord>, TriggerError> {
        if windows.is_empty() {
            return Ok(Vec::new());
        }
        let session = match &self.session {
            Some(session) => session,
            None => self.session.insert(Session::open(lake).await?),
        };
        views::register(session, &self.jobs).await?;
        let (_, rows) = session.query(&query(job, windows)).await?;
        let batches: Vec<_> = rows.try_collect().await?;
        let mut writer = WriterBuilder::new()
            .with_explicit_nulls(true)
            .build::<_, JsonArray>(Vec::new());
        writer.write_batches(&batches.iter().collect::<Vec<_>>())?;
        writer.finish()?;
        let text = writer.into_inner();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let wrong = |reason: String| {
            TriggerError::Progress(format!("measures of {}: {reason}", job.name()))
        };
        let rows: Vec<Map<String, Value>> =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        rows.into_iter()
            .map(|row| {
                record(job, topic, row).ok_or_else(|| wrong("a window has no start".to_owned()))
            })
            .collect()
    }
}

/// Moves a position to what its job has come to; `None` where there is nothing to publish.
async fn follow(
    job: &Job,
    partials: &Table,
    known: Option<&JobPublished>,
) -> Result<Option<JobPublished>, TriggerError> {
    let (newest, marks) = partials.version_and_marks(&job.app_id()).await?;
    let Some(watermark_us) = Progress::of(job, &marks).watermark_us else {
        return Ok(None);
    };
    let closed_us = floor(watermark_us, job.window().micros());
    let mut next = known.cloned().unwrap_or_default();
    if known.is_none() {
        next.version = newest;
        next.closed_us = closed_us - FIRST_US;
    }
    if next.version < newest {
        let mut level = true;
        if let Some(additions) = partials.additions(next.version, LIMITS).await? {
            next.version = additions.through;
            level = additions.through >= newest;
            if !additions.files.is_empty() {
                let changed = starts(partials.added_rows(additions.files)?, "").await?;
                // Those that close only now are found below, with all their rows.
                next.changed_us.extend(changed.range(..next.closed_us));
            }
        } else {
            next.version = newest;
            tracing::warn!(
                job = job.name(),
                "the log of its partials was cleaned before it was published: late rows in between are not told"
            );
        }
        if !level {
            // A watermark is of the newest version: its windows close when all before it was read.
            return Ok(Some(next));
        }
    }
    if closed_us > next.closed_us {
        let bounds = format!(
            "WHERE window_start >= TIMESTAMP '{}' AND window_start < TIMESTAMP '{}'",
            rfc3339(next.closed_us),
            rfc3339(closed_us)
        );
        let rows = partials.rows_at(newest).await?;
        next.changed_us.extend(starts(rows, &bounds).await?);
        next.closed_us = closed_us;
        return Ok(Some(next));
    }
    // A version alone is no news: it is written down with the next window.
    Ok((!next.changed_us.is_empty()).then_some(next))
}

/// The windows that rows are of.
async fn starts(rows: Arc<dyn TableProvider>, bounds: &str) -> Result<BTreeSet<i64>, TriggerError> {
    let context = SessionContext::new();
    context.register_table("partials", rows)?;
    let query = format!("SELECT DISTINCT window_start FROM partials {bounds}");
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut found = BTreeSet::new();
    for batch in context.sql(&query).await?.collect().await? {
        let column = arrow::compute::cast(batch.column(0), &time)?;
        found.extend(
            column
                .as_primitive::<TimestampMicrosecondType>()
                .iter()
                .flatten(),
        );
    }
    Ok(found)
}

/// All columns but sketches, which only their library can read.
fn query(job: &Job, windows: &[i64]) -> String {
    let partials = job.partials().iter();
    let values = partials
        .filter(|partial| !partial.kind.is_sketch())
        .map(|partial| &partial.name);
    let measures = job.measures().iter().map(|measure| &measure.name);
    let columns = name_list(job.segments().iter().chain(values).chain(measures));
    let times: Vec<_> = windows
        .iter()
        .map(|window| format!("TIMESTAMP '{}'", rfc3339(*window)))
        .collect();
    let (first, last) = (windows.iter().min(), windows.iter().max());
    format!(
        "SELECT CAST(window_start AS BIGINT) AS window_start{columns} FROM {} \
         WHERE window_start >= TIMESTAMP '{}' AND window_start <= TIMESTAMP '{}' AND window_start IN ({})",
        quoted_name(job.name()),
        rfc3339(first.copied().unwrap_or(0)),
        rfc3339(last.copied().unwrap_or(0)),
        times.join(", ")
    )
}

fn record(job: &Job, topic: &str, mut row: Map<String, Value>) -> Option<OutgoingRecord> {
    let start_us = row.remove("window_start")?.as_i64()?;
    let mut segment = Map::new();
    for name in job.segments() {
        segment.insert(name.clone(), row.remove(name).unwrap_or(Value::Null));
    }
    let start = rfc3339(start_us);
    let key = json!({"job": job.name(), "segment": segment, "window_start": start});
    let body = json!({
        "job": job.name(), "segment": segment, "window_start": start,
        "window_end": rfc3339(start_us + job.window().micros()), "measures": row,
    });
    Some(OutgoingRecord {
        topic: topic.to_owned(),
        key: key.to_string().into_bytes(),
        payload: body.to_string().into_bytes(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        timestamp_ms: None,
    })
}
