//! Keeping a rollup level with the partials: one step is one commit, with its progress.

use std::sync::Arc;

use datafusion::dataframe::DataFrame;
use datafusion::datasource::{TableProvider, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, ident};
use datafusion::prelude::SessionContext;
use fail::fail_point;
use farol_lake::maintenance::{CompactOptions, Replacement};
use farol_lake::{
    AddedFile, AdditionLimits, Additions, Commit, Lake, Outcome, Table, TableSpec, Upload,
};

use super::{FOLDER, Level};
use crate::aggregate::{merged, within};
use crate::compact::MergeReport;
use crate::definition::{Job, WINDOW_START, Width};
use crate::error::JobError;
use crate::grain::{Edge, Grain, edge_of};
use crate::progress::{Progress, progress};
use crate::replace;
use crate::step::{Runner, Stepped, is_gone, working_context};
use crate::writer::Series;

/// What one step may take.
const LIMITS: AdditionLimits = AdditionLimits {
    versions: 1_024,
    bytes: 256 << 20,
};

/// Everything.
const ALWAYS: (i64, i64) = (i64::MIN, i64::MAX);

/// A rollup being kept.
pub struct Rollup {
    partials: Table,
    /// The job with the rollup's windows, and its table.
    runner: Runner,
}

impl Rollup {
    /// Opens a job's rollup of these partials, and creates it where there is none. `None` for a job that has no rollup
    /// of this level.
    ///
    /// # Errors
    /// Where the table is there with other columns, or the store fails.
    pub async fn open(
        lake: &Lake,
        job: &Arc<Job>,
        partials: &Table,
        level: Level,
    ) -> Result<Option<Self>, JobError> {
        if !level.is_of(job) {
            return Ok(None);
        }
        let job_of_level = level.widened(job);
        let spec = TableSpec {
            description: format!(
                "Partials of the job {job}, merged by {level}",
                job = job.name()
            ),
            ..job_of_level.table_spec()
        };
        let name = level.table_name(job, partials);
        let output = lake.table(&name, &spec).await?;
        Ok(Some(Self {
            partials: partials.clone(),
            runner: Runner::into_table(lake, job_of_level, output),
        }))
    }

    /// Takes one step: what versions of the partials added is merged into the rollup, in one commit.
    ///
    /// # Errors
    /// Where the lake cannot be read or written. Nothing of the step is in the rollup then, or, where the answer was
    /// lost, all of it; the next step looks.
    pub async fn step(&mut self) -> Result<Stepped, JobError> {
        let from = progress(&self.runner.output, &self.runner.job).await?;
        let Some(version) = from.version else {
            return self.rebuild(from).await;
        };
        let Some(additions) = self.partials.additions(version, LIMITS).await? else {
            return self.rebuild(from).await;
        };
        if additions.through == version {
            return Ok(Stepped::Level);
        }
        let stepped = match replaced_ranges(&self.runner.job, &additions.replaced_by) {
            Some(range) if range.is_empty() => self.append(from, &additions).await,
            Some(range) => {
                self.replace(from, &additions, range.widened(self.width()))
                    .await
            }
            None => return self.rebuild(from).await,
        };
        match stepped {
            Err(error) if is_gone(&error) => self.rebuild(from).await,
            other => other,
        }
    }

    fn width(&self) -> Width {
        self.runner.job.window()
    }

    async fn append(&mut self, from: Progress, additions: &Additions) -> Result<Stepped, JobError> {
        let uploads = self.added(&additions.files, None).await?;
        let rows = uploads.iter().map(|upload| upload.rows).sum();
        let step = from.step_to(&self.runner.job, through(from, additions.through));
        let commit = Commit::append(vec![step], uploads);
        fail_point!("rollups.before_commit", |_| Err(JobError::Failpoint(
            "rollups.before_commit"
        )));
        let outcome = self.runner.output.commit(&commit).await?;
        fail_point!("rollups.after_commit", |_| Err(JobError::Failpoint(
            "rollups.after_commit"
        )));
        Ok(stepped(&outcome, additions.through, additions.newest, rows))
    }

    /// Makes the whole rollup anew from the partials of the newest version.
    async fn rebuild(&mut self, from: Progress) -> Result<Stepped, JobError> {
        let version = self.partials.refresh().await?;
        let nothing = Additions {
            through: version,
            newest: version,
            files: Vec::new(),
            replaced: true,
            replaced_by: Vec::new(),
            marks: None,
        };
        self.replace(from, &nothing, Range(ALWAYS.0, ALWAYS.1))
            .await
    }

    /// Makes the windows of a range anew from the partials as they are at the version that the additions reach, and adds
    /// what they hold of other windows.
    async fn replace(
        &mut self,
        from: Progress,
        additions: &Additions,
        Range(start, end): Range,
    ) -> Result<Stepped, JobError> {
        let range = (start, end);
        let chosen = (range != ALWAYS).then_some(range);
        let (replacement, marks) =
            Replacement::of_range(&self.runner.output, WINDOW_START, chosen).await?;
        if Progress::of(&self.runner.job, &marks).version != from.version {
            return Ok(Stepped::Overtaken);
        }
        let context = working_context()?;
        let rows = self.partials.rows_at(additions.through).await?;
        let inside = chosen.map(|range| within(ident(WINDOW_START), range));
        let frame = self.merging(&context, rows, inside)?;
        let (mut uploads, _) = self.runner.upload(frame, Series::Sorted).await?;
        if chosen.is_some() {
            let outside = !within(ident(WINDOW_START), range);
            uploads.extend(self.added(&additions.files, Some(outside)).await?);
            uploads.extend(replace::outside(&mut self.runner, &replacement, range).await?);
        }
        let rows = uploads.iter().map(|upload| upload.rows).sum();
        let step = from.step_to(&self.runner.job, through(from, additions.through));
        fail_point!("rollups.before_commit", |_| Err(JobError::Failpoint(
            "rollups.before_commit"
        )));
        let outcome = replacement
            .commit(&self.runner.output, vec![step], uploads)
            .await;
        let outcome = match outcome {
            Err(farol_lake::LakeError::FileGone { .. }) => return Ok(Stepped::Overtaken),
            other => other?,
        };
        fail_point!("rollups.after_commit", |_| Err(JobError::Failpoint(
            "rollups.after_commit"
        )));
        Ok(stepped(&outcome, additions.through, additions.newest, rows))
    }

