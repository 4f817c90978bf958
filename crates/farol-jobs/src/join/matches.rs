//! Rows that found their call in a step, by each way of looking.

use arrow::array::RecordBatch;
use farol_lake::{AddedFile, Joined};

use super::found::Found;
use super::rows::joined_rows;
use super::search::AllCalls;
use super::subject::Tier;
use super::waiting::Waiting;
use crate::error::JobError;

/// Rows that found their call in a step.
pub(super) struct Matches {
    joined: Joined,
    /// As they were read.
    pub own: Vec<RecordBatch>,
    /// As they are joined.
    rows: Vec<RecordBatch>,
}

impl Matches {
    pub(super) fn new(joined: Joined) -> Self {
        Self {
            joined,
            own: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Takes what was found; gives the rows that go on waiting.
    fn take(&mut self, found: &Found, waiting: Waiting) -> Result<Waiting, JobError> {
        let Some(matched) = found.matched(&waiting)? else {
            return Ok(waiting);
        };
        self.rows.push(joined_rows(self.joined, &matched)?);
        self.own.push(matched.own);
        Ok(waiting.without(&found.places())?)
    }

    pub(super) async fn near(
        &mut self,
        calls: Option<&AllCalls>,
        waiting: Waiting,
    ) -> Result<Waiting, JobError> {
        let Some(calls) = calls.filter(|_| !waiting.is_empty()) else {
            return Ok(waiting);
        };
        let mut found = Found::default();
        calls.near(&waiting, &mut found).await?;
        self.take(&found, waiting)
    }

    pub(super) async fn everywhere(
        &mut self,
        calls: &AllCalls,
        waiting: Waiting,
    ) -> Result<Waiting, JobError> {
        let mut found = Found::default();
        calls.everywhere(&waiting, &mut found).await?;
        self.take(&found, waiting)
    }

    pub(super) async fn among(
        &mut self,
        calls: &AllCalls,
        files: &[AddedFile],
        waiting: &mut Waiting,
        most: Tier,
    ) -> Result<(), JobError> {
        if waiting.is_empty() {
            return Ok(());
        }
        let mut found = Found::default();
        let files = files.to_vec();
        calls.among(files, None, waiting, &mut found, most).await?;
        *waiting = self.take(&found, std::mem::take(waiting))?;
        Ok(())
    }

    /// The joined rows, as one batch.
    pub(super) fn rows(&self) -> Result<Option<RecordBatch>, JobError> {
        let Some(first) = self.rows.first() else {
            return Ok(None);
        };
        let rows = arrow::compute::concat_batches(&first.schema(), &self.rows)?;
        Ok(Some(rows))
    }
}
