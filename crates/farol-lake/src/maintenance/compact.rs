//! Compaction: small files become few large sorted ones, in one commit that changes no row.
//!
//! The guard `farol/maintenance/<table>` is read before the files are: whoever commits under it in between
//! moves it, and this commit is then overtaken. So two compactors at once do one's work, and rows never double.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use deltalake::kernel::LogicalFileView;
use fail::fail_point;

use super::plan::{Group, LiveFile, PlanOptions, plan};
use super::replace::Replacement;
use super::rewrite::{Rewrite, Rewritten};
use super::snapshot::{self, Snapshot};
use crate::commit::{Commit, Operation, Outcome, Step, Upload};
use crate::error::LakeError;
use crate::file::{Layout, Purpose, Written};
use crate::spec::TableSpec;
use crate::table::Table;

/// How tables are compacted.
#[derive(Debug, Clone)]
pub struct CompactOptions {
    /// The size of the files to write.
    pub target_file_bytes: u64,
    /// So many files of about one size are merged while their partition grows.
    pub files_per_tier: usize,
    /// The number of files that a table should not exceed.
    pub live_files_max: usize,
    /// A partition without a new file for so long is merged to the end.
    pub settled_after: Duration,
    /// Memory for sorting, in bytes; half as much again holds the rows being written.
    pub memory_bytes: usize,
    /// Where sorting spills to; the system's place for temporary files where `None`.
    pub spill_dir: Option<PathBuf>,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self {
            target_file_bytes: 256 << 20,
            files_per_tier: 8,
            live_files_max: 2_000,
            settled_after: Duration::from_hours(1),
            memory_bytes: 192 << 20,
            spill_dir: None,
        }
    }
}

impl CompactOptions {
    /// What a person who asks for compaction wants: every partition merged to the end, growing or not.
    pub fn at_once() -> Self {
        Self {
            settled_after: Duration::ZERO,
            ..Self::default()
        }
    }

    fn plan(&self) -> PlanOptions {
        PlanOptions {
            target_file_bytes: self.target_file_bytes,
            files_per_tier: self.files_per_tier,
            live_files_max: self.live_files_max,
            settled_after: self.settled_after,
        }
    }
}

/// What compaction did to a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct CompactReport {
    /// The table.
    pub table: String,
    /// Commits made.
    pub commits: u64,
    /// Files merged.
    pub files_removed: u64,
    /// Files written in their place.
    pub files_added: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes of the files merged.
    pub bytes_removed: u64,
    /// Bytes of the files written.
    pub bytes_added: u64,
    /// Commits whose rows are not sorted, because memory and disk did not suffice.
    pub commits_unsorted: u64,
    /// Whether another maintenance commit came in between, so that the rest is left for the next time.
    pub overtaken: bool,
}

/// The application id that excludes two maintenance commits to a table from each other.
pub fn guard(table: &str) -> String {
    format!("farol/maintenance/{table}")
}

/// Merges what is worth merging now.
///
/// # Errors
/// Where a file cannot be read or written, or a commit fails. Merges committed before that stay.
pub async fn compact(table: &Table, options: &CompactOptions) -> Result<CompactReport, LakeError> {
    let mut report = CompactReport {
        table: table.name().to_owned(),
        ..CompactReport::default()
    };
    let guard = guard(table.name());
    let mut turn = table.marks(&guard).await?.get(&guard).copied();
    let snapshot = Snapshot::load(table).await?;
    let files = snapshot.files()?;
    let live: Vec<_> = files.iter().map(|(file, _)| file.clone()).collect();
    let groups = plan(&live, options.plan(), chrono::Utc::now().timestamp_millis());
    if groups.is_empty() {
        return Ok(report);
    }
    let views: HashMap<_, _> = files
        .into_iter()
        .map(|(file, view)| (file.path, view))
        .collect();
    let layout = Arc::new(layout_of(table)?);
    for group in groups {
        let merge = Merge {
            table,
            layout: &layout,
            options,
            group: &group,
            views: &views,
        };
        let Some(merged) = merge.run(&guard, turn).await? else {
            report.overtaken = true;
            break;
        };
        turn = Some(next(turn));
        report.count(&group, &merged);
    }
    Ok(report)
}

/// The files that are worth merging now, for a caller that merges rows rather than copies them, such as partials.
///
/// # Errors
/// Where the table cannot be read.
pub async fn merges(
    table: &Table,
    options: &CompactOptions,
) -> Result<Vec<Replacement>, LakeError> {
    let guard = guard(table.name());
    let turn = table.marks(&guard).await?.get(&guard).copied();
    let snapshot = Snapshot::load(table).await?;
    let files = snapshot.files()?;
    let live: Vec<_> = files.iter().map(|(file, _)| file.clone()).collect();
    let views: HashMap<_, _> = files
        .into_iter()
        .map(|(file, view)| (file.path, view))
        .collect();
    let groups = plan(&live, options.plan(), chrono::Utc::now().timestamp_millis());
    Ok(groups
        .into_iter()
        .map(|group| {
            let views = group.files.iter().filter_map(|file| views.get(&file.path));
            Replacement::new(views, turn, Operation::Compact)
        })
        .collect())
}

