//! Other rows in place of some files' rows, in one commit, under the guard of all maintenance.
//!
//! The guard and the files are read at one version: whoever commits under the guard since has moved it, and this commit
//! is then overtaken. The caller adds its own step, and so excludes whom it has to.

use chrono::{DateTime, Utc};
use deltalake::kernel::{LogicalFileView, Remove};
use serde_json::Value;

use super::compact::{guard, next};
use super::snapshot::{self, Snapshot};
use crate::additions::AddedFile;
use crate::commit::{Commit, Marks, Operation, Outcome, Step, Upload};
use crate::error::LakeError;
use crate::table::Table;

/// Files that are to be replaced.
#[derive(Debug)]
pub struct Replacement {
    /// The files, to read what must stay of them.
    pub files: Vec<AddedFile>,
    removes: Vec<Remove>,
    turn: Option<i64>,
    operation: Operation,
}

impl Replacement {
    pub(super) fn new<'a>(
        views: impl Iterator<Item = &'a LogicalFileView>,
        turn: Option<i64>,
        operation: Operation,
    ) -> Self {
        let (mut files, mut removes) = (Vec::new(), Vec::new());
        for view in views {
            files.push(AddedFile {
                path: view.object_store_path().to_string(),
                bytes: view.size().unsigned_abs(),
                partition: view.partition_values_map().into_values().next().flatten(),
            });
            removes.push(snapshot::remove(view, operation != Operation::Compact));
        }
        Self {
            files,
            removes,
            turn,
            operation,
        }
    }

    /// The live files of a table that may hold rows whose time in `column` is within `range` (microseconds, its end
    /// not included; `None` is everything), to be replaced by other rows.
    ///
    /// # Errors
    /// Where the table cannot be read.
    pub async fn of_range(
        table: &Table,
        column: &str,
        range: Option<(i64, i64)>,
    ) -> Result<(Self, Marks), LakeError> {
        let guard = guard(table.name());
        let (version, marks) = table.version_and_marks("").await?;
        let turn = marks.get(&guard).copied();
        let views = Snapshot::at(table, version).await?.views()?;
        let within = |view: &&LogicalFileView| {
            range.is_none_or(|range| may_overlap(view.stats().as_deref(), column, range))
        };
        let views = views.iter().filter(within);
        Ok((Self::new(views, turn, Operation::Delete), marks))
    }

    /// Commits other rows in place of the files', with the caller's own progress.
    ///
    /// # Errors
    /// As [`Table::commit`].
    pub async fn commit(
        &self,
        table: &Table,
        mut steps: Vec<Step>,
        uploads: Vec<Upload>,
    ) -> Result<Outcome, LakeError> {
        let guard = guard(table.name());
        steps.push(Step {
            marks: vec![(guard.clone(), next(self.turn))],
            guard,
            from: self.turn,
        });
        // Without a file to remove it only adds. The guard is moved all the same: two of them exclude each other.
        let operation = if self.removes.is_empty() {
            Operation::Append
        } else {
            self.operation
        };
        let commit = Commit::new(operation, steps, uploads, self.removes.clone());
        table.commit(&commit).await
    }
}

/// Whether a file may hold rows of the range, going by its statistics. One without them may.
pub(crate) fn may_overlap(
    statistics: Option<&str>,
    column: &str,
    (from_us, to_us): (i64, i64),
) -> bool {
    let Some(statistics) = statistics.and_then(|text| serde_json::from_str::<Value>(text).ok())
    else {
        return true;
    };
    let time_us = |which: &str| {
        let text = statistics.get(which)?.get(column)?.as_str()?;
        let time: DateTime<Utc> = text.parse().ok()?;
        Some(time.timestamp_micros())
    };
    // Statistics of times are in milliseconds: the largest may be a millisecond more.
    let ends_before =
        time_us("maxValues").is_some_and(|max_us| max_us.saturating_add(1_000) < from_us);
    let begins_after = time_us("minValues").is_some_and(|min_us| min_us >= to_us);
    !ends_before && !begins_after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_chosen_by_their_times() {
        let statistics = r#"{"numRecords":2,"minValues":{"window_start":"2026-01-01T00:01:00.000Z"},
            "maxValues":{"window_start":"2026-01-01T00:05:00.000Z"}}"#;
        let minute = |minute: i64| 1_767_225_600_000_000 + minute * 60_000_000;
        let overlaps =
            |from, to| may_overlap(Some(statistics), "window_start", (minute(from), minute(to)));
        assert!(overlaps(0, 2) && overlaps(2, 3) && overlaps(5, 9) && overlaps(0, 9));
        assert!(!overlaps(0, 1) && !overlaps(6, 9));
        assert!(may_overlap(None, "window_start", (0, 1)));
        assert!(may_overlap(Some("{}"), "window_start", (0, 1)));
    }
}
