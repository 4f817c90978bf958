//! Reading a rollup: its rows, and the partials that it does not cover yet.

use std::sync::Arc;

use datafusion::datasource::TableProvider;
use farol_lake::LakeError;
use farol_lake::sql::{Seen, Session};

use super::Level;
use crate::definition::Job;
use crate::grain::Grain;
use crate::progress::Progress;

/// A rollup further behind than this many versions of the partials is not read: each is a file to open.
const BEHIND_MAX: i64 = 256;

/// A rollup and what it lacks: together the same as all partials, in wider windows.
#[derive(Clone)]
pub(crate) struct RolledUp {
    level: Level,
    inputs: Vec<Arc<dyn TableProvider>>,
}

impl RolledUp {
    /// What to merge for windows of a grain: the widest rollup that they are made of; `None` where none fits.
    pub fn fitting<'a>(found: &'a [Self], grain: &Grain) -> Option<&'a [Arc<dyn TableProvider>]> {
        let widest_first = found.iter().filter(|rolled| rolled.level.fits(grain));
        widest_first
            .max_by_key(|rolled| rolled.level)
            .map(|rolled| rolled.inputs.as_slice())
    }
}

/// A job's partials as a session sees them, and the rollups of exactly these.
///
/// # Errors
/// Where a table cannot be read.
pub(crate) async fn rolled_up(
    session: &Session,
    job: &Job,
    rows_min: u64,
) -> Result<(Option<Seen>, Vec<RolledUp>), LakeError> {
    let name = job.table_name();
    let Some(partials) = session.seen(&name).await? else {
        return Ok((None, Vec::new()));
    };
    let levels = Level::ALL.into_iter().filter(|level| level.is_of(job));
    let mut rollups = Vec::new();
    for level in levels.filter(|_| partials.rows >= rows_min) {
        let rollup = session
            .seen(&level.table_name(job, &partials.table))
            .await?;
        rollups.extend(rollup.map(|rollup| (level, rollup)));
    }
    if rollups.is_empty() {
        return Ok((Some(partials), Vec::new()));
    }
    // Seen after the rollups, the partials have every version that these cover.
    let Some(partials) = session.seen(&name).await? else {
        return Ok((None, Vec::new()));
    };
    let mut found = Vec::new();
    for (level, rollup) in rollups {
        let covered = Progress::of(job, &rollup.marks).version;
        let lacks = covered.map(|covered| partials.version - covered);
        let (Some(covered), Some(0..=BEHIND_MAX)) = (covered, lacks) else {
            continue;
        };
        let added = partials.table.added_between(covered, partials.version);
        let Some(added) = added.await? else { continue };
        let mut inputs = vec![rollup.provider];
        if !added.is_empty() {
            inputs.push(partials.table.added_rows(added)?);
        }
        found.push(RolledUp { level, inputs });
    }
    Ok((Some(partials), found))
}
