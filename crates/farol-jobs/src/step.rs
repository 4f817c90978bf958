//! One step of a job: what versions of its input added becomes partials, in one commit with the progress.

use std::sync::Arc;
use std::time::Instant;

use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use fail::fail_point;
use farol_lake::{AdditionLimits, Additions, Commit, Lake, LakeError, Outcome, Table, Upload};

use crate::aggregate::contributions;
use crate::definition::{Job, Mode, context};
use crate::error::JobError;
use crate::progress::{Progress, progress, watermark_us};
use crate::series_limit::SeriesLimit;
use crate::writer::{Series, Writer};
use crate::{recompute, replace};

/// What one step may take.
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
        /// The input's version that they cover now.
        through: i64,
        /// Versions that are left.
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
    input: Option<Table>,
    pub(crate) series: Option<SeriesLimit>,
}

impl Runner {
    /// Opens the job's table of partials, and creates it where there is none.
    ///
    /// # Errors
    /// Where the table is there with other columns: the job was changed; or the store fails.
    pub async fn open(lake: &Lake, job: Arc<Job>) -> Result<Self, JobError> {
        let output = match lake.table(&job.table_name(), &job.table_spec()).await {
            Err(LakeError::OtherColumns { reason, .. }) => {
                return Err(JobError::Changed {
                    job: job.name().to_owned(),
                    table: job.table_name(),
                    reason,
                });
            }
            other => other?,
        };
        if let Some(column) = beyond_the_job(&output, &job) {
            return Err(JobError::Changed {
                job: job.name().to_owned(),
                table: job.table_name(),
                reason: format!("column `{column}` is in the table and not in the job"),
            });
        }
        Ok(Self::into_table(lake, job, output))
    }

    /// A runner that writes the job's partials into another table.
    pub(crate) fn into_table(lake: &Lake, job: Arc<Job>, output: Table) -> Self {
        Self {
            lake: lake.clone(),
            output,
            input: None,
            series: None,
            job,
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

    /// The table that it reads; `None` where there is none yet.
    pub async fn input(&mut self) -> Result<Option<Table>, JobError> {
        if self.input.is_none() {
            self.input = self.lake.existing(self.job.reads()).await?;
        }
        Ok(self.input.clone())
    }

    /// Takes one step.
    ///
    /// # Errors
    /// Where the job's SQL fails, or the lake cannot be read or written. Nothing of the step is in the table then, or,
    /// where the answer was lost, all of it; the next step looks.
    pub async fn step(&mut self) -> Result<Stepped, JobError> {
        let Some(input) = self.input().await? else {
            return Ok(Stepped::Level);
        };
        let began = Instant::now();
        let from = progress(&self.output, &self.job).await?;
        let limits = match self.job.mode() {
            Mode::Incremental => LIMITS,
            Mode::Recompute { .. } => recompute::LIMITS,
        };
        let additions = input.additions(from.version.unwrap_or(-1), limits).await?;
        let Some(additions) = additions else {
            return self
                .rebuild(&input, from, "the log of its input was cleaned")
                .await;
        };
        if Some(additions.through) == from.version || additions.through < 0 {
            return Ok(Stepped::Level);
        }
        match self.append(&input, from, &additions).await {
            Err(error) if is_gone(&error) => {
                self.rebuild(&input, from, "files of its input were vacuumed")
                    .await
            }
            other => {
                metrics::histogram!("farol_job_step_seconds", "job" => self.job.name().to_owned())
                    .record(began.elapsed().as_secs_f64());
                other
            }
        }
    }

    async fn append(
        &mut self,
        input: &Table,
        from: Progress,
        additions: &Additions,
    ) -> Result<Stepped, JobError> {
        let (mut uploads, mut beyond) = (Vec::new(), 0);
        if !additions.files.is_empty() {
            (uploads, beyond) = match self.job.mode() {
                Mode::Incremental => self.contributions(input, additions).await?,
                Mode::Recompute { .. } => recompute::near(self, input, additions).await?,
            };
        }
        let watermark = additions.marks.as_ref().and_then(watermark_us);
        let to = Progress {
            version: Some(additions.through),
            watermark_us: from.watermark_us.max(watermark),
            overflowed: from.overflowed + beyond as i64,
        };
        let partials = uploads.iter().map(|upload| upload.rows).sum();
        let commit = Commit::append(vec![from.step_to(&self.job, to)], uploads);
        fail_point!("jobs.before_commit", |_| Err(JobError::Failpoint(
            "jobs.before_commit"
        )));
        let outcome = self.output.commit(&commit).await?;
        fail_point!("jobs.after_commit", |_| Err(JobError::Failpoint(
            "jobs.after_commit"
        )));
        if let Outcome::Overtaken { .. } = outcome {
            self.series = None;
            return Ok(Stepped::Overtaken);
        }
        self.tell_overflow(beyond);
        Ok(Stepped::Advanced {
            through: additions.through,
            behind: additions.newest - additions.through,
            partials,
        })
    }

    async fn contributions(
        &mut self,
        input: &Table,
        additions: &Additions,
    ) -> Result<(Vec<Upload>, u64), JobError> {
        let context = working_context()?;
        let rows = input.added_rows(additions.files.clone())?;
        let frame = contributions(&context, &self.job, rows, None).await?;
        self.upload(frame, Series::Limited).await
    }

    /// The job is further behind than its input's log, or the files that it names, are kept: what it missed is
    /// computed from one snapshot, in place of what is there of those windows.
    async fn rebuild(
        &mut self,
        input: &Table,
        from: Progress,
        reason: &str,
    ) -> Result<Stepped, JobError> {
        tracing::warn!(
            job = self.job.name(),
            "{reason} before this job read it; rebuilding its windows from a snapshot"
        );
        let (version, marks) = input.version_and_marks("farol/").await?;
        let to = Progress {
            version: Some(version),
            watermark_us: from.watermark_us.max(watermark_us(&marks)),
            ..from
        };
        replace::rebuild(self, input, from, to).await
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

/// A column of the table of partials that the job does not fill (any more).
fn beyond_the_job(partials: &Table, job: &Job) -> Option<String> {
    let own = job.partials_schema();
    let mut columns = partials.schema().fields().iter();
    columns
        .find(|column| own.field_with_name(column.name()).is_err())
        .map(|column| column.name().clone())
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
