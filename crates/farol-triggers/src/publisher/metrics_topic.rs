//! The metrics topic: a record for each closed window and segment of each job, keyed by both, so that compaction
//! keeps the newest word on each.
//!
//! A window is published when the watermark has passed its end, and again when late rows change it. What changed is
//! read from the versions of the job's partials since the position. Where the log of these was cleaned away, the
//! position jumps to the newest version, and only windows that closed since are published.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::DataType;
use arrow::json::writer::{JsonArray, WriterBuilder};
use datafusion::prelude::SessionContext;
use farol_jobs::{Job, Jobs, Progress, views};
use farol_lake::sql::Session;
use farol_lake::{AdditionLimits, Lake, Table};
use futures::TryStreamExt as _;
use serde_json::{Map, Value, json};

use super::outbox::{Message, rfc3339};
use super::position::{JobPosition, Position};
use crate::action::number_column;
use crate::error::TriggerError;

/// What one batch may take.
const LIMITS: AdditionLimits = AdditionLimits {
    versions: 256,
    bytes: 64 << 20,
};

/// Where nothing was published of a job yet, this much of its past is.
const FIRST_US: i64 = 3_600_000_000;

/// Windows of one batch at the most; each has as many records as the job has series.
const WINDOWS_MAX: usize = 64;

/// What closed windows there are to publish.
pub(super) struct Metrics {
    jobs: Jobs,
    partials: BTreeMap<String, Table>,
}

impl Metrics {
    pub fn new(jobs: Jobs) -> Self {
        Self {
            jobs,
            partials: BTreeMap::new(),
        }
    }

    /// The records after a position, of one job, which is moved past them. A position that moved and no record is
    /// progress all the same.
    pub async fn messages(
        &mut self,
        lake: &Lake,
        topic: &str,
        position: &mut Position,
    ) -> Result<Vec<Message>, TriggerError> {
        let jobs: Vec<_> = self.jobs.iter().cloned().collect();
        for job in jobs {
            let Some(partials) = self.partials(lake, &job).await? else {
                continue;
            };
            let known = position.metrics.get(job.name()).copied();
            let (next, windows) = due(&job, &partials, known).await?;
            let moved = known.is_none_or(|known| next.closed_us != known.closed_us);
            // Versions alone are no news: they go along with the next window.
            if windows.is_empty() && !moved {
                continue;
            }
            position.metrics.insert(job.name().to_owned(), next);
            return records(lake, &self.jobs, &job, topic, &windows).await;
        }
        Ok(Vec::new())
    }

    async fn partials(&mut self, lake: &Lake, job: &Job) -> Result<Option<Table>, TriggerError> {
        if let Some(table) = self.partials.get(job.name()) {
            return Ok(Some(table.clone()));
        }
        let Some(table) = lake.existing(&job.table_name()).await? else {
            return Ok(None);
        };
        self.partials.insert(job.name().to_owned(), table.clone());
        Ok(Some(table))
    }
}

/// The windows that are due, by their starts, and the position after them.
async fn due(
    job: &Job,
    partials: &Table,
    known: Option<JobPosition>,
) -> Result<(JobPosition, BTreeSet<i64>), TriggerError> {
    let width = job.window();
    let progress = farol_jobs::progress::progress(partials, job)
        .await
        .map_err(TriggerError::Lake)?;
    let Progress { watermark_us, .. } = progress;
    let newest = partials.version();
    let Some(watermark_us) = watermark_us else {
        // Nothing is closed yet.
        return Ok((known.unwrap_or_default(), BTreeSet::new()));
    };
    let closed_us = width.start_of(watermark_us);
    let Some(known) = known else {
        let first = closed_us - FIRST_US;
        let next = JobPosition {
            version: newest,
            closed_us,
        };
        return Ok((next, closed_since(job, partials, first, closed_us).await?));
    };
    if known.version >= newest && known.closed_us >= closed_us {
        return Ok((known, BTreeSet::new()));
    }
    let mut next = JobPosition {
        version: newest,
        closed_us: closed_us.max(known.closed_us),
    };
    let mut windows = BTreeSet::new();
    match partials.additions(known.version, LIMITS).await? {
        Some(additions) => {
            next.version = additions.through;
            if additions.through < additions.newest {
                // The rows that a watermark promises may be in versions that were not read yet.
                next.closed_us = known.closed_us;
            }
            if !additions.files.is_empty() {
                let rows = partials.added_rows(additions.files)?;
                let changed = starts(rows, "true").await?;
                windows.extend(changed.range(..next.closed_us));
            }
        }
        None => tracing::warn!(
            job = job.name(),
            "the log of its partials was cleaned before all was published: late rows in between are not"
        ),
    }
    if next.closed_us > known.closed_us {
        let closed = closed_since(job, partials, known.closed_us, next.closed_us).await?;
        windows.extend(closed);
    }
    if windows.len() > WINDOWS_MAX {
        tracing::debug!(job = job.name(), windows = windows.len(), "many windows at once");
    }
    Ok((next, windows))
}

