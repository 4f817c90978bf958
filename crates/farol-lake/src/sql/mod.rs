//! SQL over the lake: a session that sees every table at one version each.
//!
//! Raw tables are there under their names even before their first event; `dead_letters_open` is the view of
//! the dead letters that no replay has stored yet, and `feedback_unmatched` and `evaluations_unmatched` are what has not
//! found the call that it is about. `views` are questions that everybody asks, and the table
//! `data_dictionary` says what all of it means. A session sees the versions that were newest when it was
//! opened or last refreshed, so that a query never mixes two states of a table.

pub mod dictionary;
pub mod functions;
mod lookup;
mod memory;
mod running;
pub mod views;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::datasource::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use farol_events::Kind;
use tokio::sync::Mutex;

use dictionary::Relation;
use lookup::KnownFilters;
pub use memory::QueryMemory;
pub use running::{Meter, Running, Scanned};

use crate::commit::Marks;
use crate::error::LakeError;
use crate::joined::Joined;
use crate::lake::Lake;
use crate::spec::{ACKNOWLEDGEMENTS, ACTIONS, FINDINGS, SILENCES, TableSpec};
use crate::table::{Table, logged_rows};

/// Memory that queries of one session may hold before they spill to disk.
const QUERY_MEMORY_BYTES: usize = 1 << 30;

/// The table of records that could not become rows.
const DEAD_LETTERS: &str = "dead_letters";

/// A view of the lake that answers SQL.
pub struct Session {
    lake: Lake,
    context: SessionContext,
    /// The tables that are there. The handles are kept: each reads on from where it has read its log to.
    tables: Mutex<BTreeMap<String, Table>>,
    known_filters: KnownFilters,
}

/// A table at a version.
pub struct Seen {
    /// The handle on it.
    pub table: Table,
    /// The version.
    pub version: i64,
    /// Farol's marks there.
    pub marks: Marks,
    /// Rows, as far as the log counts them.
    pub rows: u64,
    /// Its rows, to be registered under any name.
    pub provider: Arc<dyn TableProvider>,
}

impl Session {
    /// Opens every table of the lake at its newest version.
    pub async fn open(lake: &Lake) -> Result<Self, LakeError> {
        let context = context()?;
        functions::register(&context);
        let session = Self {
            lake: lake.clone(),
            context,
            tables: Mutex::default(),
            known_filters: KnownFilters::default(),
        };
        session.refresh().await?;
        session.describe(&[]).await?;
        Ok(session)
    }

    /// Moves to the newest version of every table.
    pub async fn refresh(&self) -> Result<(), LakeError> {
        for kind in Kind::ALL {
            self.register(kind.table(), &TableSpec::raw(kind)).await?;
        }
        self.register(DEAD_LETTERS, &TableSpec::dead_letters())
            .await?;
        self.register(ACTIONS, &TableSpec::actions()).await?;
        self.register(FINDINGS, &TableSpec::findings()).await?;
        self.register(SILENCES, &TableSpec::silences()).await?;
        self.register(ACKNOWLEDGEMENTS, &TableSpec::acknowledgements())
            .await?;
        self.context.sql(&open_dead_letters()).await?;
        for joined in Joined::ALL {
            self.register(joined.table(), &joined.spec()).await?;
            self.context.sql(&joined.unmatched_view()).await?;
        }
        views::register(&self.context).await?;
        Ok(())
    }

    /// Writes the table `data_dictionary` anew: the lake's own tables and views, and those that others have made
    /// known to the session.
    pub async fn describe(&self, more: &[Relation]) -> Result<(), LakeError> {
        Ok(dictionary::register(&self.context, more).await?)
    }

    /// Runs one statement. Only reading is allowed: tables change through commits alone.
    ///
    /// # Errors
    /// Where the statement is wrong, or would change something.
    pub async fn query(
        &self,
        sql: &str,
    ) -> Result<(SchemaRef, SendableRecordBatchStream), LakeError> {
        let running = self.start(sql).await?;
        Ok((running.schema(), running.rows))
    }

