//! The newest rows of a table, for whoever wants a sample of them.

use std::cmp::Reverse;

use deltalake::kernel::LogicalFileView;

use crate::additions::AddedFile;
use crate::error::LakeError;
use crate::table::Table;

/// Files that hold the newest rows of a table at a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// The version.
    pub version: i64,
    /// The files, the newest first.
    pub files: Vec<AddedFile>,
}

impl Table {
    /// The files of the newest dates, and of those the ones written last, until they hold so many rows or are all.
    ///
    /// # Errors
    /// Where the table cannot be read.
    pub async fn newest(&self, rows: u64) -> Result<Newest, LakeError> {
        let delta = self.snapshot().await?;
        let state = delta.snapshot()?;
        let mut views: Vec<LogicalFileView> = state.log_data().iter().collect();
        views.sort_by_cached_key(|view| {
            let date = view.partition_values_map().into_values().next().flatten();
            Reverse((date, view.modification_time()))
        });
        let (mut files, mut held) = (Vec::new(), 0);
        for view in &views {
            if held >= rows {
                break;
            }
            held += view.num_records().map_or(0, |rows| rows as u64);
            files.push(AddedFile::from(view));
        }
        Ok(Newest {
            version: state.version() as i64,
            files,
        })
    }
}
