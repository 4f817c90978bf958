//! Consumer groups across a restart of the embedded broker. A member's connection ends with the broker's process,
//! but the broker keeps who was in a group with its data: after a `kill -9` it would go on giving partitions to
//! members that nobody is any more, and its coordinator was seen not to get over that. So members are forgotten
//! before it serves again; those that are alive join anew. Offsets that groups committed stay.

use std::path::Path;

/// The broker's table of members, generations and assignments (tansu-storage 0.6).
const MEMBERS: &str = "consumer_group_detail";

/// Forgets the members of all groups in a broker's data file; nothing is done where there is none yet.
pub(super) async fn forget_members(data: &Path) -> Result<(), libsql::Error> {
    if !data.exists() {
        return Ok(());
    }
    let connection = libsql::Builder::new_local(data).build().await?.connect()?;
    let mut table = connection
        .query(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1",
            [MEMBERS],
        )
        .await?;
    if table.next().await?.is_none() {
        return Ok(());
    }
    drop(table);
    let groups = connection
        .execute(&format!("DELETE FROM {MEMBERS}"), ())
        .await?;
    tracing::debug!(
        groups,
        "groups of the embedded broker begin without members"
    );
    Ok(())
}
