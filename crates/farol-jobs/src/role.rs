//! The role: every job and every join a task of its own, until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use farol_lake::{Joined, Lake, Table};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::definition::{Job, Jobs};
use crate::error::JobError;
use crate::health::Health;
use crate::join::{Joiner, Search};
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
    /// How often jobs and joins look for new versions of their inputs.
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
    // A job that reads a joined table is not level before that is.
    let joined = CancellationToken::new();
    let mut joins = JoinSet::new();
    for join in Joined::ALL {
        let join = Level::Join(join, Joiner::new(&lake, join));
        joins.spawn(keep_level(lake.clone(), join, options.clone()));
    }
    let mut tasks = JoinSet::new();
    for job in jobs.iter() {
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
        let mut options = options.clone();
        if reads_joined(job) {
            options.finish = joined.clone();
        }
        let job = Level::Job(job.clone(), None);
        tasks.spawn(keep_level(lake.clone(), job, options));
    }
    let failure = first_failure(joins).await;
    joined.cancel();
    failure.and(first_failure(tasks).await)
}

fn reads_joined(job: &Job) -> bool {
    job.inputs()
        .any(|input| Joined::ALL.iter().any(|joined| joined.table() == input))
}

async fn first_failure(mut tasks: JoinSet<Result<(), JobError>>) -> Result<(), JobError> {
    let mut failure = None;
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.unwrap_or_else(|panic| Err(JobError::TaskEnded(panic.to_string())));
        if let Err(error) = ended {
            failure.get_or_insert(error);
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn keep_level(lake: Lake, level: Level, options: RunOptions) -> Result<(), JobError> {
    let name = level.name().to_owned();
    let interval = level.interval(options.interval);
    let errors = metrics::counter!("farol_job_errors_total", "job" => name.clone());
    errors.increment(0);
    let behind = metrics::gauge!("farol_job_versions_behind", "job" => name.clone());
    let mut work = Work {
        lake,
        level,
        told: Told::Unknown,
    };
    let mut failures = 0_u32;
    loop {
        // Seen before the step: what was added before it was cancelled is then read by the step.
        let finishing = options.finish.is_cancelled();
        let stepped = tokio::select! {
            () = options.shutdown.cancelled() => return Ok(()),
            stepped = work.step(finishing) => stepped,
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
                work.close();
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

/// What a task keeps level with its inputs.
// A task has one, so it does not matter that the kinds differ in size.
#[allow(clippy::large_enum_variant)]
enum Level {
    /// A job's partials; the runner where it is open.
    Job(Arc<Job>, Option<Runner>),
    /// A joined table.
    Join(Joined, Joiner),
}

impl Level {
    /// A job's name, or a joined table's.
    fn name(&self) -> &str {
        match self {
            Self::Job(job, _) => job.name(),
            Self::Join(joined, _) => joined.table(),
        }
    }

    fn table_name(&self) -> String {
        match self {
            Self::Job(job, _) => job.table_name(),
            Self::Join(joined, _) => joined.table().to_owned(),
        }
    }

    /// The table, where it is open.
    fn table(&self) -> Option<&Table> {
        match self {
            Self::Job(_, runner) => runner.as_ref().map(Runner::output),
            Self::Join(_, joiner) => joiner.output(),
        }
    }

    fn interval(&self, interval: Duration) -> Duration {
        match self {
            Self::Job(job, _) if job.mode().is_recompute() => interval.max(RECOMPUTE_INTERVAL),
            Self::Job(..) | Self::Join(..) => interval,
        }
    }
}

/// A task's work.
struct Work {
    lake: Lake,
    level: Level,
    /// What was last told to other processes.
    told: Told,
}

impl Work {
    async fn step(&mut self, finishing: bool) -> Result<Stepped, JobError> {
        match &mut self.level {
            Level::Job(job, open) => {
                let runner = match open.take() {
                    Some(runner) => runner,
                    None => Runner::open(&self.lake, job.clone()).await?,
                };
                open.insert(runner).step().await
            }
            Level::Join(_, joiner) => {
                let search = if finishing {
                    Search::Now
                } else {
                    Search::WhenDue
                };
                joiner.step(search).await
            }
        }
    }

    /// Opens everything anew with the next step.
    fn close(&mut self) {
        match &mut self.level {
            Level::Job(_, open) => *open = None,
            Level::Join(joined, joiner) => *joiner = Joiner::new(&self.lake, *joined),
        }
    }

    async fn tell(&mut self, error: Option<&str>) {
        let now = error.map_or(Told::Level, |error| Told::Failing(error.to_owned()));
        if self.told == now {
            return;
        }
        // A job that cannot be opened has a table all the same, unless it never ran.
        let table = match self.level.table() {
            Some(table) => Ok(Some(table.clone())),
            None => self.lake.existing(&self.level.table_name()).await,
        };
        match table {
            Ok(Some(table)) => {
                tell_error(&table, error).await;
                self.told = now;
            }
            Ok(None) => {}
            Err(failure) => tracing::warn!(
                job = self.level.name(),
                "what is wrong with the job could not be told to `status`: {failure}"
            ),
        }
    }
}
