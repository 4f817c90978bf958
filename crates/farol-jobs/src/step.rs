//! One step of a job: what versions of its inputs added becomes partials, in one commit with the progress.

use std::sync::Arc;
use std::time::Instant;

use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use fail::fail_point;
use farol_lake::{AdditionLimits, Commit, Lake, Outcome, Step, Table, Upload};

use crate::aggregate::contributions;
use crate::definition::{Job, Mode, context};
use crate::error::JobError;
use crate::inputs::{Added, Inputs};
use crate::progress::{Progress, progress};
use crate::series_limit::SeriesLimit;
use crate::writer::{Series, Writer};
use crate::{partials_table, recompute, replace};

/// What one step may take of each input.
const LIMITS: AdditionLimits = AdditionLimits {
    versions: 256,
    bytes: 256 << 20,
};

/// Memory for one step's groups before they are spilled to disk.
const MEMORY_BYTES: usize = 512 << 20;

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// There was nothing to do: the partials cover the newest version.
    Level,
    /// Partials were committed.
    Advanced {
        /// The version of the first input that they cover now; -1 where that has none.
        through: i64,
        /// Versions of the inputs that are left.
        behind: i64,
        /// Rows of partials.
        partials: u64,
    },
    /// Another process was faster; its partials are as good.
    Overtaken,
}

/// A job at work.
pub struct Runner {
    pub(crate) job: Arc<Job>,
    pub(crate) lake: Lake,
    pub(crate) output: Table,
    inputs: Inputs,
    pub(crate) series: Option<SeriesLimit>,
    /// Which definition of the job the table held when it was opened.
    pub(crate) generation: i64,
    /// Whether a commit found that it holds another one now.
    redefined: bool,
}

impl Runner {
    /// Opens the job's table of partials, and creates it where there is none.
    ///
    /// # Errors
    /// Where the table holds partials of another definition of the job; or the store fails.
    pub async fn open(lake: &Lake, job: Arc<Job>) -> Result<Self, JobError> {
        let held = partials_table::open(lake, &job).await?;
        Ok(Self::over(lake, job, held.table, held.generation))
    }

    /// A job at work on a table that is known to be of its definition.
    pub(crate) fn over(lake: &Lake, job: Arc<Job>, output: Table, generation: i64) -> Self {
        Self {
            lake: lake.clone(),
            output,
            inputs: Inputs::of(&job),
            series: None,
            generation,
            redefined: false,
            job,
        }
    }

    /// Opens the table again where a commit found that its definition was changed.
    ///
    /// # Errors
    /// As [`Runner::open`].
    pub(crate) async fn follow_redefinition(&mut self) -> Result<(), JobError> {
        if self.redefined {
            *self = Self::open(&self.lake, self.job.clone()).await?;
        }
        Ok(())
    }

    /// The steps of a commit of partials, after the one that each of them takes: the table must still be of this
    /// definition.
    pub(crate) fn beside_unchanged(&self, steps: Vec<Step>) -> Vec<Step> {
        let unchanged = partials_table::unchanged(&self.job, self.generation);
        std::iter::once(unchanged).chain(steps).collect()
    }

    /// Takes notice where the first step, that of the definition, was overtaken.
    pub(crate) fn notice(&mut self, outcome: &Outcome) {
        if let Outcome::Overtaken { steps } = outcome {
            self.redefined |= steps.iter().any(|(step, _)| *step == 0);
        }
    }

    /// The job.
    pub fn job(&self) -> &Arc<Job> {
        &self.job
    }

    /// The table of its partials.
    pub fn output(&self) -> &Table {
        &self.output
    }

    /// The tables that it reads; `None` where none is there yet.
    pub(crate) async fn inputs(&mut self) -> Result<Option<Inputs>, JobError> {
        let any = self.inputs.open(&self.lake).await?;
        Ok(any.then(|| self.inputs.clone()))
    }