    /// The rows of some files of partials, merged and written.
    async fn added(
        &mut self,
        files: &[AddedFile],
        filter: Option<Expr>,
    ) -> Result<Vec<Upload>, JobError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let context = working_context()?;
        let rows = self.partials.added_rows(files.to_vec())?;
        let frame = self.merging(&context, rows, filter)?;
        Ok(self.runner.upload(frame, Series::Sorted).await?.0)
    }

    fn merging(
        &self,
        context: &SessionContext,
        rows: Arc<dyn TableProvider>,
        filter: Option<Expr>,
    ) -> Result<DataFrame, DataFusionError> {
        let job = &self.runner.job;
        let mut plan = LogicalPlanBuilder::scan("partials", provider_as_source(rows), None)?;
        if let Some(filter) = filter {
            plan = plan.filter(filter)?;
        }
        let grain = Grain::of_width(job.window());
        let window = edge_of(Edge::Start, &grain, ident(WINDOW_START));
        let plan = merged(
            context,
            job,
            plan,
            window.alias(WINDOW_START),
            job.segments(),
        )?;
        let names = job.partials_schema();
        let columns = names.fields().iter().map(|field| ident(field.name()));
        let plan = plan
            .project(columns.collect::<Vec<_>>())?
            .sort([ident(WINDOW_START).sort(true, true)])?
            .build()?;
        Ok(DataFrame::new(context.state(), plan))
    }
}

/// Merges what is worth merging of a job's rollup.
///
/// # Errors
/// As [`crate::compact::compact`].
pub(crate) async fn compact(
    lake: &Lake,
    job: &Arc<Job>,
    level: Level,
    output: Table,
    options: &CompactOptions,
) -> Result<MergeReport, JobError> {
    debug_assert!(output.name().starts_with(FOLDER));
    let mut runner = Runner::into_table(lake, level.widened(job), output);
    crate::compact::compact(&mut runner, options).await
}

fn through(from: Progress, version: i64) -> Progress {
    Progress {
        version: Some(version),
        ..from
    }
}

fn stepped(outcome: &Outcome, through: i64, newest: i64, partials: u64) -> Stepped {
    match outcome {
        Outcome::Committed { .. } => Stepped::Advanced {
            through,
            behind: newest - through,
            partials,
        },
        Outcome::Overtaken { .. } => Stepped::Overtaken,
    }
}

/// Times from one and before another, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range(i64, i64);

impl Range {
    const EMPTY: Self = Self(i64::MAX, i64::MIN);

    fn is_empty(self) -> bool {
        self.0 >= self.1
    }

    fn with(self, other: Self) -> Self {
        Self(self.0.min(other.0), self.1.max(other.1))
    }

    /// Widened to whole windows.
    fn widened(self, width: Width) -> Self {
        let end = width.start_of(self.1.saturating_add(width.micros() - 1));
        Self(width.start_of(self.0), end)
    }
}

/// The range of windows that replacing versions may have changed, by the backfills they name; `None` where one names
/// none, so that it may be any window.
fn replaced_ranges(job: &Job, versions: &[Vec<String>]) -> Option<Range> {
    let run = format!("{}#run/", job.app_id());
    let range_of = |id: &String| {
        let (from, to) = split_range(id.strip_prefix(&run)?)?;
        Some(Range(from, to))
    };
    versions.iter().try_fold(Range::EMPTY, |range, ids| {
        Some(range.with(ids.iter().find_map(range_of)?))
    })
}

/// Two numbers with a dash between, either of which may be negative.
fn split_range(text: &str) -> Option<(i64, i64)> {
    let dash = text.get(1..)?.find('-')? + 1;
    let (from, to) = (text.get(..dash)?, text.get(dash + 1..)?);
    Some((from.parse().ok()?, to.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_from_the_marks_of_backfills() {
        assert_eq!(split_range("5-9"), Some((5, 9)));
        assert_eq!(split_range("-9--5"), Some((-9, -5)));
        assert_eq!(split_range("-9-5"), Some((-9, 5)));
        assert_eq!(split_range("5"), None);
        assert_eq!(split_range(""), None);
    }

    #[test]
    fn a_range_is_widened_to_whole_windows() {
        let hour = 3_600_000_000;
        let widened = |from, to| Range(from, to).widened(Width::HOUR);
        assert_eq!(widened(1, 2), Range(0, hour));
        assert_eq!(widened(0, hour), Range(0, hour));
        assert_eq!(widened(-1, hour + 1), Range(-hour, 2 * hour));
        assert!(Range::EMPTY.is_empty());
        assert_eq!(Range::EMPTY.with(Range(3, 5)), Range(3, 5));
    }
}
