//! A lake: a place in an object store with a Delta table per name.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake::operations::create::CreateBuilder;
use deltalake::{DeltaTable, DeltaTableError};
use futures::TryStreamExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use url::Url;

use crate::commit::log::entry_path;
use crate::error::LakeError;
use crate::redefinition::{Notes, first_difference};
use crate::spec::TableSpec;
use crate::table::Table;

/// A place in an object store that holds Farol's tables. Clones share it.
#[derive(Clone)]
pub struct Lake(Arc<Inner>);

struct Inner {
    url: Url,
    root: Arc<dyn ObjectStore>,
}

impl std::fmt::Debug for Lake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Storage options hold secrets; the address does not.
        f.debug_tuple("Lake").field(&self.0.url.as_str()).finish()
    }
}

impl Lake {
    /// Opens a lake at a directory (made where it is not there) or at a URL.
    ///
    /// # Errors
    /// Where the address cannot be understood, or the store refuses its options.
    pub async fn open(
        uri: &str,
        storage_options: HashMap<String, String>,
    ) -> Result<Self, LakeError> {
        let wrong = |reason: String| LakeError::Uri {
            uri: uri.to_owned(),
            reason,
        };
        let url = address(uri).map_err(wrong)?;
        if url.scheme() == "file" {
            let path = url
                .to_file_path()
                .map_err(|()| wrong("it is not a path of this machine".into()))?;
            tokio::fs::create_dir_all(&path)
                .await
                .map_err(|error| wrong(format!("the directory cannot be made: {error}")))?;
        }
        let (root, _) = object_store::parse_url_opts(&url, &storage_options)
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self::with_store(Arc::from(root), url))
    }

    /// A lake in a store of the caller's, whose root is the store's root.
    pub fn with_store(root: Arc<dyn ObjectStore>, url: Url) -> Self {
        Self(Arc::new(Inner { url, root }))
    }

    /// A lake in this process's memory, to try out what would be written.
    ///
    /// # Errors
    /// Never, in practice: its address is a constant.
    pub fn in_memory() -> Result<Self, LakeError> {
        let uri = "memory:///";
        let url = Url::parse(uri).map_err(|error| LakeError::Uri {
            uri: uri.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self::with_store(Arc::new(InMemory::new()), url))
    }

    /// Where the lake is.
    pub fn uri(&self) -> &str {
        self.0.url.as_str()
    }

    /// Opens a table, and creates it where there is none. To be called before the first data commit.
    ///
    /// # Errors
    /// Where the table is there with other columns, or the store fails.
    pub async fn table(&self, name: &str, spec: &TableSpec) -> Result<Table, LakeError> {
        if let Some(table) = self.existing(name).await? {
            check_columns(&table, spec)?;
            return Ok(table);
        }
        let table = self.create(name, spec, &Notes::new()).await?;
        check_columns(&table, spec)?;
        Ok(table)
    }

    /// Creates a table, with notes of what it is. Where another was faster, or it is there already, it is that table,
    /// whatever its columns and notes.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn create(
        &self,
        name: &str,
        spec: &TableSpec,
        notes: &Notes,
    ) -> Result<Table, LakeError> {
        // Version 0 is ours or another's, never both: two creators must not commit twice. The library's own
        // creation turns the loser's into a version 1 that declares the table again.
        let entry = first_entry(name, spec, notes).await?;
        let store = self.table_store(name);
        let options = PutOptions {
            mode: PutMode::Create,
            ..PutOptions::default()
        };
        match store
            .put_opts(&entry_path(0), PutPayload::from_bytes(entry), options)
            .await
        {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let table = self.existing(name).await?;
        Ok(table.ok_or_else(|| DeltaTableError::NotATable(name.to_owned()))?)
    }

    /// Deletes a table with all its files. Nobody may be at work on it. What is interrupted goes on when it is called
    /// again: the log goes last, so the table is listed until nothing is left of it.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn drop_table(&self, name: &str) -> Result<(), LakeError> {
        let store = self.table_store(name);
        let found: Vec<_> = store.list(None).try_collect().await?;
        let log = Path::from("_delta_log");
        let (entries, files): (Vec<_>, Vec<_>) = found
            .into_iter()
            .map(|object| object.location)
            .partition(|path| path.prefix_matches(&log));
        for path in files.into_iter().chain(entries) {
            match store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Opens a table; `None` where there is none.
    pub async fn existing(&self, name: &str) -> Result<Option<Table>, LakeError> {
        let store = self.table_store(name);
        if store
            .list(Some(&Path::from("_delta_log")))
            .try_next()
            .await?
            .is_none()
        {
            return Ok(None);
        }
        let mut delta = DeltaTable::new(self.log_store(name));
        delta.load().await?;
        Ok(Some(Table::open(name, &delta, store)?))
    }

    /// The names of the tables that are there, sorted; tables in folders (`partials/performance`) too.
    pub async fn names(&self) -> Result<Vec<String>, LakeError> {
        let mut names = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let store: Arc<dyn ObjectStore> =
                Arc::new(PrefixStore::new(self.0.root.clone(), self.path(&folder)));
            for found in store.list_with_delimiter(None).await?.common_prefixes {
                let name = format!("{folder}{found}");
                let log = self.table_store(&name);
                let any = log.list(Some(&Path::from("_delta_log"))).try_next().await?;
                if any.is_some() {
                    names.push(name);
                } else if folder.is_empty() {
                    folders.push(format!("{name}/"));
                }
            }
        }
        names.sort();
        Ok(names)
    }

    fn path(&self, name: &str) -> Path {
        let base = Path::from_url_path(self.0.url.path()).unwrap_or_default();
        name.split('/')
            .filter(|part| !part.is_empty())
            .fold(base, Path::join)
    }

    fn table_store(&self, name: &str) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(self.0.root.clone(), self.path(name)))
    }

    fn log_store(&self, name: &str) -> LogStoreRef {
        let mut url = self.0.url.clone();
        let path = format!("{}/{name}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        // The store is given, whatever the scheme; the library's registry only knows those of its own stores.
        default_logstore(
            self.table_store(name),
            self.0.root.clone(),
            &url,
            &StorageConfig::default(),
        )
    }
}

