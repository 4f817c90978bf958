//! All of a job computed anew, after its definition was changed.
//!
//! ```text
//! input, at one version ──piece by piece──▶ partials/<job>.next-… ──copied──▶ one commit to partials/<job>:
//!                                           (a table of its own,               files of the old definition out,
//!                                            with marks of its own)            files of the new one in, columns, note,
//!                                                                              progress
//! ```
//!
//! The table beside is a job's table like any other: each piece is a commit that counts it, so a run that was killed goes on
//! where it was, and of two runs at once one does each piece. It is level with what the old partials cover before the
//! switch, so no window is without rows meanwhile, and progress and watermark never go back. Readers see the old
//! partials until the switch, and the new ones from it on.
//!
//! **One commit.** The switch demands the job's mark where the old files were listed, the guard of maintenance, and the mark of the
//! definition ([`crate::partials_table`]), which it moves. So neither a runner of the old definition, nor compaction,
//! nor another renewal can come in between or go on after it unnoticed.

use std::sync::Arc;

use fail::fail_point;
use farol_lake::maintenance::Replacement;
use farol_lake::{
    AdditionLimits, Additions, Commit, Lake, LakeError, Marks, Outcome, Redefinition, Table, Upload,
};

use crate::changed::{span_of_all, windows_near};
use crate::definition::{Fingerprint, Job, WINDOW_START};
use crate::error::JobError;
use crate::inputs::{Inputs, revision};
use crate::partials_table::{self, next_generation, note, standing};
use crate::progress::{Progress, progress};
use crate::replace::{self, Plan};
use crate::step::{Runner, Stepped, is_gone, working_context};
use crate::writer::{Series, Writer};

/// Attempts before the switch gives up.
const ATTEMPTS_MAX: u32 = 20;

/// What came of the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switched {
    /// The table holds the new partials.
    Done {
        /// How many.
        partials: u64,
    },
    /// Another process was faster; its partials are as good.
    ByAnother,
}

/// A job on its way to partials of its present definition.
pub struct Renewal {
    lake: Lake,
    job: Arc<Job>,
    /// The table of partials, opened when it held the old definition.
    table: Table,
    /// Which definition that was.
    generation: i64,
    /// The job at work on the table beside.
    beside: Runner,
    plan: Plan,
}

impl Renewal {
    /// Begins, or goes on with what an earlier run has done; `None` where the partials are of the present definition, or
    /// there are none.
    ///
    /// # Errors
    /// Where the job's input is not there, or the lake cannot be read or written.
    pub async fn begin(lake: &Lake, job: &Arc<Job>) -> Result<Option<Self>, JobError> {
        let Some(table) = lake.existing(&job.table_name()).await? else {
            return Ok(None);
        };
        let standing = standing(&table, job);
        let generation = standing.generation;
        // What is left of a run that was killed after its switch.
        forget(lake, job, generation - 1).await?;
        let begun = progress(&table, job).await?.has_begun();
        if standing.differences.is_empty() || !begun {
            return Ok(None);
        }
        let beside = match found(lake, job, generation).await? {
            Some(beside) => beside,
            None => begun_anew(lake, job, generation).await?,
        };
        let mut beside = Runner::over(lake, job.clone(), beside, 0);
        let plan = plan_of(&mut beside).await?;
        Ok(Some(Self {
            lake: lake.clone(),
            job: job.clone(),
            table,
            generation,
            beside,
            plan,
        }))
    }

    /// How many pieces there are, and how many of them are done.
    pub fn pieces(&self) -> (usize, usize) {
        (self.plan.pieces.len(), self.plan.done)
    }

    /// Computes the next piece.
    ///
    /// # Errors
    /// Where the lake cannot be read or written. Pieces done before stay done.
    pub async fn next_piece(&mut self) -> Result<(), JobError> {
        let done = replace::try_piece(&mut self.beside, &mut self.plan).await;
        match done {
            Ok(Some(_)) => Ok(()),
            // Another run has done it.
            Ok(None) => {
                self.plan = plan_of(&mut self.beside).await?;
                Ok(())
            }
            Err(error) if self.is_done_by_another().await? => {
                tracing::debug!("another run has computed all of it: {error}");
                self.plan.done = self.plan.pieces.len();
                Ok(())
            }
            Err(error) => Err(self.begin_anew_where_rows_are_gone(error).await),
        }
    }

    /// Whether the table holds the present definition: whoever switched has deleted the table beside too.
    async fn is_done_by_another(&self) -> Result<bool, JobError> {
        let table = self.lake.existing(&self.job.table_name()).await?;
        Ok(table.is_some_and(|table| standing(&table, &self.job).differences.is_empty()))
    }

