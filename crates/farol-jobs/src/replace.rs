//! Whole windows in the place of others: a backfill over a range, or what a job missed.
//!
//! New partials are computed from the version of the input that the job's progress names, and committed in place of
//! the files that stood for that progress; rows of those files that belong to other windows are written again. The
//! commit moves the guard of maintenance, which excludes compaction and any other replacement. The live runner is not
//! in its way: what it commits in the meantime, or later, is of later versions of the input, in files of its own. So a
//! busy job cannot keep a backfill from ending, nor a backfill a job from being fresh.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::datasource::TableProvider;
use datafusion::functions_aggregate::expr_fn::min;
use datafusion::logical_expr::ident;
use fail::fail_point;
use farol_lake::maintenance::Replacement;
use farol_lake::{LakeError, Outcome, Step, Table, Upload};

use crate::aggregate::{contributions, within};
use crate::definition::{Mode, WINDOW_START};
use crate::error::JobError;
use crate::progress::Progress;
use crate::recompute;
use crate::step::{Runner, Stepped, working_context};
use crate::writer::Series;

/// Attempts before a replacement gives up.
const ATTEMPTS_MAX: u32 = 20;

/// A range of windows to replace is cut into pieces of this many microseconds: a commit each.
const PIECE_US: i64 = 6 * 3_600 * 1_000_000;

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
    let count = runner
        .output
        .marks(&id)
        .await?
        .get(&id)
        .copied()
        .unwrap_or(0);
    Ok(Plan {
        done: (count.unsigned_abs() as usize) % pieces.len(),
        pieces,
        id,
        count,
    })
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
    let Some(&range) = plan.pieces.get(plan.done) else {
        return Ok(0);
    };
    for _ in 0..ATTEMPTS_MAX {
        let (replacement, at) = files_of(runner, range).await?;
        let (Some(input), Some(version)) = (runner.input().await?, at.version) else {
            return Err(JobError::Range(format!(
                "job `{}` has not run yet, so there is nothing to replace; `farol run --roles jobs` runs it",
                runner.job.name()
            )));
        };
        let rows = input.rows_at(version).await?;
        let computed = compute(runner, &replacement, rows, range, version).await?;
        runner.tell_overflow(computed.beyond);
        let counted = Step {
            guard: plan.id.clone(),
            from: (plan.count > 0).then_some(plan.count),
            marks: vec![(plan.id.clone(), plan.count + 1)],
        };
        let partials = computed.partials;
        let outcome = commit(runner, &replacement, counted, computed.uploads).await?;
        if let Outcome::Committed { .. } = outcome {
            plan.count += 1;
            plan.done += 1;
            return Ok(partials);
        }
    }
    Err(JobError::Overtaken {
        job: runner.job.name().to_owned(),
        attempts: ATTEMPTS_MAX,
    })
}

/// Replaces every window that the input still has rows of, and moves the job's progress.
pub(crate) async fn rebuild(
    runner: &mut Runner,
    input: &Table,
    from: Progress,
    to: Progress,
) -> Result<Stepped, JobError> {
    let version = to.version.unwrap_or(0);
    let rows = input.rows_at(version).await?;
    let oldest = working_context()?
        .read_table(rows.clone())?
        .aggregate(vec![], vec![min(ident("event_time"))])?
        .collect()
        .await?;
    let oldest = oldest
        .first()
        .map(|batch| ScalarValue::try_from_array(batch.column(0), 0));
    let start = match oldest.transpose()? {
        Some(ScalarValue::TimestampMicrosecond(Some(time_us), _)) => {
            runner.job.window().start_of(time_us)
        }
        _ => i64::MAX,
    };
    let range = (start, i64::MAX);
    let (replacement, at) = files_of(runner, range).await?;
    if at.version != from.version {
        return Ok(Stepped::Overtaken);
    }
    let computed = compute(runner, &replacement, rows, range, version).await?;
    let to = Progress {
        overflowed: to.overflowed + computed.beyond as i64,
        ..to
    };
    let step = from.step_to(&runner.job, to);
    let outcome = commit(runner, &replacement, step, computed.uploads).await?;
    runner.tell_overflow(computed.beyond);
    Ok(match outcome {
        Outcome::Committed { .. } => Stepped::Advanced {
            through: version,
            behind: 0,
            partials: computed.partials,
        },
        Outcome::Overtaken { .. } => Stepped::Overtaken,
    })
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
    rows: Arc<dyn TableProvider>,
    range: (i64, i64),
    version: i64,
) -> Result<Computed, JobError> {
    let kept = outside(runner, replacement, range).await?;
    let (mut uploads, beyond) = match runner.job.mode() {
        Mode::Incremental => {
            let context = working_context()?;
            let frame = contributions(&context, &runner.job, rows, Some(range)).await?;
            runner.upload(frame, Series::Limited).await?
        }
        Mode::Recompute { .. } => recompute::range(runner, rows, range, version).await?,
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
    runner: &Runner,
    replacement: &Replacement,
    step: Step,
    uploads: Vec<Upload>,
) -> Result<Outcome, JobError> {
    fail_point!("jobs.before_commit", |_| Err(JobError::Failpoint(
        "jobs.before_commit"
    )));
    let committed = replacement
        .commit(&runner.output, vec![step], uploads)
        .await;
    let outcome = match committed {
        // Another program removed a file of ours: look again.
        Err(LakeError::FileGone { .. }) => Outcome::Overtaken { steps: Vec::new() },
        other => other?,
    };
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