    /// Takes one step.
    ///
    /// # Errors
    /// Where the job's SQL fails, or the lake cannot be read or written. Nothing of the step is in the table then, or,
    /// where the answer was lost, all of it; the next step looks.
    pub async fn step(&mut self) -> Result<Stepped, JobError> {
        self.follow_redefinition().await?;
        let Some(inputs) = self.inputs().await? else {
            return Ok(Stepped::Level);
        };
        let began = Instant::now();
        let from = progress(&self.output, &self.job).await?;
        let limits = match self.job.mode() {
            Mode::Incremental => LIMITS,
            Mode::Recompute { .. } => recompute::LIMITS,
        };
        let Some(added) = inputs.added(&from.versions(), limits).await? else {
            return self
                .rebuild(&inputs, &from, "the log of an input was cleaned")
                .await;
        };
        if added.through() == from.versions() {
            return Ok(Stepped::Level);
        }
        match self.append(&from, &added).await {
            Err(error) if is_gone(&error) => {
                self.rebuild(&inputs, &from, "files of an input were vacuumed")
                    .await
            }
            other => {
                metrics::histogram!("farol_job_step_seconds", "job" => self.job.name().to_owned())
                    .record(began.elapsed().as_secs_f64());
                other
            }
        }
    }

    async fn append(&mut self, from: &Progress, added: &Added) -> Result<Stepped, JobError> {
        let (mut uploads, mut beyond) = (Vec::new(), 0);
        if added.has_rows() {
            (uploads, beyond) = match self.job.mode() {
                Mode::Incremental => self.contributions(added).await?,
                Mode::Recompute { .. } => recompute::near(self, added).await?,
            };
        }
        let to = Progress {
            watermark_us: from.watermark_us.max(added.watermark_us()),
            overflowed: from.overflowed + beyond as i64,
            ..from.at(added.through())
        };
        let partials = uploads.iter().map(|upload| upload.rows).sum();
        let steps = self.beside_unchanged(from.steps_to(&self.job, &to));
        let commit = Commit::append(steps, uploads);
        fail_point!("jobs.before_commit", |_| Err(JobError::Failpoint(
            "jobs.before_commit"
        )));
        let outcome = self.output.commit(&commit).await?;
        self.notice(&outcome);
        fail_point!("jobs.after_commit", |_| Err(JobError::Failpoint(
            "jobs.after_commit"
        )));
        if let Outcome::Overtaken { .. } = outcome {
            self.series = None;
            return Ok(Stepped::Overtaken);
        }
        self.tell_overflow(beyond);
        Ok(Stepped::Advanced {
            through: to.version.unwrap_or(-1),
            behind: added.behind(),
            partials,
        })
    }

    async fn contributions(&mut self, added: &Added) -> Result<(Vec<Upload>, u64), JobError> {
        let context = working_context()?;
        let frame = contributions(&context, &self.job, added.rows()?, None).await?;
        self.upload(frame, Series::Limited).await
    }

    /// The job is further behind than an input's log, or the files that it names, are kept: what it missed is
    /// computed from one snapshot, in place of what is there of those windows.
    async fn rebuild(
        &mut self,
        inputs: &Inputs,
        from: &Progress,
        reason: &str,
    ) -> Result<Stepped, JobError> {
        tracing::warn!(
            job = self.job.name(),
            "{reason} before this job read it; rebuilding its windows from a snapshot"
        );
        let (versions, watermark_us) = inputs.newest().await?;
        let to = Progress {
            watermark_us: from.watermark_us.max(watermark_us),
            ..from.at(versions)
        };
        replace::rebuild(self, inputs, from, to).await
    }

    /// Writes partials as files that no commit names yet; how many rows were kept under `other`.
    pub(crate) async fn upload(
        &mut self,
        frame: DataFrame,
        series: Series,
    ) -> Result<(Vec<Upload>, u64), JobError> {
        let mut writer = Writer::begin(self, series).await?;
        writer.write(frame).await?;
        writer.finish().await
    }

    pub(crate) fn tell_overflow(&self, beyond: u64) {
        if beyond > 0 {
            metrics::counter!("farol_job_overflow_total", "job" => self.job.name().to_owned())
                .increment(beyond);
            tracing::warn!(
                job = self.job.name(),
                partials = beyond,
                max_series = self.job.max_series(),
                "more series than max_series: the rest is kept under the segment `other`"
            );
        }
    }
}

/// A session for one step, with bounded memory.
pub(crate) fn working_context() -> Result<SessionContext, DataFusionError> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(MEMORY_BYTES)))
        .build_arc()?;
    let state = SessionStateBuilder::new_from_existing(context().state())
        .with_runtime_env(runtime)
        .build();
    Ok(SessionContext::new_with_state(state))
}

/// Whether a file that the log names is not in the store any more.
pub(crate) fn is_gone(error: &JobError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(object_store::Error::NotFound { .. }) = error.downcast_ref() {
            return true;
        }
        cause = error.source();
    }
    // Parquet's reader passes the store's error on as text.
    let text = error.to_string();
    text.contains("No such file or directory") || text.contains("NoSuchKey")
}
