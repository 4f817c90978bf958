//! What the footers of files tell before their rows are read: how wide the rows are.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::async_reader::MetadataFetch;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;

use super::plan::LiveFile;
use crate::error::LakeError;

/// Footers read at once.
const FOOTERS_AT_ONCE: usize = 8;
/// Read from a file's end at first: enough for the footer of most files.
const PREFETCH_BYTES: usize = 64 << 10;

/// The bytes of a row, uncompressed, on average in that row group of the files where it is widest.
pub(super) async fn widest_row_bytes(
    store: &Arc<dyn ObjectStore>,
    files: &[LiveFile],
) -> Result<u64, LakeError> {
    futures::stream::iter(files.to_vec())
        .map(|file| row_bytes(Arc::clone(store), file))
        .buffer_unordered(FOOTERS_AT_ONCE)
        .try_fold(1, |widest, width| std::future::ready(Ok(width.max(widest))))
        .await
}

async fn row_bytes(store: Arc<dyn ObjectStore>, file: LiveFile) -> Result<u64, LakeError> {
    let fetch = Footer {
        store: &store,
        path: &file.path,
    };
    let reader = ParquetMetaDataReader::new().with_prefetch_hint(Some(PREFETCH_BYTES));
    let metadata = reader.load_and_finish(fetch, file.bytes).await?;
    let widths = metadata.row_groups().iter().map(|group| {
        group.total_byte_size().unsigned_abs() / group.num_rows().unsigned_abs().max(1)
    });
    Ok(widths.max().unwrap_or(0))
}

struct Footer<'a> {
    store: &'a Arc<dyn ObjectStore>,
    path: &'a Path,
}

impl MetadataFetch for Footer<'_> {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let bytes = self.store.get_range(self.path, range);
        bytes
            .map(|read| read.map_err(|error| ParquetError::External(Box::new(error))))
            .boxed()
    }
}
