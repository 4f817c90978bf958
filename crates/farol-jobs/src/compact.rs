//! Compaction of partials: those of one window and segment become one, and small files few large ones.
//!
//! Merging changes no measure, so the commit says `dataChange = false`, under the guard of all maintenance.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlanBuilder, ident};
use fail::fail_point;
use farol_lake::maintenance::{CompactOptions, Replacement, merges};
use farol_lake::{Lake, Outcome, Table};
use tokio_util::sync::CancellationToken;

use crate::aggregate::{merged, newest};
use crate::definition::{Job, Jobs, WINDOW_START};
use crate::error::JobError;
use crate::rollup;
use crate::step::{Runner, working_context};
use crate::writer::Series;

/// What compaction did to a job's partials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergeReport {
    /// Files merged.
    pub files_removed: usize,
    /// Files written in their place.
    pub files_added: usize,
    /// Partials in them.
    pub rows: u64,
}

impl MergeReport {
    fn add(&mut self, other: &Self) {
        self.files_removed += other.files_removed;
        self.files_added += other.files_added;
        self.rows += other.rows;
    }
}

/// Plays the part of the maintenance role that is about partials, until `shutdown`.
pub async fn run(
    lake: Lake,
    jobs: Jobs,
    options: CompactOptions,
    interval: Duration,
    shutdown: CancellationToken,
) {
    loop {
        for job in jobs.iter() {
            let began = Instant::now();
            let merged: Result<_, JobError> = tokio::select! {
                () = shutdown.cancelled() => return,
                merged = with_rollups(&lake, job, &options) => merged,
            };
            match merged {
                Ok(report) if report.files_removed > 0 => tracing::info!(
                    job = job.name(),
                    files_removed = report.files_removed,
                    files_added = report.files_added,
                    rows = report.rows,
                    elapsed_ms = began.elapsed().as_millis() as u64,
                    "merged partials"
                ),
                Ok(_) => {}
                Err(error) => tracing::warn!(
                    job = job.name(),
                    "partials were not merged, trying again in the next round: {error}"
                ),
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
    }
}

/// Merges what is worth merging now of a job's partials and of their rollups.
async fn with_rollups(
    lake: &Lake,
    job: &Arc<Job>,
    options: &CompactOptions,
) -> Result<MergeReport, JobError> {
    let Some(partials) = lake.existing(&job.table_name()).await? else {
        return Ok(MergeReport::default());
    };
    let mut runner = Runner::open(lake, job.clone()).await?;
    let mut report = compact(&mut runner, options).await?;
    for level in rollup::Level::ALL {
        let table = lake.existing(&level.table_name(job, &partials)).await?;
        if let Some(table) = table {
            report.add(&rollup::compact(lake, job, level, table, options).await?);
        }
    }
    Ok(report)
}

/// Merges what is worth merging now of a table of partials or of a rollup; `None` where the table is none of these
/// jobs'.
///
/// # Errors
/// As [`compact`].
pub async fn compact_table(
    lake: &Lake,
    jobs: &Jobs,
    table: &Table,
    options: &CompactOptions,
) -> Result<Option<MergeReport>, JobError> {
    if let Some(job) = jobs.iter().find(|job| job.table_name() == table.name()) {
        let mut runner = Runner::open(lake, job.clone()).await?;
        return compact(&mut runner, options).await.map(Some);
    }
    match rollup::of_table(jobs, table.name()) {
        Some((job, level)) => rollup::compact(lake, &job, level, table.clone(), options)
            .await
            .map(Some),
        None => Ok(None),
    }
}

/// Merges what is worth merging now.
///
/// # Errors
/// Where a file cannot be read or written, or a commit fails. Merges committed before that stay.
pub async fn compact(
    runner: &mut Runner,
    options: &CompactOptions,
) -> Result<MergeReport, JobError> {
    let mut report = MergeReport::default();
    runner.follow_redefinition().await?;
    // A merge moves the guard that the next one was planned under, so each is planned anew.
    while let Some(merge) = merges(&runner.output, options).await?.into_iter().next() {
        if !one(runner, &merge, &mut report).await? {
            break;
        }
    }
    Ok(report)
}

async fn one(
    runner: &mut Runner,
    merge: &Replacement,
    report: &mut MergeReport,
) -> Result<bool, JobError> {
    let context = working_context()?;
    let job = runner.job.clone();
    let rows = runner.output.added_rows(merge.files.clone())?;
    let plan = LogicalPlanBuilder::scan("partials", provider_as_source(rows), None)?;
    // A revision that is not the newest among these files is not the newest of all.
    let plan = newest(&job, plan)?;
    let plan = merged(&context, &job, plan, ident(WINDOW_START), job.segments())?;
    let names = job.partials_schema();
    let columns = names.fields().iter().map(|field| ident(field.name()));
    let plan = plan
        .project(columns.collect::<Vec<_>>())?
        .sort([ident(WINDOW_START).sort(true, true)])?
        .build()?;
    let frame = datafusion::dataframe::DataFrame::new(context.state(), plan);
    let (uploads, _) = runner.upload(frame, Series::Sorted).await?;
    let (files, rows) = (
        uploads.len(),
        uploads.iter().map(|upload| upload.rows).sum::<u64>(),
    );
    fail_point!("maintenance.before_commit", |_| Err(JobError::Failpoint(
        "maintenance.before_commit"
    )));
    let steps = runner.beside_unchanged(Vec::new());
    let outcome = match merge.commit(&runner.output, steps, uploads).await {
        Err(farol_lake::LakeError::FileGone { .. }) => return Ok(false),
        other => other?,
    };
    fail_point!("maintenance.after_commit", |_| Err(JobError::Failpoint(
        "maintenance.after_commit"
    )));
    runner.notice(&outcome);
    if let Outcome::Overtaken { .. } = outcome {
        return Ok(false);
    }
    report.files_removed += merge.files.len();
    report.files_added += files;
    report.rows += rows;
    Ok(true)
}
