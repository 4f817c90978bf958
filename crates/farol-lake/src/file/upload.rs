//! From the encoder to the store: names, whole files and files in parts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::RecordBatch;
use bytes::Bytes;
use chrono::{Datelike, NaiveDate, TimeDelta};
use deltalake::kernel::Add;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use uuid::Uuid;

use super::encoder::{Encoded, FileEncoder, encode};
use super::error::FileError;
use super::layout::Layout;
use super::row_groups::RowGroupLimits;

/// Files larger than this go up in parts.
const MULTIPART_BYTES: usize = 16 << 20;
/// The size of a part.
const PART_BYTES: usize = 8 << 20;
/// Parts of one file on their way at once.
const PARTS_AT_ONCE: usize = 4;

/// The column that raw tables are partitioned by.
const PARTITION_COLUMN: &str = "event_date";

/// A file in the store that no commit names yet.
#[derive(Debug)]
pub(crate) struct Written {
    /// The action that makes it part of the table.
    pub add: Add,
    /// Its rows.
    pub rows: u64,
    /// When its upload began, which is no later than the store's own time of it.
    pub uploaded_at: SystemTime,
}

/// Encodes rows on a blocking thread and puts them into the table's store as one file.
pub(crate) async fn upload(
    store: &Arc<dyn ObjectStore>,
    layout: &Arc<Layout>,
    event_date: Option<i32>,
    batches: Vec<RecordBatch>,
    row_groups: RowGroupLimits,
) -> Result<Written, FileError> {
    let name = FileName::new(event_date)?;
    let layout = Arc::clone(layout);
    let encoded = blocking("encodes", move || encode(&layout, batches, row_groups)).await?;
    let uploaded_at = SystemTime::now();
    let Encoded {
        bytes,
        rows,
        statistics,
    } = encoded;
    let size = bytes.len();
    put(Arc::clone(store), name.path.clone(), bytes.into()).await?;
    Ok(name.written(size, rows, statistics, uploaded_at))
}

/// Puts bytes, in parts where they are many.
async fn put(store: Arc<dyn ObjectStore>, path: Path, bytes: Bytes) -> Result<(), FileError> {
    if bytes.len() <= MULTIPART_BYTES {
        return spawned("uploads", async move {
            store.put(&path, PutPayload::from_bytes(bytes)).await?;
            Ok(())
        })
        .await;
    }
    let mut parts = Parts::begin(store, path).await?;
    parts.push(bytes).await?;
    parts.finish().await
}

/// A file that is written as its rows come: only the open row group and a few parts are in memory.
pub(crate) struct FileStream {
    encoder: FileEncoder,
    parts: Parts,
    name: FileName,
    uploaded_at: SystemTime,
    size: usize,
}

impl FileStream {
    /// Begins a file.
    pub async fn begin(
        store: &Arc<dyn ObjectStore>,
        layout: &Arc<Layout>,
        event_date: Option<i32>,
    ) -> Result<Self, FileError> {
        let name = FileName::new(event_date)?;
        let encoder = FileEncoder::new(Arc::clone(layout))?;
        let uploaded_at = SystemTime::now();
        let parts = Parts::begin(Arc::clone(store), name.path.clone()).await?;
        Ok(Self {
            encoder,
            parts,
            name,
            uploaded_at,
            size: 0,
        })
    }

    /// Writes batches, conformed to the layout, as one row group.
    pub async fn write_row_group(mut self, batches: Vec<RecordBatch>) -> Result<Self, FileError> {
        let encoder = self.encoder;
        let encoded = blocking("encodes", move || {
            let mut encoder = encoder;
            encoder.write_row_group(&batches)?;
            let bytes = encoder.take()?;
            Ok((encoder, bytes))
        });
        let (encoder, bytes) = match encoded.await {
            Ok(encoded) => encoded,
            Err(error) => {
                self.parts.abort().await;
                return Err(error);
            }
        };
        self.encoder = encoder;
        self.size += bytes.len();
        self.parts.push(bytes.into()).await?;
        Ok(self)
    }

    /// Bytes handed to the store so far.
    pub fn bytes(&self) -> usize {
        self.size
    }

    /// Ends the file.
    pub async fn finish(mut self) -> Result<Written, FileError> {
        let Encoded {
            bytes,
            rows,
            statistics,
        } = self.encoder.finish()?;
        let size = self.size + bytes.len();
        self.parts.push(bytes.into()).await?;
        self.parts.finish().await?;
        Ok(self.name.written(size, rows, statistics, self.uploaded_at))
    }

    /// Gives the file up.
    pub async fn abort(mut self) {
        self.parts.abort().await;
    }
}

