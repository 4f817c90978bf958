//! Reading the files of a merge, sorted, within bounded memory, and writing them as large ones.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt as _;
use object_store::ObjectStore;

use super::footers::widest_row_bytes;
use super::plan::LiveFile;
use crate::error::LakeError;
use crate::file::{FileStream, Layout, Written, sort_columns};

/// So many batches fit into the memory for sorting. Batches are sized by what their rows take when encoded, which
/// is a third of what they take in memory; merging spilled runs holds two batches of each.
const BATCHES_IN_MEMORY: usize = 128;
/// Most rows in a batch.
const BATCH_ROWS: u64 = 8_192;
/// Rows in a batch where memory is short, unless they are so wide that [`WIDE_BATCH_BYTES`] hold fewer.
const BATCH_ROWS_MIN: u64 = 64;
/// See [`BATCH_ROWS_MIN`].
const WIDE_BATCH_BYTES: u64 = 1 << 20;
/// Rows of a row group; enough that a reader's threads share a file, few enough that pages prune.
const ROW_GROUP_ROWS: usize = 1 << 19;

/// Where a rewrite reads, and within what bounds.
pub(super) struct Rewrite<'a> {
    /// The table's store, rooted at the table.
    pub store: &'a Arc<dyn ObjectStore>,
    /// The layout of the files to write.
    pub layout: &'a Arc<Layout>,
    /// Memory for sorting, in bytes; more is spilled to disk.
    pub memory_bytes: usize,
    /// Where it is spilled to; the system's place for temporary files where `None`.
    pub spill_dir: Option<&'a PathBuf>,
    /// The size of the files to write.
    pub target_file_bytes: u64,
}

/// What came of a rewrite.
pub(super) struct Rewritten {
    /// The files, which no commit names yet.
    pub files: Vec<Written>,
    /// Whether their rows are in order.
    pub sorted: bool,
}

impl Rewrite<'_> {
    /// Writes the rows of `files` into few large ones of the same partition, sorted where memory and disk allow.
    pub async fn run(
        &self,
        files: &[LiveFile],
        event_date: Option<i32>,
    ) -> Result<Rewritten, LakeError> {
        match self.copy(files, event_date, true).await {
            Ok(files) => Ok(Rewritten {
                files,
                sorted: true,
            }),
            Err(LakeError::Query(error)) if out_of_room(&error) => {
                tracing::warn!("merging files unsorted, since sorting them found no room: {error}");
                let files = self.copy(files, event_date, false).await?;
                Ok(Rewritten {
                    files,
                    sorted: false,
                })
            }
            Err(error) => Err(error),
        }
    }

    async fn copy(
        &self,
        files: &[LiveFile],
        event_date: Option<i32>,
        sorted: bool,
    ) -> Result<Vec<Written>, LakeError> {
        let batch_rows = self.batch_rows(files).await?;
        let mut rows = self.read(files, batch_rows, sorted)?;
        let mut writer = Writer::new(self, event_date);
        loop {
            match rows.try_next().await {
                Ok(Some(batch)) => writer.push(&batch).await?,
                Ok(None) => return writer.finish().await,
                Err(error) => {
                    writer.abort().await;
                    return Err(error.into());
                }
            }
        }
    }

    /// Rows of a batch: rows may be megabytes, of which thousands would not fit into memory, nor into an array's
    /// 32-bit offsets.
    async fn batch_rows(&self, files: &[LiveFile]) -> Result<usize, LakeError> {
        let widest = widest_row_bytes(self.store, files).await?;
        Ok(rows_of_batch((self.memory_bytes / BATCHES_IN_MEMORY) as u64, widest) as usize)
    }

    fn read(
        &self,
        files: &[LiveFile],
        batch_rows: usize,
        sorted: bool,
    ) -> Result<SendableRecordBatchStream, LakeError> {
        let url = ObjectStoreUrl::parse("farol-table://")?;
        let schema = self.layout.schema();
        let source = Arc::new(ParquetSource::new(Arc::clone(schema)));
        let files = files
            .iter()
            .map(|file| PartitionedFile::new(file.path.to_string(), file.bytes));
        let scan = FileScanConfigBuilder::new(url.clone(), source)
            .with_file_group(FileGroup::new(files.collect()))
            .build();
        let mut plan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(scan);
        if let Some(order) = ordering(schema)?.filter(|_| sorted) {
            plan = Arc::new(SortExec::new(order, plan));
        }
        Ok(plan.execute(0, self.task(&url, batch_rows)?)?)
    }

    fn task(&self, url: &ObjectStoreUrl, batch_rows: usize) -> Result<Arc<TaskContext>, LakeError> {
        let spill = self
            .spill_dir
            .map_or(DiskManagerMode::OsTmpDirectory, |dir| {
                DiskManagerMode::Directories(vec![dir.clone()])
            });
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(self.memory_bytes)))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(spill))
            .build_arc()?;
        runtime.register_object_store(url.as_ref(), Arc::clone(self.store));
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .with_batch_size(batch_rows)
            .with_sort_spill_reservation_bytes(self.memory_bytes / 8);
        Ok(SessionContext::new_with_config_rt(config, runtime).task_ctx())
    }
}

