//! The names that there are at the prompt: tables and views with their columns, functions, jobs with their segments.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use farol_jobs::Jobs;
use farol_lake::sql::Session;
use futures::TryStreamExt as _;

/// The schema whose tables need no qualifier.
const PUBLIC: &str = "public";

/// Every name that can be written.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Columns, by relation as it is written after FROM.
    columns: BTreeMap<String, Vec<String>>,
    /// Relations, by schema.
    schemas: BTreeMap<String, BTreeSet<String>>,
    functions: BTreeSet<String>,
    jobs: BTreeMap<String, Vec<String>>,
}

impl Names {
    /// Asks a session for what it knows.
    pub(super) async fn of(session: &Session, jobs: &Jobs) -> anyhow::Result<Self> {
        let mut names = Self::default();
        let columns = "SELECT table_schema, table_name, column_name FROM information_schema.columns \
                       WHERE table_schema <> 'information_schema' ORDER BY ordinal_position";
        for row in texts::<3>(session, columns).await? {
            let [schema, table, column] = row;
            names.column(&schema, &table, &column);
        }
        let functions = "SELECT DISTINCT routine_name FROM information_schema.routines";
        for [name] in texts::<1>(session, functions).await? {
            names.function(&name);
        }
        for job in jobs.iter() {
            names.job(job.name(), job.segments().to_vec());
        }
        Ok(names)
    }

    pub(super) fn column(&mut self, schema: &str, table: &str, column: &str) {
        let written = if schema == PUBLIC {
            table.to_owned()
        } else {
            format!("{schema}.{table}")
        };
        let columns = self.columns.entry(written).or_default();
        columns.push(column.to_owned());
        let tables = self.schemas.entry(schema.to_owned()).or_default();
        tables.insert(table.to_owned());
    }

    pub(super) fn function(&mut self, name: &str) {
        // Operators are functions too; nobody calls them by name.
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.functions.insert(name.to_owned());
        }
    }

    pub(super) fn job(&mut self, name: &str, segments: impl IntoIterator<Item = String>) {
        self.jobs
            .insert(name.to_owned(), segments.into_iter().collect());
    }

    /// Tables and views, as they are written after FROM.
    pub(super) fn relations(&self) -> Vec<String> {
        self.columns.keys().cloned().collect()
    }

    /// What may follow a name and a dot: the columns of a relation, or the relations of a schema.
    pub(super) fn below(&self, name: &str) -> Vec<String> {
        match (self.columns.get(name), self.schemas.get(name)) {
            (Some(columns), _) => columns.clone(),
            (None, Some(tables)) => tables.iter().cloned().collect(),
            (None, None) => Vec::new(),
        }
    }

    /// The functions.
    pub(super) fn functions(&self) -> &BTreeSet<String> {
        &self.functions
    }

    /// The jobs.
    pub(super) fn jobs(&self) -> Vec<String> {
        self.jobs.keys().cloned().collect()
    }

    /// The segments of a job.
    pub(super) fn segments(&self, job: &str) -> Vec<String> {
        self.jobs.get(job).cloned().unwrap_or_default()
    }
}

/// The rows of a query whose columns are all text; a NULL is an empty one.
pub(super) async fn texts<const N: usize>(
    session: &Session,
    sql: &str,
) -> anyhow::Result<Vec<[String; N]>> {
    let (_, stream) = session.query(sql).await?;
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    let mut rows = Vec::new();
    for batch in batches {
        anyhow::ensure!(batch.num_columns() == N, "{N} columns are expected: {sql}");
        let columns = batch
            .columns()
            .iter()
            .map(|column| cast(column, &DataType::Utf8))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            rows.push(std::array::from_fn(|place| {
                let column = columns[place].as_string::<i32>();
                let known = (!column.is_null(row)).then(|| column.value(row));
                known.unwrap_or_default().to_owned()
            }));
        }
    }
    Ok(rows)
}
