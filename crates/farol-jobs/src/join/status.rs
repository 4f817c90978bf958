//! How far joins are, from the lake alone.

use farol_lake::{Joined, Lake, LakeError};
use serde::Serialize;

use super::progress::{JoinProgress, PREFIX};
use crate::progress::failure;

/// What is known of a join, as `farol status` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JoinStatus {
    /// The joined table.
    pub table: &'static str,
    /// Versions of its inputs that it does not cover yet.
    pub behind: i64,
    /// Rows of feedback or evaluations read.
    pub read: i64,
    /// Those that found their call, and are in the table.
    pub joined: i64,
    /// Those that said again what is in the table.
    pub repeated: i64,
    /// Those that have not found their call.
    pub unmatched: i64,
    /// The watermark of what the table holds, microseconds since the epoch.
    #[serde(skip)]
    pub watermark_us: Option<i64>,
    /// Why it fails, where it does.
    pub error: Option<String>,
}

/// What is known of every join whose table is there.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn status(lake: &Lake) -> Result<Vec<JoinStatus>, LakeError> {
    let mut found = Vec::new();
    for joined in Joined::ALL {
        let Some(table) = lake.existing(joined.table()).await? else {
            continue;
        };
        let progress = JoinProgress::of(joined, &table.marks(PREFIX).await?);
        let covered = [
            (joined.kind().table(), progress.own_version),
            ("traces", progress.traces_version),
        ];
        let mut behind = 0;
        for (input, version) in covered {
            if let Some(input) = lake.existing(input).await? {
                behind += input.refresh().await? - version.unwrap_or(-1);
            }
        }
        found.push(JoinStatus {
            table: joined.table(),
            behind,
            read: progress.read,
            joined: progress.joined,
            repeated: progress.repeated,
            unmatched: progress.unmatched(),
            watermark_us: progress.watermark_us,
            error: failure(&table).await?,
        });
    }
    Ok(found)
}
