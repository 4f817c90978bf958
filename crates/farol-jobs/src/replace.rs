//! Whole windows in the place of others: a backfill over a range, or what a job missed.
//!
//! The new partials are computed from one version of the input; what is there of those windows is removed, and rows
//! of the same files that belong to other windows are written again, all in one commit. It demands the job's progress
//! where it was: what the live runner adds in the meantime makes it look again, and what it adds later comes on top.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, ident, lit};
use fail::fail_point;
use farol_lake::maintenance::Replacement;
use farol_lake::{Outcome, Step, Table, Upload};

use crate::aggregate::contributions;
use crate::definition::WINDOW_START;
use crate::error::JobError;
use crate::progress::{Progress, progress};
use crate::step::{Runner, Series, Stepped, working_context};

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
        let at = progress(&runner.output, &runner.job).await?;
        let (Some(input), Some(version)) = (runner.input().await?, at.version) else {
            return Err(JobError::Range(format!(
                "job `{}` has not run yet, so there is nothing to replace; `farol run --roles jobs` runs it",
                runner.job.name()
            )));
        };
        let rows = input.rows_at(version).await?;
        let counted = Step {
            guard: plan.id.clone(),
            from: (plan.count > 0).then_some(plan.count),
            marks: vec![(plan.id.clone(), plan.count + 1)],
        };
        let (outcome, partials) = windows(runner, rows, range, at, at, vec![counted]).await?;
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

/// Replaces every window that the input still has rows of.
pub(crate) async fn rebuild(
    runner: &mut Runner,
    input: &Table,
    from: Progress,
    to: Progress,
) -> Result<Stepped, JobError> {
    let version = to.version.unwrap_or(0);
    let rows = input.rows_at(version).await?;
    let context = working_context()?;
    let oldest = context
        .read_table(rows.clone())?
        .aggregate(
            vec![],
            vec![datafusion::functions_aggregate::expr_fn::min(ident(
                "event_time",
            ))],
        )?
        .collect()
        .await?;
    let oldest_us =
        oldest.first().and_then(
            |batch| match ScalarValue::try_from_array(batch.column(0), 0) {
                Ok(ScalarValue::TimestampMicrosecond(time_us, _)) => time_us,
                _ => None,
            },
        );
    let start = oldest_us.map_or(i64::MAX, |time_us| runner.job.window().start_of(time_us));
    let (outcome, partials) =
        windows(runner, rows, (start, i64::MAX), from, to, Vec::new()).await?;
    Ok(match outcome {
        Outcome::Committed { .. } => Stepped::Advanced {
            through: version,
            behind: 0,
            partials,
        },
        Outcome::Overtaken { .. } => Stepped::Overtaken,
    })
}

/// Commits the partials of `rows` within a range in place of those that are there.
async fn windows(
    runner: &mut Runner,
    rows: std::sync::Arc<dyn datafusion::datasource::TableProvider>,
    range: (i64, i64),
    from: Progress,
    to: Progress,
    mut steps: Vec<Step>,
) -> Result<(Outcome, u64), JobError> {
    let replacement = Replacement::of_range(&runner.output, WINDOW_START, Some(range)).await?;
    let kept = outside(runner, &replacement, range).await?;
    let context = working_context()?;
    let frame = contributions(&context, &runner.job, rows, Some(range)).await?;
    let (mut uploads, beyond) = runner.upload(frame, Series::Limited).await?;
    let partials = uploads.iter().map(|upload| upload.rows).sum();
    uploads.extend(kept);
    let to = Progress {
        overflowed: to.overflowed + beyond as i64,
        ..to
    };
    steps.push(from.step_to(&runner.job, to));
    fail_point!("jobs.before_commit", |_| Err(JobError::Failpoint(
        "jobs.before_commit"
    )));
    let outcome = replacement.commit(&runner.output, steps, uploads).await?;
    fail_point!("jobs.after_commit", |_| Err(JobError::Failpoint(
        "jobs.after_commit"
    )));
    Ok((outcome, partials))
}

/// The rows of files to be replaced that belong to other windows, written again.
async fn outside(
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
        .filter(!within(range))?;
    Ok(runner.upload(frame, Series::AsTheyAre).await?.0)
}

fn within((from, to): (i64, i64)) -> Expr {
    let time = |time_us| {
        lit(ScalarValue::TimestampMicrosecond(
            Some(time_us),
            Some("UTC".into()),
        ))
    };
    let start = ident(WINDOW_START).gt_eq(time(from));
    if to == i64::MAX {
        return start;
    }
    start.and(ident(WINDOW_START).lt(time(to)))
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
