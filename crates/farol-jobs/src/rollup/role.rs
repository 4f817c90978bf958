//! The part of the role that keeps rollups: beside each job, at a pace of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use farol_lake::Lake;

use super::{Level, Rollup};
use crate::definition::Job;
use crate::error::JobError;
use crate::role::RunOptions;
use crate::step::Stepped;

/// How often rollups are brought level: what they lack is read from the partials meanwhile, a small file for each
/// commit.
const INTERVAL: Duration = Duration::from_secs(30);

/// Keeps a job's rollups until the role ends. That it fails costs readers time and nothing else, so it is told in the
/// log and tried again.
pub(crate) async fn keep_level(lake: Lake, job: Arc<Job>, rows_min: u64, options: RunOptions) {
    if !Level::ALL.into_iter().any(|level| level.is_of(&job)) {
        return;
    }
    let errors = metrics::counter!("farol_rollup_errors_total", "job" => job.name().to_owned());
    errors.increment(0);
    let interval = options.interval.max(INTERVAL);
    let mut kept = BTreeMap::new();
    loop {
        tokio::select! {
            () = options.shutdown.cancelled() => return,
            () = options.finish.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
        let levelled = tokio::select! {
            () = options.shutdown.cancelled() => return,
            levelled = bring_level(&lake, &job, rows_min, &mut kept) => levelled,
        };
        if let Err(error) = levelled {
            errors.increment(1);
            tracing::warn!(
                job = job.name(),
                "a rollup was not kept; measures are read from the partials, which takes longer: {error}"
            );
            // What was opened may be what is wrong.
            kept.clear();
        }
    }
}

async fn bring_level(
    lake: &Lake,
    job: &Arc<Job>,
    rows_min: u64,
    kept: &mut BTreeMap<Level, Rollup>,
) -> Result<(), JobError> {
    for level in Level::ALL {
        let known = match kept.remove(&level) {
            Some(rollup) if !rollup.is_outdated().await? => Some(rollup),
            _ => open(lake, job, rows_min, level).await?,
        };
        let Some(rollup) = known else {
            continue;
        };
        let rollup = kept.entry(level).or_insert(rollup);
        loop {
            match rollup.step().await? {
                Stepped::Level | Stepped::Advanced { behind: 0, .. } => break,
                Stepped::Advanced { .. } | Stepped::Overtaken => {}
            }
        }
    }
    Ok(())
}

/// Opens a rollup where it pays.
async fn open(
    lake: &Lake,
    job: &Arc<Job>,
    rows_min: u64,
    level: Level,
) -> Result<Option<Rollup>, JobError> {
    let Some(partials) = lake.existing(&job.table_name()).await? else {
        return Ok(None);
    };
    if partials.logged_rows().await? < rows_min {
        return Ok(None);
    }
    Rollup::open(lake, job, &partials, level).await
}
