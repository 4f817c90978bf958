//! The tables that a job reads: what their versions added, and their rows as they were.
//!
//! ```text
//! table of each input ──▶ additions (or none) ──▶ rows added, and the version that they reach
//! ```
//!
//! A job over several inputs takes what was added to all of them in one step. An input that is not there yet, or that got
//! nothing, is a table without rows. So each row of each input is in one step: which other rows are in it does not matter,
//! because the SQL looks at one row at a time, or, where it looks at several, at a snapshot.

use std::sync::Arc;

use datafusion::datasource::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use farol_lake::{AdditionLimits, Additions, Lake, LakeError, Table, TableSpec};

use crate::aggregate::InputRows;
use crate::definition::Job;
use crate::progress::watermark_us;

/// One input.
#[derive(Debug, Clone)]
struct Input {
    name: String,
    /// `None` while it is not there.
    table: Option<Table>,
}

impl Input {
    fn nothing(&self) -> Arc<dyn TableProvider> {
        let spec = TableSpec::known(&self.name);
        Arc::new(EmptyTable::new(spec.map_or_else(
            || Arc::new(arrow::datatypes::Schema::empty()),
            |spec| spec.schema,
        )))
    }

    async fn rows_at(&self, version: Option<i64>) -> Result<Arc<dyn TableProvider>, LakeError> {
        match (&self.table, version) {
            (Some(table), Some(version)) => table.rows_at(version).await,
            _ => Ok(self.nothing()),
        }
    }
}

/// The tables that a job reads, in the order of [`Job::inputs`].
#[derive(Debug, Clone)]
pub(crate) struct Inputs(Vec<Input>);

impl Inputs {
    /// The inputs of a job, none of them opened.
    pub fn of(job: &Job) -> Self {
        let inputs = job.inputs().map(|name| Input {
            name: name.to_owned(),
            table: None,
        });
        Self(inputs.collect())
    }

    /// Opens those that are there; whether any is.
    pub async fn open(&mut self, lake: &Lake) -> Result<bool, LakeError> {
        for input in &mut self.0 {
            if input.table.is_none() {
                input.table = lake.existing(&input.name).await?;
            }
        }
        Ok(self.0.iter().any(|input| input.table.is_some()))
    }

    /// What was added to each after a version of it; `None` where an entry of a log was cleaned away.
    pub async fn added(
        &self,
        after: &[Option<i64>],
        limits: AdditionLimits,
    ) -> Result<Option<Added>, LakeError> {
        let mut additions = Vec::new();
        for (input, after) in self.0.iter().zip(after) {
            let Some(table) = &input.table else {
                additions.push(None);
                continue;
            };
            match table.additions(after.unwrap_or(-1), limits).await? {
                Some(found) => additions.push(Some(found)),
                None => return Ok(None),
            }
        }
        Ok(Some(Added {
            inputs: self.clone(),
            additions,
        }))
    }

    /// The newest version of each, and the watermark of the first.
    pub async fn newest(&self) -> Result<(Vec<Option<i64>>, Option<i64>), LakeError> {
        let (mut versions, mut watermark) = (Vec::new(), None);
        for (index, input) in self.0.iter().enumerate() {
            let Some(table) = &input.table else {
                versions.push(None);
                continue;
            };
            let (version, marks) = table.version_and_marks("farol/").await?;
            versions.push(Some(version));
            if index == 0 {
                watermark = watermark_us(&marks);
            }
        }
        Ok((versions, watermark))
    }

    /// The rows of each as they were at a version of it; none where there is no version.
    pub async fn rows_at(&self, versions: &[Option<i64>]) -> Result<InputRows, LakeError> {
        let mut rows = InputRows::new();
        for (input, version) in self.0.iter().zip(versions) {
            rows.push(input.rows_at(*version).await?);
        }
        Ok(rows)
    }
}

/// What was added to a job's inputs.
#[derive(Debug)]
pub(crate) struct Added {
    inputs: Inputs,
    /// `None` of an input that is not there.
    additions: Vec<Option<Additions>>,
}

impl Added {
    /// The versions that were read to; `None` of an input that is not there, or has none.
    pub fn through(&self) -> Vec<Option<i64>> {
        let through = |of: &Option<Additions>| of.as_ref().map(|of| of.through);
        let through = self.additions.iter().map(through);
        through
            .map(|version| version.filter(|version| *version >= 0))
            .collect()
    }

    /// Versions that are left.
    pub fn behind(&self) -> i64 {
        let additions = self.additions.iter().flatten();
        additions.map(|of| of.newest - of.through).sum()
    }

    /// Whether there are rows.
    pub fn has_rows(&self) -> bool {
        let mut additions = self.additions.iter().flatten();
        additions.any(|of| !of.files.is_empty())
    }

    /// The first input's watermark, where all inputs were read to their newest version.
    pub fn watermark_us(&self) -> Option<i64> {
        let all = self.additions.iter().flatten().all(|of| of.marks.is_some());
        let first = self.additions.first()?.as_ref()?;
        watermark_us(first.marks.as_ref().filter(|_| all)?)
    }

    /// The rows that were added to each input.
    pub fn rows(&self) -> Result<InputRows, LakeError> {
        let inputs = self.inputs.0.iter().zip(&self.additions);
        let rows = inputs.map(|(input, additions)| match (&input.table, additions) {
            (Some(table), Some(additions)) => table.added_rows(additions.files.clone()),
            _ => Ok(input.nothing()),
        });
        rows.collect()
    }

    /// The rows of each input as they were at a version of it.
    pub async fn rows_at(&self, versions: &[Option<i64>]) -> Result<InputRows, LakeError> {
        self.inputs.rows_at(versions).await
    }
}

/// What tells a state of all inputs from those before it: it grows with the version of each.
pub(crate) fn revision(versions: &[Option<i64>]) -> i64 {
    versions.iter().flatten().sum()
}