    /// Puts the new partials in the place of the old ones, once every piece is done.
    ///
    /// # Errors
    /// Where others keep committing in between, or the lake cannot be read or written. The old partials are there then; or,
    /// where the answer was lost, the new ones: beginning again tells.
    pub async fn switch(mut self) -> Result<Switched, JobError> {
        while self.plan.done < self.plan.pieces.len() {
            self.next_piece().await?;
        }
        match self.try_switch().await {
            Ok(switched) => {
                let forgotten = forget(&self.lake, &self.job, self.generation).await;
                if let Err(error) = forgotten {
                    tracing::warn!(
                        job = self.job.name(),
                        "the table that the partials were computed in is still there: {error}"
                    );
                }
                Ok(switched)
            }
            Err(error) if self.is_done_by_another().await? => {
                tracing::debug!("another run was faster: {error}");
                Ok(Switched::ByAnother)
            }
            Err(error) => Err(self.begin_anew_where_rows_are_gone(error).await),
        }
    }

    async fn try_switch(&mut self) -> Result<Switched, JobError> {
        let notes = note(&self.job, self.generation + 1);
        let (next, redefinition) = self.table.redefine(&self.job.table_spec(), &notes)?;
        let mut copy = Copied {
            runner: Runner::over(&self.lake, self.job.clone(), next, self.generation),
            through: None,
            uploads: Vec::new(),
        };
        for _ in 0..ATTEMPTS_MAX {
            let (old, marks) = Replacement::of_range(&self.table, WINDOW_START, None).await?;
            let from = Progress::of(&self.job, &marks);
            let mut to = copy.take_new(&self.beside.output).await?;
            // A runner of the old definition is still at work: its partials must not be ahead of the new ones.
            if to.is_behind(&from) {
                while self.beside.step().await? != Stepped::Level {}
                to = copy.take_new(&self.beside.output).await?;
            }
            let to = Progress {
                watermark_us: to.watermark_us.max(from.watermark_us),
                overflowed: to.overflowed + from.overflowed,
                ..to
            };
            match self.commit(&old, &from, &to, &copy, &redefinition).await? {
                Outcome::Committed { .. } => {
                    let partials = copy.uploads.iter().map(|upload| upload.rows).sum();
                    return Ok(Switched::Done { partials });
                }
                Outcome::Overtaken { steps } if steps.iter().any(|(place, _)| *place == 0) => {
                    // Opening says whether what is there now is this definition, or yet another one.
                    partials_table::open(&self.lake, &self.job).await?;
                    return Ok(Switched::ByAnother);
                }
                Outcome::Overtaken { .. } => {}
            }
        }
        Err(JobError::Overtaken {
            job: self.job.name().to_owned(),
            attempts: ATTEMPTS_MAX,
        })
    }

    async fn commit(
        &self,
        old: &Replacement,
        from: &Progress,
        to: &Progress,
        copy: &Copied,
        redefinition: &Redefinition,
    ) -> Result<Outcome, JobError> {
        let mut steps = vec![next_generation(&self.job, self.generation)];
        steps.extend(from.steps_to(&self.job, to));
        fail_point!("jobs.before_switch", |_| Err(JobError::Failpoint(
            "jobs.before_switch"
        )));
        let uploads = copy.uploads.clone();
        let committed = old
            .commit_redefining(&self.table, steps, uploads, redefinition.clone())
            .await;
        fail_point!("jobs.after_switch", |_| Err(JobError::Failpoint(
            "jobs.after_switch"
        )));
        match committed {
            // Another program removed a file of ours: look again.
            Err(LakeError::FileGone { .. }) => Ok(Outcome::Overtaken { steps: Vec::new() }),
            other => Ok(other?),
        }
    }

    /// Rows of the input's version were vacuumed while it was read: what was done of it is of no use.
    async fn begin_anew_where_rows_are_gone(&self, error: JobError) -> JobError {
        if !is_gone(&error) {
            return error;
        }
        match self.lake.drop_table(self.beside.output.name()).await {
            Ok(()) => JobError::SnapshotGone {
                job: self.job.name().to_owned(),
                reason: error.to_string(),
            },
            Err(failure) => failure.into(),
        }
    }
}

/// New partials that were written into the job's table, where no commit names them yet.
struct Copied {
    /// Writes with the new columns.
    runner: Runner,
    /// The version of the table beside that they are of.
    through: Option<i64>,
    uploads: Vec<Upload>,
}

