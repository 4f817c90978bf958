//! What a table holds at one version: live files, and the tombstones that vacuum must still respect.

use std::collections::HashSet;

use deltalake::DeltaTable;
use deltalake::kernel::{LogicalFileView, Remove};
use futures::TryStreamExt as _;

use super::plan::LiveFile;
use crate::error::LakeError;
use crate::table::Table;

/// A table at one version, with its files.
pub(super) struct Snapshot {
    delta: DeltaTable,
}

impl Snapshot {
    /// Reads the newest version.
    pub async fn load(table: &Table) -> Result<Self, LakeError> {
        Ok(Self {
            delta: table.snapshot().await?,
        })
    }

    /// Reads a version.
    pub async fn at(table: &Table, version: i64) -> Result<Self, LakeError> {
        let delta = table.files_at(Some(version.unsigned_abs())).await?;
        Ok(Self { delta })
    }

    /// The Delta library's table.
    pub fn delta(&self) -> &DeltaTable {
        &self.delta
    }

    /// All live files.
    pub fn views(&self) -> Result<Vec<LogicalFileView>, LakeError> {
        Ok(self.delta.snapshot()?.log_data().iter().collect())
    }

    /// The live files that compaction may rewrite: a file of another writer with deleted rows is left alone.
    pub fn files(&self) -> Result<Vec<(LiveFile, LogicalFileView)>, LakeError> {
        let views = self.delta.snapshot()?.log_data();
        let plain = views
            .iter()
            .filter(|view| view.deletion_vector_descriptor().is_none());
        Ok(plain.map(|view| (live_file(&view), view)).collect())
    }

    /// The paths of all live files.
    pub fn live_paths(&self) -> Result<HashSet<String>, LakeError> {
        let views = self.delta.snapshot()?.log_data();
        Ok(views
            .iter()
            .map(|view| view.object_store_path().to_string())
            .collect())
    }

    /// The paths of files removed after `since_ms`: readers of older versions may still be at them.
    pub async fn removed_since(&self, since_ms: i64) -> Result<HashSet<String>, LakeError> {
        let log_store = self.delta.log_store();
        let tombstones = self.delta.snapshot()?.all_tombstones(log_store.as_ref());
        tombstones
            .try_filter(|tombstone| {
                let removed_ms = tombstone.deletion_timestamp().unwrap_or(0);
                std::future::ready(removed_ms > since_ms)
            })
            .map_ok(|tombstone| tombstone.path().into_owned())
            .try_collect()
            .await
            .map_err(LakeError::from)
    }
}

fn live_file(view: &LogicalFileView) -> LiveFile {
    LiveFile {
        path: view.object_store_path(),
        partition: view.partition_values_map().into_values().next().flatten(),
        bytes: view.size().unsigned_abs(),
        rows: view.num_records().map(|rows| rows as u64),
        written_ms: view.modification_time(),
    }
}

/// The action that removes a live file; its rows stay in others unless `data_change`.
pub(super) fn remove(view: &LogicalFileView, data_change: bool) -> Remove {
    view.remove_action(data_change)
}
