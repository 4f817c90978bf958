//! The role: every job a task of its own, until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use farol_lake::Lake;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::definition::{Job, Jobs, Mode};
use crate::error::JobError;
use crate::health::Health;
use crate::progress::tell_error;
use crate::rollup;
use crate::step::{Runner, Stepped};

/// The longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// Failures in a row after which a job that is to end gives up.
const FAILURES_AT_END_MAX: u32 = 5;

/// Windows are computed whole no more often than this: late rows that come in between are taken together.
const RECOMPUTE_INTERVAL: Duration = Duration::from_secs(30);

/// A job so many versions behind is not ready.
const READY_BEHIND_MAX: i64 = 100;

/// How the role is played.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// How often jobs look for new versions of their inputs.
    pub interval: Duration,
    /// Cancelled to end at once; a step in hand is dropped, which leaves orphans at most.
    pub shutdown: CancellationToken,
    /// Cancelled to end as soon as every job is level: nothing more will be added to the inputs.
    pub finish: CancellationToken,
    /// What keeps jobs from being level.
    pub health: Health,
}

/// Plays the role until it is told to end. A job that fails is tried again, and stops no other.
///
/// # Errors
/// Where a job could not be brought level before the end that [`RunOptions::finish`] asks for.
pub async fn run(lake: Lake, jobs: Jobs, options: RunOptions) -> Result<(), JobError> {
    let mut tasks = JoinSet::new();
    for job in jobs.iter() {
        tasks.spawn(keep_level(lake.clone(), job.clone(), options.clone()));
        let rollups = rollup::keep_level(
            lake.clone(),
            job.clone(),
            jobs.rollup_rows_min(),
            options.clone(),
        );
        tasks.spawn(async move {
            rollups.await;
            Ok(())
        });
    }
    let mut failure = None;
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.unwrap_or_else(|panic| Err(JobError::TaskEnded(panic.to_string())));
        if let Err(error) = ended {
            failure.get_or_insert(error);
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn keep_level(lake: Lake, job: Arc<Job>, options: RunOptions) -> Result<(), JobError> {
    let name = job.name().to_owned();
    let interval = match job.mode() {
        Mode::Incremental => options.interval,
        Mode::Recompute { .. } => options.interval.max(RECOMPUTE_INTERVAL),
    };
    let errors = metrics::counter!("farol_job_errors_total", "job" => name.clone());
    errors.increment(0);
    let behind = metrics::gauge!("farol_job_versions_behind", "job" => name.clone());
    let mut work = Work {
        lake,
        job,
        runner: None,
        told: Told::Unknown,
    };
    let mut failures = 0_u32;
    loop {
        // Seen before the step: what was added before it was cancelled is then read by the step.
        let finishing = options.finish.is_cancelled();
        let stepped = tokio::select! {
            () = options.shutdown.cancelled() => return Ok(()),
            stepped = work.step() => stepped,
        };
        let pause = match stepped {
            Ok(Stepped::Level) => {
                failures = 0;
                behind.set(0.0);
                options.health.set(&name, None);
                work.tell(None).await;
                if finishing {
                    return Ok(());
                }
                interval
            }
            Ok(Stepped::Advanced { behind: left, .. }) => {
                failures = 0;
                behind.set(left as f64);
                let reason = format!("{left} versions behind");
                options
                    .health
                    .set(&name, (left > READY_BEHIND_MAX).then_some(reason));
                work.tell(None).await;
                // New versions come at ingest's pace; the next look is an interval away, unless there is more now.
                if left > 0 || finishing {
                    continue;
                }
                interval
            }
            Ok(Stepped::Overtaken) => continue,
            Err(error) => {
                failures += 1;
                errors.increment(1);
                tracing::error!(
                    job = name,
                    failures,
                    "a job failed, the others go on: {error}"
                );
                options.health.set(&name, Some(error.to_string()));
                work.tell(Some(&error.to_string())).await;
                if finishing && failures >= FAILURES_AT_END_MAX {
                    return Err(error);
                }
                // What was opened may be what is wrong.
                work.runner = None;
                if finishing {
                    options.interval
                } else {
                    PAUSE_MAX.min(options.interval * 2_u32.pow(failures.min(6)))
                }
            }
        };
        tokio::select! {
            () = options.shutdown.cancelled() => return Ok(()),
            () = options.finish.cancelled(), if !finishing => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What other processes were last told of a job.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// What an earlier process said.
    Unknown,
    /// That nothing is wrong.
    Level,
    /// That it fails, and why.
    Failing(String),
}

/// One job's work.
struct Work {
    lake: Lake,
    job: Arc<Job>,
    runner: Option<Runner>,
    /// What was last told to other processes.
    told: Told,
}

impl Work {
    async fn step(&mut self) -> Result<Stepped, JobError> {
        let runner = match self.runner.take() {
            Some(runner) => runner,
            None => Runner::open(&self.lake, self.job.clone()).await?,
        };
        self.runner.insert(runner).step().await
    }

    async fn tell(&mut self, error: Option<&str>) {
        let now = error.map_or(Told::Level, |error| Told::Failing(error.to_owned()));
        if self.told == now {
            return;
        }
        // A job that cannot be opened has a table all the same, unless it never ran.
        let table = match &self.runner {
            Some(runner) => Ok(Some(runner.output().clone())),
            None => self.lake.existing(&self.job.table_name()).await,
        };
        match table {
            Ok(Some(table)) => {
                tell_error(&table, error).await;
                self.told = now;
            }
            Ok(None) => {}
            Err(failure) => tracing::warn!(
                job = self.job.name(),
                "what is wrong with the job could not be told to `status`: {failure}"
            ),
        }
    }
}