/// The windows with data that began in a range.
async fn closed_since(
    job: &Job,
    partials: &Table,
    from_us: i64,
    to_us: i64,
) -> Result<BTreeSet<i64>, TriggerError> {
    // The newest version may hold more than the position says: more of these windows, never less.
    let rows = partials.rows_at(partials.version()).await?;
    let (from, to) = (rfc3339(from_us), rfc3339(to_us));
    let bounds = format!(
        "window_start >= TIMESTAMP '{from}' AND window_start < TIMESTAMP '{to}'"
    );
    let _ = job;
    starts(rows, &bounds).await
}

async fn starts(
    rows: std::sync::Arc<dyn datafusion::datasource::TableProvider>,
    bounds: &str,
) -> Result<BTreeSet<i64>, TriggerError> {
    let context = SessionContext::new();
    context.register_table("rows", rows)?;
    let query = format!("SELECT DISTINCT window_start FROM rows WHERE {bounds}");
    let mut found = BTreeSet::new();
    for batch in context.sql(&query).await?.collect().await? {
        let times = number_column(&batch, "window_start")?;
        found.extend(times.values().iter().copied());
    }
    Ok(found)
}

/// A record for each segment of these windows.
async fn records(
    lake: &Lake,
    jobs: &Jobs,
    job: &Job,
    topic: &str,
    windows: &BTreeSet<i64>,
) -> Result<Vec<Message>, TriggerError> {
    if windows.is_empty() {
        return Ok(Vec::new());
    }
    let session = Session::open(lake).await?;
    views::register(&session, jobs).await?;
    let mut messages = Vec::new();
    let starts: Vec<i64> = windows.iter().copied().collect();
    for starts in starts.chunks(WINDOWS_MAX) {
        let query = query(job, starts);
        let (schema, stream) = session.query(&query).await?;
        let batches: Vec<_> = stream.try_collect().await?;
        let mut writer = WriterBuilder::new()
            .with_explicit_nulls(true)
            .build::<_, JsonArray>(Vec::new());
        writer.write_batches(&batches.iter().collect::<Vec<_>>())?;
        writer.finish()?;
        let text = writer.into_inner();
        let rows: Vec<Map<String, Value>> = if text.is_empty() {
            Vec::new()
        } else {
            serde_json::from_slice(&text)
                .map_err(|error| TriggerError::Malformed(format!("measures: {error}")))?
        };
        drop(schema);
        for row in rows {
            messages.push(record(job, topic, row)?);
        }
    }
    Ok(messages)
}

/// What can be read without a sketch's library.
fn query(job: &Job, starts: &[i64]) -> String {
    let partials = job.partials().iter();
    let values = partials
        .filter(|partial| !partial.kind.is_sketch())
        .map(|partial| &partial.name);
    let measures = job
        .measures()
        .iter()
        .filter(|measure| !matches!(measure.data_type, DataType::Binary))
        .map(|measure| &measure.name);
    let columns: Vec<_> = job
        .segments()
        .iter()
        .chain(values)
        .chain(measures)
        .map(|name| format!("\"{name}\""))
        .collect();
    let starts: Vec<_> = starts
        .iter()
        .map(|start| format!("TIMESTAMP '{}'", rfc3339(*start)))
        .collect();
    let (first, last) = (starts.first(), starts.last());
    let empty = String::new();
    format!(
        "SELECT CAST(window_start AS BIGINT) AS window_start, {} FROM \"{}\" \
         WHERE window_start >= {} AND window_start <= {} AND window_start IN ({})",
        columns.join(", "),
        job.name(),
        first.unwrap_or(&empty),
        last.unwrap_or(&empty),
        starts.join(", ")
    )
}

fn record(job: &Job, topic: &str, mut row: Map<String, Value>) -> Result<Message, TriggerError> {
    let start = row.remove("window_start").and_then(|start| start.as_i64());
    let start_us =
        start.ok_or_else(|| TriggerError::Malformed("a window has no start".to_owned()))?;
    let end_us = start_us + job.window().micros();
    let mut segment = Map::new();
    for name in job.segments() {
        segment.insert(name.clone(), row.remove(name).unwrap_or(Value::Null));
    }
    let start = rfc3339(start_us);
    let key = json!({"job": job.name(), "segment": segment, "window_start": start});
    let body = json!({
        "job": job.name(), "window_start": start, "window_end": rfc3339(end_us),
        "segment": segment, "measures": row,
    });
    Ok(Message {
        topic: topic.to_owned(),
        key: key.to_string(),
        payload: body.to_string().into_bytes(),
        timestamp_ms: end_us.div_euclid(1_000),
        headers: vec![("content-type", "application/json".to_owned())],
        id: None,
    })
}
