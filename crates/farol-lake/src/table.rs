//! A handle on one table.
//!
//! The handle follows the log: it knows the newest version it has read and the marks there, and reads what
//! is new, an entry at a time. That is all a commit needs, so a commit costs the same in a table of a
//! thousand files and of a million rows. The list of files is read only for whoever reads the table, and kept
//! for the next reader to go on from.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::{Duration, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use deltalake::DeltaTable;
use deltalake::kernel::Metadata;
use deltalake::kernel::transaction::PROTOCOL;
use deltalake::logstore::LogStoreRef;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::sync::Mutex;

use crate::commit::log::{self, LogEntry};
use crate::commit::{Commit, Marks, Outcome, Upload};
use crate::error::LakeError;
use crate::file::{self, Layout, Purpose, RowGroupLimits};
use crate::spec::TableSpec;

/// How long what was read of the log counts as current. After a longer pause (a stopped process) it is read
/// from a checkpoint again: entries between may have been cleaned away, and their numbers must not look free.
const STALE_AFTER: Duration = Duration::from_hours(1);

/// Rows of a row group of windows: few enough that a bound on time leaves most of them out.
const SORTED_ROW_GROUP_ROWS: usize = 1 << 16;

/// A table of the lake. Clones share what was read of its log.
#[derive(Clone)]
pub struct Table(Arc<Inner>);

pub(crate) struct Inner {
    pub name: String,
    pub store: Arc<dyn ObjectStore>,
    pub log_store: LogStoreRef,
    pub schema: SchemaRef,
    pub partition_columns: Vec<String>,
    metadata: Metadata,
    ingest_layout: Arc<Layout>,
    known: Mutex<Option<Known>>,
    /// The list of files as it was last read, for the next reader to go on from.
    listed: Mutex<Option<Listed>>,
    /// A copy for whoever may not wait for a commit under way.
    version: StdMutex<i64>,
}

/// The table with its list of files, and when it was read.
struct Listed {
    delta: DeltaTable,
    read_at: SystemTime,
}

/// What was read of the log.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub version: i64,
    pub marks: Marks,
    read_at: SystemTime,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Table").field(&self.0.name).finish()
    }
}

impl Table {
    pub(crate) fn open(
        name: &str,
        delta: &DeltaTable,
        store: Arc<dyn ObjectStore>,
    ) -> Result<Self, LakeError> {
        let state = delta.snapshot()?;
        let snapshot = state.snapshot();
        PROTOCOL
            .can_write_to(snapshot)
            .map_err(deltalake::DeltaTableError::from)?;
        let metadata = snapshot.metadata().clone();
        let version = snapshot.version() as i64;
        Self::assemble(
            name,
            (store, delta.log_store()),
            metadata,
            snapshot.arrow_schema(),
            version,
        )
    }

    /// A handle on the same table whose uploads have other columns.
    pub(crate) fn with_columns(&self, schema: &SchemaRef) -> Result<Self, LakeError> {
        let stores = (self.0.store.clone(), self.0.log_store.clone());
        let metadata = self.0.metadata.clone();
        Self::assemble(
            self.name(),
            stores,
            metadata,
            schema.clone(),
            self.version(),
        )
    }

    fn assemble(
        name: &str,
        (store, log_store): (Arc<dyn ObjectStore>, LogStoreRef),
        metadata: Metadata,
        schema: SchemaRef,
        version: i64,
    ) -> Result<Self, LakeError> {
        let partition_columns = metadata.partition_columns().to_vec();
        let written = TableSpec::known(name).map_or_else(|| schema.clone(), |spec| spec.schema);
        let ingest_layout = Arc::new(Layout::new(&written, &partition_columns, Purpose::Ingest)?);
        Ok(Self(Arc::new(Inner {
            name: name.to_owned(),
            store,
            log_store,
            schema,
            partition_columns,
            metadata,
            ingest_layout,
            known: Mutex::new(None),
            listed: Mutex::new(None),
            version: StdMutex::new(version),
        })))
    }

    /// The table's name in the lake.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The id that it was created with: a table that is created again under the same name has another.
    pub fn id(&self) -> &str {
        self.0.metadata.id()
    }

