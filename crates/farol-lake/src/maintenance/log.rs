//! The log's own cleaning. It lists the whole log, so it is done here, seldom, and never with a commit.

use deltalake::protocol::checkpoints;

use super::snapshot::Snapshot;
use crate::error::LakeError;
use crate::table::Table;

/// Deletes entries of the table's log that are older than its retention (`delta.logRetentionDuration`) and than
/// a checkpoint that stands for them. Returns how many.
///
/// # Errors
/// Where the table cannot be read or the store fails.
pub async fn clean_log(table: &Table) -> Result<usize, LakeError> {
    let snapshot = Snapshot::load(table).await?;
    Ok(checkpoints::cleanup_metadata(snapshot.delta(), None).await?)
}
