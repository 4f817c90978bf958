//! Vacuum: deletes the files that no version of the table needs any more, orphans of writers that died included.
//!
//! The store is listed first and the table read afterwards: a file that a commit names in between is live by
//! then. A file is deleted only if it is old, not live, and not removed lately; since an upload older than half
//! of [`SAFE_AGE`] is never committed, no writer can still be about to name it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};

use super::snapshot::Snapshot;
use crate::error::LakeError;
use crate::table::Table;

/// Below this age a file may still belong to a writer or a reader at work.
pub const SAFE_AGE: Duration = Duration::from_hours(24);

/// Files deleted at once.
const DELETES_AT_ONCE: usize = 16;

/// How a table is vacuumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VacuumOptions {
    /// Only files older than this.
    pub older_than: Duration,
    /// Only say what would be deleted.
    pub dry_run: bool,
    /// Allows `older_than` below [`SAFE_AGE`].
    pub unsafe_age: bool,
}

impl Default for VacuumOptions {
    fn default() -> Self {
        Self {
            older_than: SAFE_AGE,
            dry_run: false,
            unsafe_age: false,
        }
    }
}

/// What vacuum deleted, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct VacuumReport {
    /// The table.
    pub table: String,
    /// Whether nothing was deleted.
    pub dry_run: bool,
    /// The files' paths below the table's root.
    pub files: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
}

/// Deletes the table's unneeded files.
///
/// # Errors
/// Where the age is below [`SAFE_AGE`] without leave, or the store fails; what was deleted before stays deleted.
pub async fn vacuum(table: &Table, options: VacuumOptions) -> Result<VacuumReport, LakeError> {
    if options.older_than < SAFE_AGE && !options.unsafe_age {
        return Err(LakeError::Maintenance {
            table: table.name().to_owned(),
            reason: format!(
                "vacuum of files younger than {} h may take those of a query or a writer at work; allow it expressly",
                SAFE_AGE.as_secs() / 3_600
            ),
        });
    }
    let age_ms = i64::try_from(options.older_than.as_millis()).unwrap_or(i64::MAX);
    let cutoff_ms = chrono::Utc::now().timestamp_millis().saturating_sub(age_ms);
    let objects = data_files(table).await?;
    let snapshot = Snapshot::load(table).await?;
    let live = snapshot.live_paths()?;
    let removed_lately = snapshot.removed_since(cutoff_ms).await?;
    let old = |object: &ObjectMeta| object.last_modified.timestamp_millis() <= cutoff_ms;
    let unneeded: Vec<_> = objects
        .into_iter()
        .filter(|object| old(object) && is_unneeded(&object.location, &live, &removed_lately))
        .collect();
    if !options.dry_run {
        delete(table, &unneeded).await?;
    }
    Ok(VacuumReport {
        table: table.name().to_owned(),
        dry_run: options.dry_run,
        bytes: unneeded.iter().map(|object| object.size).sum(),
        files: unneeded
            .into_iter()
            .map(|object| object.location.to_string())
            .collect(),
    })
}

fn is_unneeded(path: &Path, live: &HashSet<String>, removed_lately: &HashSet<String>) -> bool {
    !live.contains(path.as_ref()) && !removed_lately.contains(path.as_ref())
}

/// Lists the table's data files. The log, and whatever else begins with `_` or `.`, is not even listed.
async fn data_files(table: &Table) -> Result<Vec<ObjectMeta>, LakeError> {
    let store = table.store();
    let top = store.list_with_delimiter(None).await?;
    let mut files: Vec<_> = top
        .objects
        .into_iter()
        .filter(|object| !is_hidden(&object.location))
        .collect();
    for folder in top
        .common_prefixes
        .iter()
        .filter(|folder| !is_hidden(folder))
    {
        let listed: Vec<_> = store.list(Some(folder)).try_collect().await?;
        files.extend(
            listed
                .into_iter()
                .filter(|object| !is_hidden(&object.location)),
        );
    }
    Ok(files)
}

/// Whether any part of the path begins with `_` or `.`: not a data file.
fn is_hidden(path: &Path) -> bool {
    path.parts()
        .any(|part| part.as_ref().starts_with(['_', '.']))
}

async fn delete(table: &Table, objects: &[ObjectMeta]) -> Result<(), LakeError> {
    let paths: Vec<_> = objects
        .iter()
        .map(|object| object.location.clone())
        .collect();
    futures::stream::iter(paths)
        .map(|path| delete_one(Arc::clone(table.store()), path))
        .buffer_unordered(DELETES_AT_ONCE)
        .try_collect()
        .await
}

async fn delete_one(store: Arc<dyn ObjectStore>, path: Path) -> Result<(), LakeError> {
    match store.delete(&path).await {
        // Another vacuum was faster.
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[&str]) -> HashSet<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn what_is_live_or_was_removed_lately_is_needed() {
        let (live, removed) = (paths(&["a.parquet"]), paths(&["b.parquet"]));
        assert!(!is_unneeded(&Path::from("a.parquet"), &live, &removed));
        assert!(!is_unneeded(&Path::from("b.parquet"), &live, &removed));
        assert!(is_unneeded(&Path::from("c.parquet"), &live, &removed));
    }

    #[test]
    fn the_log_is_hidden() {
        assert!(is_hidden(&Path::from(
            "_delta_log/00000000000000000000.json"
        )));
        assert!(is_hidden(&Path::from("event_date=2026-01-01/.part.crc")));
        assert!(!is_hidden(&Path::from(
            "event_date=2026-01-01/part-1.parquet"
        )));
    }
}
