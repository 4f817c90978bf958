//! Changed definitions: old and new partials are never mixed, and all of them are computed anew on request.

mod anew;
mod stops;

use std::path::Path;

use farol_jobs::compact::compact;
use farol_jobs::renewal::{Renewal, Switched};
use farol_jobs::step::{Runner, Stepped};
use farol_jobs::{Job, JobError, Jobs, Sources, Tags, load, progress};
use farol_lake::Lake;
use farol_lake::maintenance::{CompactOptions, Replacement};
use std::sync::Arc;

use crate::place::{Call, DAY_US, HOUR_US, Place, START_US, add, calls, level, sources};

const YAML: &str = "name: mine\nreads: traces\nwindow: 5m\nsegments: [service]\npartials: {requests: sum, latency: quantiles}\nmeasures:\n  p95: {expr: 'quantile(latency, 0.95)'}\n";
const SQL: &str = "SELECT event_time, service, 1 AS requests, latency_ms AS latency\nFROM traces\n";

/// The same with a segment and a partial more.
const NEW_YAML: &str = "name: mine\nreads: traces\nwindow: 5m\nsegments: [service, status]\npartials: {requests: sum, latency: quantiles, errors: sum}\nmeasures:\n  error_rate: {expr: errors / requests}\n";
const NEW_SQL: &str = "SELECT event_time, service, status, 1 AS requests, latency_ms AS latency, CASE WHEN status = 'error' THEN 1 ELSE 0 END AS errors FROM traces";

const ALL: &str = "SELECT * FROM mine ORDER BY window_start, service, status";

async fn defined(yaml: &str, sql: &str) -> Jobs {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs")).unwrap();
    std::fs::write(dir.path().join("jobs/mine.yaml"), yaml).unwrap();
    std::fs::write(dir.path().join("jobs/mine.sql"), sql).unwrap();
    from(dir.path(), false, &[]).await
}

async fn from(dir: &Path, builtin: bool, tags: &[&str]) -> Jobs {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    let sources = Sources {
        tags: Tags::try_from(tags).unwrap(),
        ..sources(dir, builtin)
    };
    load(&sources).await.unwrap()
}

fn mine(jobs: &Jobs) -> Arc<Job> {
    jobs.get("mine").unwrap().clone()
}

async fn runner(lake: &Lake, jobs: &Jobs) -> Result<Runner, JobError> {
    Runner::open(lake, mine(jobs)).await
}

/// What keeps a job from being opened.
async fn differences(lake: &Lake, job: Arc<Job>) -> Vec<String> {
    match Runner::open(lake, job).await {
        Err(JobError::Changed { differences, .. }) => differences,
        Err(other) => panic!("{other}"),
        Ok(_) => Vec::new(),
    }
}

/// A lake with these calls, measured by these jobs.
async fn measured(calls: &[Call], jobs: &Jobs) -> Place {
    let place = Place::new();
    add(&place.traces().await, calls).await;
    level(&mut runner(&place.lake().await, jobs).await.unwrap()).await;
    place
}

async fn renewed(lake: &Lake, jobs: &Jobs) -> Switched {
    let renewal = Renewal::begin(lake, &mine(jobs)).await.unwrap();
    renewal.expect("it was changed").switch().await.unwrap()
}