fn rows_of_batch(batch_bytes: u64, row_bytes: u64) -> u64 {
    let row_bytes = row_bytes.max(1);
    let least = (WIDE_BATCH_BYTES / row_bytes).clamp(1, BATCH_ROWS_MIN);
    (batch_bytes / row_bytes).clamp(least, BATCH_ROWS)
}

fn ordering(schema: &SchemaRef) -> Result<Option<LexOrdering>, DataFusionError> {
    let options = SortOptions {
        descending: false,
        nulls_first: true,
    };
    let columns: Vec<_> = sort_columns(schema)
        .iter()
        .filter(|name| schema.index_of(name).is_ok())
        .map(|name| Ok(PhysicalSortExpr::new(col(name, schema)?, options)))
        .collect::<Result<_, DataFusionError>>()?;
    Ok(LexOrdering::new(columns))
}

/// Whether sorting failed for want of memory or of disk to spill to.
fn out_of_room(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

/// Batches on their way into files: rows gather to a row group, row groups to a file.
struct Writer<'a> {
    rewrite: &'a Rewrite<'a>,
    event_date: Option<i32>,
    open: Option<FileStream>,
    gathered: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    done: Vec<Written>,
}

impl<'a> Writer<'a> {
    fn new(rewrite: &'a Rewrite<'a>, event_date: Option<i32>) -> Self {
        Self {
            rewrite,
            event_date,
            open: None,
            gathered: Vec::new(),
            rows: 0,
            bytes: 0,
            done: Vec::new(),
        }
    }

    async fn push(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        let batch = self.rewrite.layout.conform(batch)?;
        self.rows += batch.num_rows();
        self.bytes += batch.get_array_memory_size();
        self.gathered.push(batch);
        if self.rows >= ROW_GROUP_ROWS || self.bytes >= self.rewrite.memory_bytes / 2 {
            self.write_row_group().await?;
        }
        Ok(())
    }

    async fn write_row_group(&mut self) -> Result<(), LakeError> {
        if self.rows == 0 {
            return Ok(());
        }
        let stream = match self.open.take() {
            Some(stream) => stream,
            None => {
                FileStream::begin(self.rewrite.store, self.rewrite.layout, self.event_date).await?
            }
        };
        let stream = stream
            .write_row_group(std::mem::take(&mut self.gathered))
            .await?;
        (self.rows, self.bytes) = (0, 0);
        if stream.bytes() as u64 >= self.rewrite.target_file_bytes {
            self.done.push(stream.finish().await?);
        } else {
            self.open = Some(stream);
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Vec<Written>, LakeError> {
        self.write_row_group().await?;
        if let Some(stream) = self.open.take() {
            self.done.push(stream.finish().await?);
        }
        Ok(self.done)
    }

    /// Gives up: what was written stays behind as orphans, which vacuum removes.
    async fn abort(self) {
        if let Some(stream) = self.open {
            stream.abort().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_sized_by_their_rows() {
        assert_eq!(rows_of_batch(1 << 20, 100), 8_192);
        assert_eq!(rows_of_batch(1 << 20, 1_024), 1_024);
        assert_eq!(
            rows_of_batch(10, 1_024),
            64,
            "however little memory there is"
        );
        assert_eq!(rows_of_batch(1 << 20, 16 << 20), 1, "however wide a row is");
        assert_eq!(rows_of_batch(1 << 20, 0), 8_192);
    }
}