/// The first entry of a table's log: protocol and metadata, as the library writes them for a table in memory.
async fn first_entry(name: &str, spec: &TableSpec, notes: &Notes) -> Result<Bytes, LakeError> {
    let columns: StructType = spec.schema.as_ref().try_into_kernel()?;
    let delta = CreateBuilder::new()
        .with_log_store(DeltaTable::new_in_memory().log_store())
        .with_table_name(name)
        .with_comment(spec.description.clone())
        .with_columns(columns.fields().cloned())
        .with_partition_columns(&spec.partition_columns)
        .with_configuration(
            spec.properties()
                .into_iter()
                .map(|(key, value)| (key.to_owned(), Some(value))),
        )
        .with_configuration(
            notes
                .iter()
                .map(|(key, value)| (key.clone(), Some(value.clone()))),
        )
        // The library refuses properties that are not Delta's own.
        .with_raise_if_key_not_exists(notes.is_empty())
        .await?;
    Ok(delta
        .object_store()
        .get(&entry_path(0))
        .await?
        .bytes()
        .await?)
}

fn address(uri: &str) -> Result<Url, String> {
    if uri.contains("://") {
        return Url::parse(uri).map_err(|error| error.to_string());
    }
    let path = std::path::absolute(uri).map_err(|error| error.to_string())?;
    Url::from_directory_path(&path)
        .map_err(|()| format!("{} is not an absolute path", path.display()))
}

/// A table of an older Farol may lack columns at the end; one of another program has others.
fn check_columns(table: &Table, spec: &TableSpec) -> Result<(), LakeError> {
    match first_difference(table.schema(), &spec.schema) {
        None => Ok(()),
        Some(reason) => Err(LakeError::OtherColumns {
            table: table.name().to_owned(),
            reason,
        }),
    }
}
