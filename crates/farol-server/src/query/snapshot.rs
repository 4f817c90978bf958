//! What queries see: the lake's tables and the views of jobs, at the versions of one moment.
//!
//! ```text
//! Session ──refresh──▶ its catalogue, which changes ──copy──▶ Snapshot, which does not ──▶ a context for each query
//! ```
//!
//! A query keeps the snapshot that it was planned against, so a refresh needs no query to end and disturbs none.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::memory::{
    MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
};
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::catalog_info::CatalogInfo;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::{
    PgCatalogSchemaProvider, PgCatalogStaticTables, setup_pg_catalog,
};
use farol_jobs::Jobs;
use farol_lake::Lake;
use farol_lake::sql::Session;
use farol_lake::sql::dictionary::DATA_DICTIONARY;
use tokio::sync::Mutex;

use super::cooperate::YieldingJoins;
use super::error::{Kind, QueryError};
use crate::postgres::functions;
use crate::postgres::information_schema::{self, InformationSchema};
use crate::postgres::pg_catalog::{self, PgCatalog};

/// The one database.
pub(crate) const CATALOG: &str = "farol";

/// The schema of the lake's tables and the views.
const PUBLIC: &str = "public";

/// How old a snapshot may be when a query begins.
const AGE_MAX: Duration = Duration::from_secs(1);

/// The tables and views at one moment. It does not change.
pub(crate) struct Snapshot {
    state: SessionState,
    read_at: Instant,
}

impl Snapshot {
    /// A context for one query, with the memory and the disk that it may use. Rows are handed on in batches of so many, and
    /// each sort keeps so many bytes for merging what it spilled.
    pub fn context(
        &self,
        resources: Arc<RuntimeEnv>,
        batch_rows: usize,
        merge_bytes: usize,
    ) -> SessionContext {
        let config = self.state.config().clone();
        let config = config
            .with_batch_size(batch_rows)
            .with_sort_spill_reservation_bytes(merge_bytes);
        let state = SessionStateBuilder::new_from_existing(self.state.clone())
            .with_config(config)
            .with_runtime_env(resources)
            .build();
        SessionContext::new_with_state(state)
    }

    /// The catalogue.
    pub fn catalogs(&self) -> &Arc<dyn CatalogProviderList> {
        self.state.catalog_list()
    }

    /// What it shares with all others: object stores, and caches of file footers.
    pub fn resources(&self) -> &Arc<RuntimeEnv> {
        self.state.runtime_env()
    }
}

/// Gives snapshots, each at most a second old.
pub(crate) struct Snapshots {
    lake: Lake,
    jobs: Jobs,
    newest: RwLock<Option<Arc<Snapshot>>>,
    /// Whoever holds it refreshes; the others wait for what it finds.
    source: Mutex<Option<Source>>,
}

/// The session that is refreshed, and PostgreSQL's tables, which keep the numbers (OIDs) of tables from one snapshot to
/// the next.
struct Source {
    session: Session,
    pg_catalog: Arc<dyn SchemaProvider>,
    current: CurrentCatalog,
}

impl Snapshots {
    pub fn new(lake: Lake, jobs: Jobs) -> Self {
        Self {
            lake,
            jobs,
            newest: RwLock::default(),
            source: Mutex::default(),
        }
    }

    /// A snapshot that was the newest within the last second.
    pub async fn newest(&self) -> Result<Arc<Snapshot>, QueryError> {
        if let Some(snapshot) = self.known() {
            return Ok(snapshot);
        }
        let mut source = self.source.lock().await;
        // Another may have refreshed while this one waited.
        if let Some(snapshot) = self.known() {
            return Ok(snapshot);
        }
        // What is read from here on is not older than this.
        let read_at = Instant::now();
        // Whoever is cancelled in the midst of this leaves a session that the next one can go on with.
        match source.as_ref() {
            Some(opened) => opened.session.refresh().await?,
            None => *source = Some(Source::open(&self.lake).await?),
        }
        let opened = source
            .as_ref()
            .ok_or_else(|| QueryError::new(Kind::Internal, "the tables are not open"))?;
        farol_jobs::views::register(&opened.session, &self.jobs).await?;
        let snapshot = Arc::new(Snapshot {
            state: opened.freeze().await?,
            read_at,
        });
        opened.current.set(snapshot.catalogs().clone());
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = Some(snapshot.clone());
        Ok(snapshot)
    }

    fn known(&self) -> Option<Arc<Snapshot>> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        newest
            .clone()
            .filter(|snapshot| snapshot.read_at.elapsed() < AGE_MAX)
    }
}