impl Copied {
    /// Copies what was added to the table beside since the last time; the progress that all of the copy stands for.
    async fn take_new(&mut self, beside: &Table) -> Result<Progress, JobError> {
        let everything = AdditionLimits {
            versions: i64::MAX,
            bytes: u64::MAX,
        };
        let since = match self.through {
            Some(through) => beside.additions(through, everything).await?,
            None => None,
        };
        // Rows and marks are of one version: another run may be at work on the table beside.
        let (rows, through, marks) = if let Some(Additions {
            through,
            files,
            replaced: false,
            marks: Some(marks),
            ..
        }) = since
        {
            (beside.added_rows(files)?, through, marks)
        } else {
            self.uploads.clear();
            let (newest, marks) = beside.version_and_marks("farol/").await?;
            (beside.rows_at(newest).await?, newest, marks)
        };
        if self.through != Some(through) {
            let frame = working_context()?.read_table(rows)?;
            let mut writer = Writer::begin(&mut self.runner, Series::AsTheyAre).await?;
            writer.write(frame).await?;
            self.uploads.extend(writer.finish().await?.0);
            self.through = Some(through);
        }
        Ok(Progress::of(&self.runner.job, &marks))
    }
}

/// What the tables beside of a job are called, before their generation.
fn prefix(job: &Job) -> String {
    format!("{}.next-", job.table_name())
}

/// The table that an earlier run has begun, of this definition in the place of that generation; `None` where there is none.
async fn found(lake: &Lake, job: &Job, generation: i64) -> Result<Option<Table>, JobError> {
    let wanted = format!(
        "{}{generation}-{}-",
        prefix(job),
        Fingerprint::of(job).digest()
    );
    let mut newest = None;
    for name in lake.names().await? {
        let version = name.strip_prefix(&wanted);
        let Some(version) = version.and_then(|digits| digits.parse::<i64>().ok()) else {
            continue;
        };
        let Some(table) = lake.existing(&name).await? else {
            continue;
        };
        let fits = standing(&table, job).differences.is_empty();
        let begun = progress(&table, job).await?.has_begun();
        if fits && begun && newest.as_ref().is_none_or(|(known, _)| *known < version) {
            newest = Some((version, table));
        }
    }
    Ok(newest.map(|(_, table)| table))
}

/// A table beside, for the input as it is now.
async fn begun_anew(lake: &Lake, job: &Job, generation: i64) -> Result<Table, JobError> {
    let mut inputs = Inputs::of(job);
    if !inputs.open(lake).await? {
        return Err(no_input(job));
    }
    let (versions, watermark_us) = inputs.newest().await?;
    let digest = Fingerprint::of(job).digest();
    let name = format!(
        "{}{generation}-{digest}-{}",
        prefix(job),
        revision(&versions)
    );
    let table = partials_table::make(lake, job, &name).await?;
    let to = Progress {
        watermark_us,
        ..Progress::default().at(versions)
    };
    let steps = Progress::of(job, &Marks::default()).steps_to(job, &to);
    // Another run may have begun with the same version, which is as good.
    let (Outcome::Committed { .. } | Outcome::Overtaken { .. }) =
        table.commit(&Commit::append(steps, Vec::new())).await?;
    Ok(table)
}

/// The pieces of the version that the table beside was begun with.
async fn plan_of(beside: &mut Runner) -> Result<Plan, JobError> {
    let at = progress(&beside.output, &beside.job).await?;
    let Some(inputs) = beside.inputs().await?.filter(|_| at.has_begun()) else {
        return Err(no_input(&beside.job));
    };
    let rows = span_of_all(inputs.rows_at(&at.versions()).await?).await?;
    let windows = rows.map(|rows| windows_near(&beside.job, rows));
    replace::plan_all(
        beside,
        windows.map(|windows| (windows.from_us, windows.to_us)),
    )
    .await
}

fn no_input(job: &Job) -> JobError {
    let inputs: Vec<_> = job.inputs().collect();
    JobError::Range(format!(
        "job `{}` reads {}, which is not in the lake",
        job.name(),
        inputs.join(", ")
    ))
}

/// Deletes the tables beside that stood for the place of a generation or of one before it.
async fn forget(lake: &Lake, job: &Job, generation: i64) -> Result<(), JobError> {
    let prefix = prefix(job);
    for name in lake.names().await? {
        let of = name
            .strip_prefix(&prefix)
            .and_then(|rest| rest.split('-').next());
        if of.is_some_and(|digits| digits.parse::<i64>().is_ok_and(|of| of <= generation)) {
            lake.drop_table(&name).await?;
        }
    }
    Ok(())
}
