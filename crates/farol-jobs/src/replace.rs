//! Whole windows in the place of others: a backfill over a range, or what a job missed.
//!
//! New partials are computed from the versions of the inputs that the job's progress names, and committed in place of
//! the files that stood for that progress; rows of those files that belong to other windows are written again. The
//! commit moves the guard of maintenance, which excludes compaction and any other replacement. The live runner is not
//! in its way: what it commits in the meantime, or later, is of later versions of the input, in files of its own. So a
//! busy job cannot keep a backfill from ending, nor a backfill a job from being fresh.

use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn::min;
use datafusion::logical_expr::ident;
use fail::fail_point;
use farol_lake::maintenance::Replacement;
use farol_lake::{LakeError, Outcome, Step, Upload};

use crate::aggregate::{InputRows, contributions, in_range, within};
use crate::definition::{Mode, WINDOW_START};
use crate::error::JobError;
use crate::inputs::{Inputs, revision};
use crate::progress::Progress;
use crate::recompute;
use crate::step::{Runner, Stepped, working_context};
use crate::writer::Series;

/// Attempts before a replacement gives up.
const ATTEMPTS_MAX: u32 = 20;

/// A range of windows to replace is cut into pieces of this many microseconds: a commit each.
const PIECE_US: i64 = 6 * 3_600 * 1_000_000;

/// The year 1700: before any window.
const BEFORE_ALL_US: i64 = -8_520_336_000_000_000;

/// A backfill's way through its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The pieces, each from and to (not included), in microseconds.
    pub pieces: Vec<(i64, i64)>,
    /// The pieces that an earlier run, which was stopped, has done.
    pub done: usize,
    id: String,
    /// The value of the mark that counts pieces.
    count: i64,
}

/// Cuts a range, widened to whole windows, into pieces; and looks up how far an earlier run over the same range came.
///
/// # Errors
/// Where the range is empty, or the table of partials cannot be read.
pub async fn plan(runner: &Runner, from_us: i64, to_us: i64) -> Result<Plan, JobError> {
    let window = runner.job.window();
    let from = window.start_of(from_us);
    let to = window.start_of(to_us.saturating_add(window.micros() - 1));
    if from >= to {
        return Err(JobError::Range("--from must be before --to".to_owned()));
    }
    let pieces = pieces(from, to);
    let id = format!("{}#run/{from}-{to}", runner.job.app_id());
    let count = counted(runner, &id).await?;
    Ok(Plan {
        done: (count.unsigned_abs() as usize) % pieces.len(),
        pieces,
        id,
        count,
    })
}

/// Cuts all of time into pieces, for a table that is filled once. `rows` is the range that the input has rows in; what a
/// job's SQL makes of them beyond it is in the first and the last piece.
pub(crate) async fn plan_all(runner: &Runner, rows: Option<(i64, i64)>) -> Result<Plan, JobError> {
    let mut pieces = rows.map_or_else(Vec::new, |(from, to)| pieces(from, to));
    if let Some(first) = pieces.first_mut() {
        first.0 = BEFORE_ALL_US;
    }
    if let Some(last) = pieces.last_mut() {
        last.1 = i64::MAX;
    }
    let id = format!("{}#run/all", runner.job.app_id());
    let count = counted(runner, &id).await?;
    Ok(Plan {
        done: (count.unsigned_abs() as usize).min(pieces.len()),
        pieces,
        id,
        count,
    })
}

/// The value of a mark that counts pieces.
async fn counted(runner: &Runner, id: &str) -> Result<i64, JobError> {
    let marks = runner.output.marks(id).await?;
    Ok(marks.get(id).copied().unwrap_or(0))
}

fn pieces(from: i64, to: i64) -> Vec<(i64, i64)> {
    let mut pieces = Vec::new();
    let mut start = from;
    while start < to {
        let end = (start - start.rem_euclid(PIECE_US) + PIECE_US).min(to);
        pieces.push((start, end));
        start = end;
    }
    pieces
}

/// Replaces the windows of the next piece; how many rows of partials they have now.
///
/// # Errors
/// Where others keep committing in between, or the lake cannot be read or written. Pieces done before stay done.
pub async fn next_piece(runner: &mut Runner, plan: &mut Plan) -> Result<u64, JobError> {
    for _ in 0..ATTEMPTS_MAX {
        runner.follow_redefinition().await?;
        if let Some(partials) = try_piece(runner, plan).await? {
            return Ok(partials);
        }
    }
    Err(JobError::Overtaken {
        job: runner.job.name().to_owned(),
        attempts: ATTEMPTS_MAX,
    })
}

/// The same, once: `None` where others committed in between.
pub(crate) async fn try_piece(
    runner: &mut Runner,
    plan: &mut Plan,
) -> Result<Option<u64>, JobError> {
    let Some(&range) = plan.pieces.get(plan.done) else {
        return Ok(Some(0));
    };
    let (replacement, at) = files_of(runner, range).await?;
    let versions = at.versions();
    let has_run = versions.iter().any(Option::is_some);
    let Some(inputs) = runner.inputs().await?.filter(|_| has_run) else {
        return Err(JobError::Range(format!(
            "job `{}` has not run yet, so there is nothing to replace; `farol run --roles jobs` runs it",
            runner.job.name()
        )));
    };
    let rows = inputs.rows_at(&versions).await?;
    let computed = compute(runner, &replacement, rows, range, revision(&versions)).await?;
    runner.tell_overflow(computed.beyond);
    let counted = Step {
        guard: plan.id.clone(),
        from: (plan.count > 0).then_some(plan.count),
        marks: vec![(plan.id.clone(), plan.count + 1)],
    };
    let partials = computed.partials;
    let outcome = commit(runner, &replacement, vec![counted], computed.uploads).await?;
    let Outcome::Committed { .. } = outcome else {
        return Ok(None);
    };
    plan.count += 1;
    plan.done += 1;
    Ok(Some(partials))
}