/// A multipart upload whose failures end it.
struct Parts {
    upload: Option<WriteMultipart>,
}

impl Parts {
    async fn begin(store: Arc<dyn ObjectStore>, path: Path) -> Result<Self, FileError> {
        let upload = spawned("begins an upload", async move {
            Ok(store.put_multipart(&path).await?)
        })
        .await?;
        Ok(Self {
            upload: Some(WriteMultipart::new_with_chunk_size(upload, PART_BYTES)),
        })
    }

    async fn push(&mut self, mut bytes: Bytes) -> Result<(), FileError> {
        while let Some(upload) = self.upload.as_mut().filter(|_| !bytes.is_empty()) {
            if let Err(error) = upload.wait_for_capacity(PARTS_AT_ONCE).await {
                self.abort().await;
                return Err(error.into());
            }
            upload.put(bytes.split_to(bytes.len().min(PART_BYTES)));
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(), FileError> {
        let Some(upload) = self.upload.take() else {
            return Ok(());
        };
        spawned("ends an upload", async move {
            upload.finish().await?;
            Ok(())
        })
        .await
    }

    /// Gives the upload up. Parts that cannot be taken back are left to the store's own cleaning.
    async fn abort(&mut self) {
        let Some(upload) = self.upload.take() else {
            return;
        };
        let aborted = spawned(
            "gives an upload up",
            async move { Ok(upload.abort().await?) },
        )
        .await;
        if let Err(reason) = aborted {
            tracing::warn!("parts of an upload that failed may be left in the store: {reason}");
        }
    }
}

/// A file's path, and the partition that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileName {
    path: Path,
    partition_values: HashMap<String, Option<String>>,
}

impl FileName {
    fn new(event_date: Option<i32>) -> Result<Self, FileError> {
        let file = format!("part-{}.parquet", Uuid::new_v4());
        let Some(day) = event_date else {
            return Ok(Self {
                path: Path::from(file),
                partition_values: HashMap::new(),
            });
        };
        let date = date_text(day)?;
        let path = Path::from(format!("{PARTITION_COLUMN}={date}/{file}"));
        let partition_values = HashMap::from([(PARTITION_COLUMN.to_owned(), Some(date))]);
        Ok(Self {
            path,
            partition_values,
        })
    }

    fn written(
        self,
        size: usize,
        rows: u64,
        statistics: String,
        uploaded_at: SystemTime,
    ) -> Written {
        let age = uploaded_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let add = Add {
            path: self.path.to_string(),
            partition_values: self.partition_values,
            size: size as i64,
            modification_time: i64::try_from(age.as_millis()).unwrap_or(i64::MAX),
            data_change: true,
            stats: Some(statistics),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        };
        Written {
            add,
            rows,
            uploaded_at,
        }
    }
}

/// A day since 1970-01-01 as `2026-01-01`.
fn date_text(day: i32) -> Result<String, FileError> {
    NaiveDate::default()
        .checked_add_signed(TimeDelta::days(i64::from(day)))
        .filter(|date| (0..=9999).contains(&date.year()))
        .map(|date| date.format("%Y-%m-%d").to_string())
        .ok_or(FileError::DateOutOfRange(day))
}

/// Runs work that would hold up the runtime on a thread of its own.
async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(panicked(doing, error)))
}

/// Runs a future as a task, so that a panic inside it becomes an error.
async fn spawned<T: Send + 'static>(
    doing: &'static str,
    work: impl Future<Output = Result<T, FileError>> + Send + 'static,
) -> Result<T, FileError> {
    tokio::spawn(work)
        .await
        .unwrap_or_else(|error| Err(panicked(doing, error)))
}

fn panicked(doing: &'static str, error: tokio::task::JoinError) -> FileError {
    let reason = match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "no message".to_owned()),
        Err(cancelled) => cancelled.to_string(),
    };
    FileError::Panicked { doing, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_folders() {
        let name = FileName::new(Some(20_454)).unwrap();
        assert!(
            name.path
                .as_ref()
                .starts_with("event_date=2026-01-01/part-")
        );
        assert_eq!(
            name.partition_values["event_date"].as_deref(),
            Some("2026-01-01")
        );
        assert_eq!(date_text(-1).unwrap(), "1969-12-31");
        assert!(date_text(i32::MAX).is_err());
        assert!(date_text(i32::MIN).is_err());
    }

    #[tokio::test]
    async fn a_panic_in_a_worker_is_an_error() {
        let error = spawned::<()>("uploads", async { panic!("No space left on device") })
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("No space left on device"),
            "{error}"
        );
    }
}
