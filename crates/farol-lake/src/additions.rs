//! Following a table: the rows that its versions added, in bounded steps.
//!
//! ```text
//! log entries (after, through] ──▶ files of data-changing appends ──▶ added_rows: a table of just those rows
//! ```
//!
//! Rewrites (compaction) change no row and are passed over. So are replacements: entries that remove rows and add
//! others. Whoever follows an input that is only ever appended to sees each row exactly once.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::datasource::{TableProvider, TableType};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use deltalake::kernel::LogicalFileView;

use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use crate::commit::Marks;
use crate::commit::log::LogEntry;
use crate::error::LakeError;
use crate::spec::TableSpec;
use crate::table::Table;

/// How much one step of following a table may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdditionLimits {
    /// Versions at the most.
    pub versions: i64,
    /// Bytes of files at the most; one version is taken whatever it holds.
    pub bytes: u64,
}

/// A file whose rows a version added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedFile {
    /// Its path below the table's root.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// The value of the partition column, where the table has one.
    pub partition: Option<String>,
}

impl From<&LogicalFileView> for AddedFile {
    fn from(view: &LogicalFileView) -> Self {
        Self {
            path: view.object_store_path().to_string(),
            bytes: view.size().unsigned_abs(),
            partition: view.partition_values_map().into_values().next().flatten(),
        }
    }
}

/// What the versions of a table after one and up to another added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Additions {
    /// The last version that was read.
    pub through: i64,
    /// The newest version there is.
    pub newest: i64,
    /// The files that hold the rows.
    pub files: Vec<AddedFile>,
    /// Whether rows were replaced or dropped in between, which `files` says nothing of.
    pub replaced: bool,
    /// For each version that replaced or dropped rows, the application ids that it set.
    pub replaced_by: Vec<Vec<String>>,
    /// Farol's marks at `through`, where that is the newest version: what a step that is level may carry on.
    pub marks: Option<Marks>,
}

impl Table {
    /// What data-changing versions after `after` added, as far as `limits` allow; `None` where an entry of the log
    /// was cleaned away, so that only a snapshot can tell.
    ///
    /// # Errors
    /// Where the store fails, or an entry cannot be understood.
    pub async fn additions(
        &self,
        after: i64,
        limits: AdditionLimits,
    ) -> Result<Option<Additions>, LakeError> {
        let (newest, marks) = self.version_and_marks("farol/").await?;
        let mut additions = Additions {
            through: after,
            newest,
            files: Vec::new(),
            replaced: false,
            replaced_by: Vec::new(),
            marks: None,
        };
        let mut bytes = 0;
        for version in after + 1..=newest {
            if additions.through - after >= limits.versions.max(1) || bytes >= limits.bytes {
                break;
            }
            let Some(entry) = self.entry(version).await? else {
                return Ok(None);
            };
            if entry.removes.iter().any(|remove| remove.data_change) {
                additions.replaced = true;
                let ids = entry.marks.into_iter().map(|(id, _)| id);
                additions.replaced_by.push(ids.collect());
            } else {
                additions.files.extend(added_files(entry));
                bytes = additions.files.iter().map(|file| file.bytes).sum();
            }
            additions.through = version;
        }
        additions.marks = (additions.through >= newest).then_some(marks);
        Ok(Some(additions))
    }

    /// The files that hold exactly the rows that the versions after `after`, up to `through`, added; `None` where that
    /// cannot be told so: rows were replaced in between, an entry was cleaned away, or a file is gone.
    ///
    /// # Errors
    /// Where the store fails, or an entry cannot be understood.
    pub async fn added_between(
        &self,
        after: i64,
        through: i64,
    ) -> Result<Option<Vec<AddedFile>>, LakeError> {
        let mut files = Vec::new();
        for version in after + 1..=through {
            match self.entry(version).await? {
                Some(entry) if entry.removes.iter().all(|remove| !remove.data_change) => {
                    files.extend(added_files(entry));
                }
                _ => return Ok(None),
            }
        }
        for file in &files {
            match self.store().head(&Path::from(file.path.as_str())).await {
                Ok(_) => {}
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(files))
    }

    /// The rows of some of the table's files, as a table to query. The files need not be live any more.
    pub fn added_rows(&self, files: Vec<AddedFile>) -> Result<Arc<dyn TableProvider>, LakeError> {
        let schema =
            TableSpec::known(self.name()).map_or_else(|| self.schema().clone(), |spec| spec.schema);
        let (mut stored, mut partition) = (Vec::new(), Vec::new());
        for field in schema.fields() {
            if self.partition_columns().contains(field.name()) {
                partition.push(Arc::clone(field));
            } else {
                stored.push(Arc::clone(field));
            }
        }
        let schema = TableSchema::builder(Arc::new(Schema::new(stored)))
            .with_table_partition_cols(partition)
            .build();
        Ok(Arc::new(AddedRows {
            table: self.clone(),
            schema,
            files,
        }))
    }

    /// The table's rows as they were at a version, as a table to query.
    pub async fn rows_at(&self, version: i64) -> Result<Arc<dyn TableProvider>, LakeError> {
        let delta = self.files_at(Some(version.unsigned_abs())).await?;
        Ok(delta.table_provider().await?)
    }
}

fn added_files(entry: LogEntry) -> impl Iterator<Item = AddedFile> {
    let added = entry.adds.into_iter().filter(|add| add.data_change);
    added.map(|add| AddedFile {
        path: add.path,
        bytes: add.size.unsigned_abs(),
        partition: add.partition_values.into_values().next().flatten(),
    })
}

/// The rows of some files of a table.
struct AddedRows {
    table: Table,
    schema: TableSchema,
    files: Vec<AddedFile>,
}

impl std::fmt::Debug for AddedRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddedRows")
            .field("table", &self.table)
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for AddedRows {
    fn schema(&self) -> SchemaRef {
        self.schema.table_schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.files.is_empty() {
            let schema = self.schema();
            let schema = match projection {
                Some(columns) => Arc::new(schema.project(columns)?),
                None => schema,
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        // Each table's store is rooted at the table, so it needs an address of its own.
        let name = self
            .table
            .name()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let url = ObjectStoreUrl::parse(format!("farol-rows-{name}://"))?;
        state
            .runtime_env()
            .register_object_store(url.as_ref(), Arc::clone(self.table.store()));
        let partition_type = self
            .schema
            .table_partition_cols()
            .first()
            .map(|field| field.data_type().clone());
        let files = self
            .files
            .iter()
            .map(|file| partitioned(file, partition_type.as_ref()))
            .collect::<Result<Vec<_>>>()?;
        let source = Arc::new(ParquetSource::new(self.schema.clone()));
        let scan = FileScanConfigBuilder::new(url, source)
            .with_file_group(FileGroup::new(files))
            .with_projection_indices(projection.cloned())?
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }
}

fn partitioned(file: &AddedFile, partition_type: Option<&DataType>) -> Result<PartitionedFile> {
    let found = PartitionedFile::new(file.path.clone(), file.bytes);
    let Some(data_type) = partition_type else {
        return Ok(found);
    };
    let value = match &file.partition {
        Some(text) => ScalarValue::try_from_string(text.clone(), data_type)?,
        None => ScalarValue::try_from(data_type)?,
    };
    Ok(found.with_partition_values(vec![value]))
}