impl Source {
    async fn open(lake: &Lake) -> Result<Self, QueryError> {
        let session = Session::open(lake).await?;
        let failed = |error: DataFusionError| QueryError::new(Kind::Internal, error.to_string());
        setup_pg_catalog(session.context(), CATALOG, EmptyContextProvider)
            .map_err(|error| failed(*error))?;
        functions::register(session.context());
        let current = CurrentCatalog::default();
        let tables = PgCatalogStaticTables::try_new().map_err(failed)?;
        let pg_catalog = PgCatalogSchemaProvider::try_new(
            current.clone(),
            Arc::new(tables),
            EmptyContextProvider,
        )
        .map_err(failed)?;
        Ok(Self {
            session,
            pg_catalog: Arc::new(pg_catalog),
            current,
        })
    }

    /// The session's state over a copy of its catalogue.
    async fn freeze(&self) -> DataFusionResult<SessionState> {
        let state = self.session.context().state();
        let copy = MemoryCatalogProvider::new();
        let mut schemas: Vec<(String, Arc<dyn SchemaProvider>)> = Vec::new();
        if let Some(catalog) = state.catalog_list().catalog(CATALOG) {
            for name in catalog.schema_names() {
                let Some(schema) = catalog.schema(&name).filter(|_| name != pg_catalog::NAME)
                else {
                    continue;
                };
                schemas.push((name, Arc::new(copied(schema.as_ref()).await?)));
            }
        }
        for (name, schema) in &schemas {
            copy.register_schema(name, schema.clone())?;
        }
        let public = copy.schema(PUBLIC);
        let dictionary = match &public {
            Some(public) => public.table(DATA_DICTIONARY).await?,
            None => None,
        };
        let of_postgresql = PgCatalog::new(self.pg_catalog.clone(), dictionary);
        copy.register_schema(pg_catalog::NAME, Arc::new(of_postgresql))?;
        let about = InformationSchema::new(schemas);
        copy.register_schema(information_schema::NAME, Arc::new(about))?;
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(CATALOG.to_owned(), Arc::new(copy));
        // The engine's own tables about tables name its types, which no client knows.
        let config = state
            .config()
            .clone()
            .with_information_schema(false)
            .with_create_default_catalog_and_schema(false);
        Ok(SessionStateBuilder::new_from_existing(state)
            .with_catalog_list(Arc::new(catalogs))
            .with_config(config)
            .with_physical_optimizer_rule(Arc::new(YieldingJoins))
            .build())
    }
}

async fn copied(schema: &dyn SchemaProvider) -> DataFusionResult<MemorySchemaProvider> {
    let copy = MemorySchemaProvider::new();
    for name in schema.table_names() {
        if let Some(table) = schema.table(&name).await? {
            copy.register_table(name, table)?;
        }
    }
    Ok(copy)
}

/// The newest snapshot's catalogue, for PostgreSQL's tables.
#[derive(Clone, Default)]
struct CurrentCatalog(Arc<RwLock<Option<Arc<dyn CatalogProviderList>>>>);

impl fmt::Debug for CurrentCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentCatalog")
    }
}

impl CurrentCatalog {
    fn set(&self, catalogs: Arc<dyn CatalogProviderList>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(catalogs);
    }

    fn get(&self) -> DataFusionResult<Arc<dyn CatalogProviderList>> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        current
            .clone()
            .ok_or_else(|| DataFusionError::Internal("there is no catalogue yet".to_owned()))
    }
}

#[async_trait]
impl CatalogInfo for CurrentCatalog {
    async fn catalog_names(&self) -> DataFusionResult<Vec<String>> {
        CatalogInfo::catalog_names(&self.get()?).await
    }

    async fn schema_names(&self, catalog: &str) -> DataFusionResult<Option<Vec<String>>> {
        self.get()?.schema_names(catalog).await
    }

    async fn table_names(
        &self,
        catalog: &str,
        schema: &str,
    ) -> DataFusionResult<Option<Vec<String>>> {
        self.get()?.table_names(catalog, schema).await
    }

    async fn table_schema(
        &self,
        catalog: &str,
        schema: &str,
        table: &str,
    ) -> DataFusionResult<Option<SchemaRef>> {
        self.get()?.table_schema(catalog, schema, table).await
    }

    async fn table_type(
        &self,
        catalog: &str,
        schema: &str,
        table: &str,
    ) -> DataFusionResult<Option<TableType>> {
        self.get()?.table_type(catalog, schema, table).await
    }
}