    /// The same, for whoever wants to see how far it is.
    ///
    /// # Errors
    /// Where the statement is wrong, or would change something.
    pub async fn start(&self, sql: &str) -> Result<Running, LakeError> {
        let options = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false);
        let frame = self.context.sql_with_options(sql, options).await?;
        let tasks = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await?;
        let rows = execute_stream(plan.clone(), tasks)?;
        Ok(Running::new(plan, rows))
    }

    /// The DataFusion context, for stages that build plans of their own.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// The lake that the session sees.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// A table of the lake at its newest version, to be registered under any name; one without rows where it is
    /// not there yet.
    pub async fn provider(
        &self,
        name: &str,
        spec: &TableSpec,
    ) -> Result<Arc<dyn TableProvider>, LakeError> {
        let Some(table) = self.table(name).await? else {
            return Ok(Arc::new(EmptyTable::new(spec.schema.clone())));
        };
        let delta = table.snapshot().await?;
        delta.update_datafusion_session(&self.context.state())?;
        lookup::provider(&table, delta, &self.known_filters).await
    }

    /// A table of the lake at its newest version, with what the log says there; `None` where it is not there yet.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn seen(&self, name: &str) -> Result<Option<Seen>, LakeError> {
        let Some(table) = self.table(name).await? else {
            return Ok(None);
        };
        let (version, marks) = table.version_and_marks("farol/").await?;
        let delta = table.files_at(Some(version.unsigned_abs())).await?;
        delta.update_datafusion_session(&self.context.state())?;
        Ok(Some(Seen {
            version,
            marks,
            rows: logged_rows(&delta)?,
            provider: delta.table_provider().await?,
            table,
        }))
    }

    async fn table(&self, name: &str) -> Result<Option<Table>, LakeError> {
        let mut tables = self.tables.lock().await;
        if !tables.contains_key(name) {
            let Some(table) = self.lake.existing(name).await? else {
                return Ok(None);
            };
            tables.insert(name.to_owned(), table);
        }
        Ok(tables.get(name).cloned())
    }

    async fn register(&self, name: &str, spec: &TableSpec) -> Result<(), LakeError> {
        let provider = self.provider(name, spec).await?;
        self.context.deregister_table(name)?;
        self.context.register_table(name, provider)?;
        Ok(())
    }
}

/// A context without tables, bounded in memory.
fn context() -> Result<SessionContext, DataFusionError> {
    let config = SessionConfig::new()
        .with_information_schema(true)
        .with_default_catalog_and_schema("farol", "public")
        .set_str("datafusion.sql_parser.dialect", "postgres")
        // Of several sorts at once, each merges what it spilled with all the memory that it can get, and leaves none to
        // whoever merges the sorts.
        .with_repartition_sorts(false)
        // Views of jobs are planned within a query's plan, and so optimized twice. A join that was given a dynamic filter the
        // first time cannot be turned round the second time.
        .set_bool(
            "datafusion.optimizer.enable_join_dynamic_filter_pushdown",
            false,
        );
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(QueryMemory::new(QUERY_MEMORY_BYTES)))
        .build_arc()?;
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

/// Dead letters that no raw table holds a row of.
fn open_dead_letters() -> String {
    let place = "kafka_topic, kafka_partition, kafka_offset, kafka_entry";
    let stored: Vec<_> = Kind::ALL
        .iter()
        .map(|kind| format!("SELECT {place} FROM {}", kind.table()))
        .collect();
    format!(
        "CREATE OR REPLACE VIEW dead_letters_open AS SELECT letter.* FROM {DEAD_LETTERS} letter \
         LEFT ANTI JOIN ({}) stored ON letter.kafka_topic = stored.kafka_topic \
         AND letter.kafka_partition = stored.kafka_partition AND letter.kafka_offset = stored.kafka_offset \
         AND letter.kafka_entry = stored.kafka_entry",
        stored.join(" UNION ALL ")
    )
}