/// Replaces every window that the input still has rows of, and moves the job's progress.
pub(crate) async fn rebuild(
    runner: &mut Runner,
    inputs: &Inputs,
    from: &Progress,
    to: Progress,
) -> Result<Stepped, JobError> {
    let versions = to.versions();
    let rows = inputs.rows_at(&versions).await?;
    let oldest = oldest_us(&rows).await?;
    let start = oldest.map_or(i64::MAX, |time_us| runner.job.window().start_of(time_us));
    let range = (start, i64::MAX);
    let (replacement, at) = files_of(runner, range).await?;
    if at.versions() != from.versions() {
        return Ok(Stepped::Overtaken);
    }
    let computed = compute(runner, &replacement, rows, range, revision(&versions)).await?;
    let to = Progress {
        overflowed: to.overflowed + computed.beyond as i64,
        ..to
    };
    let steps = from.steps_to(&runner.job, &to);
    let outcome = commit(runner, &replacement, steps, computed.uploads).await?;
    runner.tell_overflow(computed.beyond);
    Ok(match outcome {
        Outcome::Committed { .. } => Stepped::Advanced {
            through: to.version.unwrap_or(-1),
            behind: 0,
            partials: computed.partials,
        },
        Outcome::Overtaken { .. } => Stepped::Overtaken,
    })
}

/// The time of the oldest row of all inputs.
async fn oldest_us(rows: &InputRows) -> Result<Option<i64>, JobError> {
    let mut oldest: Option<i64> = None;
    for rows in rows {
        let found = working_context()?
            .read_table(rows.clone())?
            .aggregate(vec![], vec![min(ident("event_time"))])?
            .collect()
            .await?;
        let found = found
            .first()
            .map(|batch| ScalarValue::try_from_array(batch.column(0), 0));
        if let Some(ScalarValue::TimestampMicrosecond(Some(time_us), _)) = found.transpose()? {
            oldest = Some(oldest.map_or(time_us, |oldest| oldest.min(time_us)));
        }
    }
    Ok(oldest)
}

/// The files that hold partials of a range, and the progress that they stand for.
async fn files_of(runner: &Runner, range: (i64, i64)) -> Result<(Replacement, Progress), JobError> {
    let (found, marks) = Replacement::of_range(&runner.output, WINDOW_START, Some(range)).await?;
    Ok((found, Progress::of(&runner.job, &marks)))
}

/// What is to be committed in place of a range.
struct Computed {
    uploads: Vec<Upload>,
    /// Rows of partials within the range.
    partials: u64,
    /// Those of them that are kept under `other`.
    beyond: u64,
}

async fn compute(
    runner: &mut Runner,
    replacement: &Replacement,
    rows: InputRows,
    range: (i64, i64),
    revision: i64,
) -> Result<Computed, JobError> {
    let kept = outside(runner, replacement, range).await?;
    let (mut uploads, beyond) = match runner.job.mode() {
        Mode::Incremental => {
            let context = working_context()?;
            let frame = contributions(&context, &runner.job, rows, Some(in_range(range))).await?;
            runner.upload(frame, Series::Limited).await?
        }
        Mode::Recompute { .. } => recompute::range(runner, rows, range, revision).await?,
    };
    let partials = uploads.iter().map(|upload| upload.rows).sum();
    uploads.extend(kept);
    Ok(Computed {
        uploads,
        partials,
        beyond,
    })
}

async fn commit(
    runner: &mut Runner,
    replacement: &Replacement,
    steps: Vec<Step>,
    uploads: Vec<Upload>,
) -> Result<Outcome, JobError> {
    fail_point!("jobs.before_commit", |_| Err(JobError::Failpoint(
        "jobs.before_commit"
    )));
    let steps = runner.beside_unchanged(steps);
    let committed = replacement.commit(&runner.output, steps, uploads).await;
    let outcome = match committed {
        // Another program removed a file of ours: look again.
        Err(LakeError::FileGone { .. }) => Outcome::Overtaken { steps: Vec::new() },
        other => other?,
    };
    runner.notice(&outcome);
    fail_point!("jobs.after_commit", |_| Err(JobError::Failpoint(
        "jobs.after_commit"
    )));
    Ok(outcome)
}

/// The rows of files to be replaced that belong to other windows, written again.
pub(crate) async fn outside(
    runner: &mut Runner,
    replacement: &Replacement,
    range: (i64, i64),
) -> Result<Vec<Upload>, JobError> {
    if replacement.files.is_empty() {
        return Ok(Vec::new());
    }
    let rows = runner.output.added_rows(replacement.files.clone())?;
    let frame = working_context()?
        .read_table(rows)?
        .filter(!within(ident(WINDOW_START), range))?;
    Ok(runner.upload(frame, Series::AsTheyAre).await?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_round_times() {
        let hour = 3_600_000_000;
        assert_eq!(
            pieces(5 * hour, 13 * hour),
            [
                (5 * hour, 6 * hour),
                (6 * hour, 12 * hour),
                (12 * hour, 13 * hour)
            ]
        );
        assert_eq!(pieces(0, 6 * hour), [(0, 6 * hour)]);
        assert_eq!(pieces(-hour, hour), [(-hour, 0), (0, hour)]);
    }
}