/// The layout of compacted files: of Farol's own tables with Farol's own types, down to the names inside lists.
fn layout_of(table: &Table) -> Result<Layout, LakeError> {
    let schema =
        TableSpec::known(table.name()).map_or_else(|| table.schema().clone(), |spec| spec.schema);
    Ok(Layout::new(
        &schema,
        table.partition_columns(),
        Purpose::Compacted,
    )?)
}

/// The guard's value after one more maintenance commit.
pub(super) fn next(turn: Option<i64>) -> i64 {
    turn.map_or(1, |turn| turn + 1)
}

impl CompactReport {
    fn count(&mut self, group: &Group, merged: &Merged) {
        let written = &merged.uploads;
        self.commits += 1;
        self.commits_unsorted += u64::from(!merged.sorted);
        self.files_removed += group.files.len() as u64;
        self.files_added += written.len() as u64;
        self.rows += written.iter().map(|upload| upload.rows).sum::<u64>();
        self.bytes_removed += group.bytes();
        self.bytes_added += written.iter().map(|upload| upload.bytes).sum::<u64>();
    }
}

/// What a committed merge wrote.
struct Merged {
    uploads: Vec<Upload>,
    sorted: bool,
}

/// One group on its way through.
struct Merge<'a> {
    table: &'a Table,
    layout: &'a Arc<Layout>,
    options: &'a CompactOptions,
    group: &'a Group,
    views: &'a HashMap<object_store::path::Path, LogicalFileView>,
}

impl Merge<'_> {
    /// Rewrites and commits; `None` where another maintenance commit came first.
    async fn run(&self, guard: &str, turn: Option<i64>) -> Result<Option<Merged>, LakeError> {
        let rewrite = Rewrite {
            store: self.table.store(),
            layout: self.layout,
            memory_bytes: self.options.memory_bytes,
            spill_dir: self.options.spill_dir.as_ref(),
            target_file_bytes: self.options.target_file_bytes,
        };
        let date = self
            .group
            .partition
            .as_deref()
            .map(days_since_epoch)
            .transpose();
        let date = date.map_err(|value| self.refuse(format!("`{value}` is not a date")))?;
        let Rewritten { files, sorted } = rewrite.run(&self.group.files, date).await?;
        self.check_rows(&files)?;
        let uploads: Vec<Upload> = files.into_iter().map(Upload::from).collect();
        let removes = self
            .group
            .files
            .iter()
            .filter_map(|file| self.views.get(&file.path))
            .map(|view| snapshot::remove(view, false))
            .collect();
        let step = Step {
            guard: guard.to_owned(),
            from: turn,
            marks: vec![(guard.to_owned(), next(turn))],
        };
        let commit = Commit::new(Operation::Compact, vec![step], uploads.clone(), removes);
        fail_point!("maintenance.before_commit", |_| Err(LakeError::Failpoint(
            "maintenance.before_commit"
        )));
        let outcome = match self.table.commit(&commit).await {
            // Another program removed a file of ours: what is left is planned anew the next time.
            Err(LakeError::FileGone { .. }) => return Ok(None),
            other => other?,
        };
        fail_point!("maintenance.after_commit", |_| Err(LakeError::Failpoint(
            "maintenance.after_commit"
        )));
        Ok(matches!(outcome, Outcome::Committed { .. }).then_some(Merged { uploads, sorted }))
    }

    /// A merge that gained or lost a row must not be committed, whatever the cause.
    fn check_rows(&self, written: &[Written]) -> Result<(), LakeError> {
        let known: Option<u64> = self
            .group
            .files
            .iter()
            .map(|file: &LiveFile| file.rows)
            .sum();
        let rows: u64 = written.iter().map(|file| file.rows).sum();
        match known {
            Some(known) if known != rows => Err(self.refuse(format!(
                "{} files were to hold {known} rows, but {rows} were read from them",
                self.group.files.len()
            ))),
            _ => Ok(()),
        }
    }

    fn refuse(&self, reason: String) -> LakeError {
        LakeError::Maintenance {
            table: self.table.name().to_owned(),
            reason,
        }
    }
}

/// A partition's value, such as `2026-01-01`, as days since 1970-01-01.
fn days_since_epoch(value: &str) -> Result<i32, String> {
    let date: NaiveDate = value.parse().map_err(|_| value.to_owned())?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days())
        .map_err(|_| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_values_are_read_back_as_days() {
        assert_eq!(days_since_epoch("1970-01-01"), Ok(0));
        assert_eq!(days_since_epoch("2026-01-01"), Ok(20_454));
        assert_eq!(days_since_epoch("1969-12-31"), Ok(-1));
        assert!(days_since_epoch("__HIVE_DEFAULT_PARTITION__").is_err());
    }
}