    /// Its columns, as the log declares them; the partition columns come last in the files' order of columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.0.schema
    }

    /// What was noted of the table under this name when the handle was opened.
    pub fn note_of(&self, name: &str) -> Option<&str> {
        let notes = self.0.metadata.configuration();
        notes.get(name).map(String::as_str)
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// The columns that sort its files into folders.
    pub fn partition_columns(&self) -> &[String] {
        &self.0.partition_columns
    }

    /// The store, rooted at the table.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.0.store
    }

    /// The newest version read so far.
    pub fn version(&self) -> i64 {
        *self
            .0
            .version
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is new in the log; returns the newest version.
    pub async fn refresh(&self) -> Result<i64, LakeError> {
        let mut known = self.0.known.lock().await;
        self.catch_up(&mut known).await?;
        Ok(self.version())
    }

    /// The application transactions whose id begins with `prefix`, at the newest version.
    pub async fn marks(&self, prefix: &str) -> Result<Marks, LakeError> {
        Ok(self.version_and_marks(prefix).await?.1)
    }

    /// The newest version, and the application transactions there whose id begins with `prefix`.
    pub async fn version_and_marks(&self, prefix: &str) -> Result<(i64, Marks), LakeError> {
        let mut known = self.0.known.lock().await;
        self.catch_up(&mut known).await?;
        let marks = known.as_ref().map(|known| &known.marks);
        let wanted = marks
            .into_iter()
            .flatten()
            .filter(|(id, _)| id.starts_with(prefix));
        let version = known.as_ref().map_or(-1, |known| known.version);
        let marks = wanted.map(|(id, value)| (id.clone(), *value)).collect();
        Ok((version, marks))
    }

    /// Writes rows as one Parquet file that no commit names yet. Rows may lack the partition columns; those
    /// of `event_date` are the file's folder (days since the epoch).
    ///
    /// # Errors
    /// Where the rows do not have the table's columns, or the store refuses the file. Nothing is in the table.
    pub async fn upload(
        &self,
        event_date: Option<i32>,
        batches: Vec<RecordBatch>,
    ) -> Result<Upload, LakeError> {
        let limits = RowGroupLimits::default();
        let layout = &self.0.ingest_layout;
        let written = file::upload(&self.0.store, layout, event_date, batches, limits).await?;
        Ok(Upload::from(written))
    }

    /// Writes rows of a table without partition columns, sorted by [`crate::file::sort_columns`], as one Parquet file for
    /// good: with statistics of its pages. No commit names it yet.
    ///
    /// # Errors
    /// As [`Self::upload`].
    pub async fn upload_sorted(&self, batches: Vec<RecordBatch>) -> Result<Upload, LakeError> {
        let inner = &self.0;
        let layout = Layout::new(&inner.schema, &inner.partition_columns, Purpose::Compacted)?;
        let limits = RowGroupLimits {
            rows: SORTED_ROW_GROUP_ROWS,
            ..RowGroupLimits::default()
        };
        let written = file::upload(&inner.store, &Arc::new(layout), None, batches, limits).await?;
        Ok(Upload::from(written))
    }

    /// Commits: see [`crate::commit`]. Calling again with the same commit after an error is safe.
    ///
    /// # Errors
    /// Where the outcome is not known after several attempts, or the commit can never be written.
    pub async fn commit(&self, commit: &Commit) -> Result<Outcome, LakeError> {
        let mut known = self.0.known.lock().await;
        crate::commit::write::commit(self, &mut known, commit).await
    }

    /// The table with its list of files, at the newest version, for reading.
    pub async fn snapshot(&self) -> Result<DeltaTable, LakeError> {
        self.files_at(None).await
    }

    /// How many rows the table has, as far as its log counts them.
    ///
    /// # Errors
    /// Where the table cannot be read.
    pub async fn logged_rows(&self) -> Result<u64, LakeError> {
        logged_rows(&self.snapshot().await?)
    }

    /// Whether the table had no files at a version.
    ///
    /// # Errors
    /// Where that version cannot be read, or not any more.
    pub async fn is_empty_at(&self, version: u64) -> Result<bool, LakeError> {
        let delta = self.files_at(Some(version)).await?;
        Ok(delta.snapshot()?.log_data().iter().next().is_none())
    }

    /// The table with its list of files at a version, or the newest. The newest list is kept, and the next reader reads
    /// only what is new since: a checkpoint of a busy table takes longer to read than a query.
    pub(crate) async fn files_at(&self, version: Option<u64>) -> Result<DeltaTable, LakeError> {
        let now = SystemTime::now();
        let mut listed = self.0.listed.lock().await;
        if let Some(known) = listed.as_mut() {
            let is_past = version.is_some_and(|version| known.delta.version() > Some(version));
            if is_past {
                drop(listed);
                return self.load_files(version).await;
            }
            let age = now.duration_since(known.read_at);
            if age.is_ok_and(|age| age < STALE_AFTER) {
                match known.delta.update_incremental(version).await {
                    Ok(()) => {
                        known.read_at = now;
                        return Ok(known.delta.clone());
                    }
                    // Entries may have been cleaned away. If it is something else, reading all anew says so.
                    Err(error) => tracing::debug!(
                        table = self.0.name,
                        "the list of files is read anew: {error}"
                    ),
                }
            }
        }
        let delta = self.load_files(version).await?;
        *listed = Some(Listed {
            delta: delta.clone(),
            read_at: now,
        });
        Ok(delta)
    }

    /// The same, from the log alone.
    pub(crate) async fn load_files(&self, version: Option<u64>) -> Result<DeltaTable, LakeError> {
        let mut delta = DeltaTable::new(self.0.log_store.clone());
        match version {
            Some(version) => delta.load_version(version).await?,
            None => delta.load().await?,
        }
        Ok(delta)
    }

    /// What data-changing versions after `after` added: the files, and so the rows.
    ///
    /// # Errors
    /// Where an entry was cleaned away: the reader is too far behind to follow the log.
    pub async fn changes(&self, after: i64) -> Result<Vec<VersionChange>, LakeError> {
        let newest = self.refresh().await?;
        let mut changes = Vec::new();
        for version in after + 1..=newest {
            let gone = || LakeError::Log {
                table: self.0.name.clone(),
                version,
                reason: "its entry was cleaned away; rebuild from a snapshot".to_owned(),
            };
            let entry = self.entry(version).await?.ok_or_else(gone)?;
            if entry.changes_data() {
                let added = entry.adds.into_iter().filter(|add| add.data_change);
                let files = added.map(|add| add.path).collect();
                changes.push(VersionChange {
                    version,
                    files,
                    marks: entry.marks,
                });
            }
        }
        Ok(changes)
    }

    /// Reads one entry of the log; `None` where there is none.
    pub(crate) async fn entry(&self, version: i64) -> Result<Option<LogEntry>, LakeError> {
        let bytes = match self.0.store.get(&log::entry_path(version)).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let wrong = |reason| LakeError::Log {
            table: self.0.name.clone(),
            version,
            reason,
        };
        let entry = log::parse(version, &bytes).map_err(wrong)?;
        if version > 0 && entry.sets_protocol {
            return Err(wrong(
                "its protocol was changed by another program; open the table again".to_owned(),
            ));
        }
        Ok(Some(entry))
    }

    /// Reads every version that is new; returns their entries.
    pub(crate) async fn catch_up(
        &self,
        known: &mut Option<Known>,
    ) -> Result<Vec<LogEntry>, LakeError> {
        let now = SystemTime::now();
        let current = |known: &Known| {
            now.duration_since(known.read_at)
                .is_ok_and(|age| age < STALE_AFTER)
        };
        if !known.as_ref().is_some_and(current) {
            *known = Some(self.load(now).await?);
        }
        let mut entries = Vec::new();
        if let Some(known) = known {
            while let Some(entry) = self.entry(known.version + 1).await? {
                known.take(&entry);
                entries.push(entry);
            }
            known.read_at = now;
            self.note(known.version);
        }
        Ok(entries)
    }

    /// The marks from the newest checkpoint, or from the log's first entry.
    async fn load(&self, now: SystemTime) -> Result<Known, LakeError> {
        if let Some((version, marks)) = log::checkpoint_marks(&self.0.store).await? {
            return Ok(Known {
                version,
                marks,
                read_at: now,
            });
        }
        match log::oldest_entry(&self.0.store).await? {
            Some(0) => Ok(Known {
                version: -1,
                marks: Marks::new(),
                read_at: now,
            }),
            oldest => Err(LakeError::Log {
                table: self.0.name.clone(),
                version: oldest.unwrap_or(0),
                reason: "there is neither a checkpoint nor the log's first entry".to_owned(),
            }),
        }
    }

    pub(crate) fn note(&self, version: i64) {
        *self
            .0
            .version
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = version;
    }
}

/// How many rows a table has, as far as its log counts them.
pub(crate) fn logged_rows(delta: &DeltaTable) -> Result<u64, LakeError> {
    let files = delta.snapshot()?.log_data();
    let rows = files.iter().filter_map(|file| file.num_records());
    Ok(rows.map(|rows| rows as u64).sum())
}

impl Known {
    pub fn take(&mut self, entry: &LogEntry) {
        self.version = entry.version;
        self.marks.extend(entry.marks.iter().cloned());
    }
}

/// What one version of a table added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionChange {
    /// The version.
    pub version: i64,
    /// The files whose rows it added, relative to the table.
    pub files: Vec<String>,
    /// The application transactions it set.
    pub marks: Vec<(String, i64)>,
}
