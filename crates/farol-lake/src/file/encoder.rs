//! The encoder: row groups in, a file's bytes out.

use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::file::writer::SerializedFileWriter;

use super::error::FileError;
use super::layout::Layout;
use super::row_groups::{RowGroupLimits, row_groups};
use super::statistics;

/// A file as it is to be stored.
#[derive(Debug)]
pub struct Encoded {
    /// The bytes; of a file taken in pieces, what [`FileEncoder::take`] has not taken yet.
    pub bytes: Vec<u8>,
    /// The rows in the file.
    pub rows: u64,
    /// The `stats` of the file's Delta `add` action: a JSON object.
    pub statistics: String,
}

/// Writes one file, a row group at a time. The bytes of finished row groups can be taken at any time, so that
/// a file is never in memory as a whole unless one wants it.
pub struct FileEncoder {
    layout: Arc<Layout>,
    writer: SerializedFileWriter<Vec<u8>>,
    columns: ArrowRowGroupWriterFactory,
    row_groups: usize,
}

impl FileEncoder {
    /// Begins a file.
    ///
    /// # Errors
    /// Where the writer does.
    pub fn new(layout: Arc<Layout>) -> Result<Self, FileError> {
        let writer = SerializedFileWriter::new(
            Vec::new(),
            Arc::clone(layout.parquet_schema()),
            Arc::clone(layout.properties()),
        )?;
        let columns = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(layout.schema()));
        Ok(Self {
            layout,
            writer,
            columns,
            row_groups: 0,
        })
    }

    /// Writes a row group from batches that [`Layout::conform`] returned: one column at a time over all of them.
    ///
    /// # Errors
    /// Where a value cannot be written; the file is then of no use.
    pub fn write_row_group(&mut self, batches: &[RecordBatch]) -> Result<(), FileError> {
        if batches.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(());
        }
        let mut writers = self
            .columns
            .create_column_writers(self.row_groups)?
            .into_iter();
        let mut row_group = self.writer.next_row_group()?;
        for (index, field) in self.layout.schema().fields().iter().enumerate() {
            let mut leaves: Vec<_> = writers
                .by_ref()
                .take(self.layout.leaves_of(index))
                .collect();
            for batch in batches {
                let levels = compute_leaves(field, batch.column(index))?;
                for (writer, leaf) in leaves.iter_mut().zip(&levels) {
                    writer.write(leaf)?;
                }
            }
            for writer in leaves {
                writer.close()?.append_to_row_group(&mut row_group)?;
            }
        }
        row_group.close()?;
        self.row_groups += 1;
        Ok(())
    }

    /// The file's bytes so far, those taken included.
    pub fn bytes_written(&self) -> usize {
        self.writer.bytes_written()
    }

    /// Takes the bytes of the row groups written since the last call.
    ///
    /// # Errors
    /// Never with a buffer in memory; the writer's signature has one.
    pub fn take(&mut self) -> Result<Vec<u8>, FileError> {
        self.writer
            .flush()
            .map_err(parquet::errors::ParquetError::from)?;
        Ok(std::mem::take(self.writer.inner_mut()))
    }

    /// Ends the file with its footer.
    ///
    /// # Errors
    /// Where the writer does.
    pub fn finish(mut self) -> Result<Encoded, FileError> {
        let metadata = self.writer.finish()?;
        let rows = metadata.file_metadata().num_rows().unsigned_abs();
        let statistics = statistics::to_json(self.layout.logged(), &metadata);
        Ok(Encoded {
            bytes: std::mem::take(self.writer.inner_mut()),
            rows,
            statistics,
        })
    }
}

/// Encodes batches as one file in memory.
///
/// # Errors
/// Where a batch lacks a column or has one of another type, or a value cannot be written.
pub fn encode(
    layout: &Arc<Layout>,
    batches: impl IntoIterator<Item = RecordBatch>,
    limits: RowGroupLimits,
) -> Result<Encoded, FileError> {
    let mut encoder = FileEncoder::new(Arc::clone(layout))?;
    let conformed: Vec<_> = batches
        .into_iter()
        .map(|batch| layout.conform(&batch))
        .collect::<Result<_, _>>()?;
    for group in row_groups(conformed, limits) {
        encoder.write_row_group(&group)?;
    }
    encoder.finish()
}
