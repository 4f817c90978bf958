//! Partials on their way into files: held to the table's columns and to the limit of series, a few large files.

use arrow::array::RecordBatch;
use datafusion::dataframe::DataFrame;
use datafusion::execution::SendableRecordBatchStream;
use farol_lake::{LakeError, Upload};
use futures::TryStreamExt as _;

use crate::aggregate::conform;
use crate::error::JobError;
use crate::series_limit::SeriesLimit;
use crate::step::Runner;

/// Rows of partials that are written as one file.
const FILE_ROWS: usize = 1 << 20;

/// Whether rows to be written are held to the limit of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Series {
    /// New rows are.
    Limited,
    /// Rows that were in the table before are not.
    AsTheyAre,
    /// Nor are those, which are in the order of their windows.
    Sorted,
}

/// Writes the partials of one commit.
pub(crate) struct Writer<'a> {
    runner: &'a mut Runner,
    series: Series,
    uploads: Vec<Upload>,
    gathered: Vec<RecordBatch>,
    rows: usize,
    /// Rows that were kept under `other`.
    beyond: u64,
}

impl<'a> Writer<'a> {
    /// Begins. The series that there are already are looked up where they matter.
    pub async fn begin(runner: &'a mut Runner, series: Series) -> Result<Self, JobError> {
        let limited = series == Series::Limited;
        if limited && runner.series.as_ref().is_none_or(SeriesLimit::is_stale) {
            let partials = runner.output.snapshot().await?.table_provider().await;
            let partials = partials.map_err(LakeError::from)?;
            runner.series = Some(SeriesLimit::load(&runner.job, partials).await?);
        }
        Ok(Self {
            runner,
            series,
            uploads: Vec::new(),
            gathered: Vec::new(),
            rows: 0,
            beyond: 0,
        })
    }

    /// Writes the rows of a plan; how many they were.
    pub async fn write(&mut self, frame: DataFrame) -> Result<usize, JobError> {
        self.write_all(frame.execute_stream().await?).await
    }

    /// Writes rows; how many they were.
    pub async fn write_all(
        &mut self,
        mut batches: SendableRecordBatchStream,
    ) -> Result<usize, JobError> {
        let schema = self.runner.job.partials_schema();
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await? {
            let mut batch = conform(&batch, &schema)?;
            let limited = self.series == Series::Limited;
            if let Some(series) = self.runner.series.as_mut().filter(|_| limited) {
                let (kept, others) = series.apply(&batch)?;
                batch = kept;
                self.beyond += others;
            }
            rows += batch.num_rows();
            self.push(batch).await?;
        }
        Ok(rows)
    }

    /// Takes rows as they are, with the table's columns.
    pub async fn push(&mut self, batch: RecordBatch) -> Result<(), JobError> {
        self.rows += batch.num_rows();
        self.gathered.push(batch);
        if self.rows >= FILE_ROWS {
            self.write_file().await?;
        }
        Ok(())
    }

    /// The files, and how many rows were kept under `other`.
    pub async fn finish(mut self) -> Result<(Vec<Upload>, u64), JobError> {
        self.write_file().await?;
        Ok((self.uploads, self.beyond))
    }

    async fn write_file(&mut self) -> Result<(), JobError> {
        let gathered = std::mem::take(&mut self.gathered);
        if self.rows > 0 {
            let output = self.runner.output.clone();
            self.uploads.push(match self.series {
                Series::Sorted => output.upload_sorted(gathered).await?,
                Series::Limited | Series::AsTheyAre => output.upload(None, gathered).await?,
            });
        }
        self.rows = 0;
        Ok(())
    }
}
