//! The maintenance role: every interval a round over all tables, until it is told to stop.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::compact::{CompactOptions, compact};
use super::log::clean_log;
use super::vacuum::{VacuumOptions, vacuum};
use crate::error::LakeError;
use crate::lake::Lake;
use crate::table::Table;

/// How often files are looked for that can be deleted: that lists the whole table.
const CLEANING_INTERVAL: Duration = Duration::from_hours(1);

/// Where the jobs' partials and their rollups are.
const PARTIALS: [&str; 2] = ["partials/", "rollups/"];

/// How the maintenance role works.
#[derive(Debug, Clone)]
pub struct MaintenanceOptions {
    /// The time from one round to the next.
    pub interval: Duration,
    /// How tables are compacted.
    pub compact: CompactOptions,
    /// Unneeded files are deleted when they are older than this.
    pub vacuum: VacuumOptions,
}

impl Default for MaintenanceOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(5),
            compact: CompactOptions::default(),
            vacuum: VacuumOptions::default(),
        }
    }
}

/// Plays the role until `shutdown`. A table that fails is logged and tried again in the next round; work in hand
/// at shutdown is dropped, which leaves orphans at most.
pub async fn run(lake: Lake, options: MaintenanceOptions, shutdown: CancellationToken) {
    let mut cleaned = None::<Instant>;
    loop {
        let clean = cleaned.is_none_or(|at| at.elapsed() >= CLEANING_INTERVAL);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = round(&lake, &options, clean) => {}
        }
        if clean {
            cleaned = Some(Instant::now());
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(options.interval) => {}
        }
    }
}

async fn round(lake: &Lake, options: &MaintenanceOptions, clean: bool) {
    let names = match lake.names().await {
        Ok(names) => names,
        Err(error) => {
            tracing::warn!("maintenance could not list the lake's tables: {error}");
            return;
        }
    };
    for name in names {
        if let Err(error) = maintain(lake, &name, options, clean).await {
            tracing::warn!(
                table = name,
                "maintenance failed, trying again in the next round: {error}"
            );
        }
    }
}

async fn maintain(
    lake: &Lake,
    name: &str,
    options: &MaintenanceOptions,
    clean: bool,
) -> Result<(), LakeError> {
    let Some(table) = lake.existing(name).await? else {
        return Ok(());
    };
    // Partials are merged, not copied: the jobs' own maintenance does that.
    if !PARTIALS.iter().any(|folder| name.starts_with(folder)) {
        compact_and_tell(&table, &options.compact).await?;
    }
    if clean {
        let vacuumed = vacuum(&table, options.vacuum).await?;
        if !vacuumed.files.is_empty() {
            tracing::info!(
                table = name,
                files = vacuumed.files.len(),
                bytes = vacuumed.bytes,
                "vacuumed"
            );
        }
        let entries = clean_log(&table).await?;
        if entries > 0 {
            tracing::info!(table = name, entries, "cleaned the log");
        }
    }
    Ok(())
}

async fn compact_and_tell(table: &Table, options: &CompactOptions) -> Result<(), LakeError> {
    let began = Instant::now();
    let report = compact(table, options).await?;
    if report.commits > 0 {
        tracing::info!(
            table = report.table,
            files_removed = report.files_removed,
            files_added = report.files_added,
            rows = report.rows,
            bytes_removed = report.bytes_removed,
            bytes_added = report.bytes_added,
            elapsed_ms = began.elapsed().as_millis() as u64,
            "compacted"
        );
    }
    if report.overtaken {
        tracing::info!(
            table = report.table,
            "another process compacts this table; leaving the rest to it"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The role is a task of its own, so its future must be one that can move between threads.
    #[test]
    fn the_role_can_be_spawned() {
        fn sendable<F: Future + Send>(
            _: impl FnOnce(Lake, MaintenanceOptions, CancellationToken) -> F,
        ) {
        }
        sendable(run);
    }
}
