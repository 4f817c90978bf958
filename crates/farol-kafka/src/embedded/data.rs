//! What is done to the embedded broker's data file beside the broker (tansu-storage 0.6).
//!
//! - Members of groups across a restart. A member's connection ends with the broker's process, but the broker keeps
//!   who was in a group with its data: after a `kill -9` it would go on giving partitions to members that nobody is
//!   any more, and its coordinator was seen not to get over that. So members are forgotten before it serves again;
//!   those that are alive join anew. Offsets that groups committed stay.
//! - An index of headers. The broker looks the headers of every record up by its partition and offset in a table that
//!   has no index: with 40,000 headers stored, each record that it gave out took 6 ms, fetches took longer than
//!   their clients wait, and readers stood still.

use std::path::Path;

use libsql::Connection;

/// The broker's table of members, generations and assignments.
const MEMBERS: &str = "consumer_group_detail";

/// The broker's table of the headers of records.
const HEADERS: &str = "header";

/// Forgets the members of all groups; nothing is done where there is no file yet.
pub(super) async fn forget_members(data: &Path) -> Result<(), libsql::Error> {
    if !data.exists() {
        return Ok(());
    }
    let connection = open(data).await?;
    if !has_table(&connection, MEMBERS).await? {
        return Ok(());
    }
    let groups = connection
        .execute(&format!("DELETE FROM {MEMBERS}"), ())
        .await?;
    tracing::debug!(
        groups,
        "groups of the embedded broker begin without members"
    );
    Ok(())
}

/// Makes the headers of a record quick to find. The broker has made its tables before.
pub(super) async fn index_headers(data: &Path) -> Result<(), libsql::Error> {
    let connection = open(data).await?;
    if has_table(&connection, HEADERS).await? {
        let statement = format!(
            "CREATE INDEX IF NOT EXISTS farol_header_by_record ON {HEADERS} (topition, offset_id)"
        );
        connection.execute(&statement, ()).await?;
    } else {
        tracing::warn!("the embedded broker's data has no table `{HEADERS}`: it cannot be indexed");
    }
    Ok(())
}

async fn open(data: &Path) -> Result<Connection, libsql::Error> {
    libsql::Builder::new_local(data).build().await?.connect()
}

async fn has_table(connection: &Connection, name: &str) -> Result<bool, libsql::Error> {
    let mut found = connection
        .query(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1",
            [name],
        )
        .await?;
    Ok(found.next().await?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::{EmbeddedBroker, data_file, home};

    #[test]
    fn the_headers_of_a_record_are_found_by_an_index() {
        let dir = tempfile::tempdir().expect("a directory");
        let any = "127.0.0.1:0".parse().expect("an address");
        EmbeddedBroker::start(dir.path(), any)
            .expect("it starts")
            .shutdown();
        let data = data_file(&home(dir.path())).expect("a path");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let plan: String = runtime.block_on(async {
            let connection = open(&data).await.expect("it opens");
            let query = format!(
                "EXPLAIN QUERY PLAN SELECT k, v FROM {HEADERS} WHERE topition = 1 AND offset_id = 2"
            );
            let mut steps = connection.query(&query, ()).await.expect("it is planned");
            let step = steps.next().await.expect("a step").expect("a step");
            step.get(3).expect("what it does")
        });
        assert!(plan.contains("farol_header_by_record"), "{plan}");
    }
}
