//! Queries: what every way in shares.
//!
//! ```text
//! PostgreSQL ─┐                ┌─ a place (semaphore) ─ newest snapshot ─ plan ─ read-only? ─┐
//! Flight SQL ─┼─▶ QueryService ┤                                                            ├─▶ Rows ─▶ client
//! HTTP        ┘                └─ light or heavy threads: memory, disk and time of its own ─┘
//! ```
//!
//! A plan that is done with soon whatever its values are ([`weight`]) runs on light threads, beside which ingest still
//! comes first; any other runs on heavy ones, which get what everything else leaves.
//!
//! A query has bounds for everything: the wait for a place, its time, its memory, its disk, and the batches that wait for
//! a client. [`Rows`] is the client's end: dropping it ends the query.

mod cooperate;
mod error;
mod rows;
mod runtime;
mod snapshot;
mod weight;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use datafusion::error::Result as DataFusionResult;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SQLOptions, SessionContext};
use farol_jobs::Jobs;
use farol_lake::Lake;
use farol_lake::sql::QueryMemory;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

pub(crate) use error::Kind;
pub use error::QueryError;
pub(crate) use rows::Rows;
pub(crate) use snapshot::{CATALOG, Snapshot};

use runtime::Threads;
use snapshot::Snapshots;

/// The longest statement that is read, in bytes.
pub(crate) const STATEMENT_BYTES_MAX: usize = 1 << 20;

/// Of a query's memory, what makes room for a row of a batch.
const BATCH_ROW_BYTES: usize = 64 << 10;

/// The fewest rows and the most that a batch is planned to have.
const BATCH_ROWS: (usize, usize) = (256, 8_192);

/// The part of a query's memory that each of its sorts keeps for merging: there are several at once.
const MERGE_SHARE: usize = 32;

/// Bounds of queries.
#[derive(Debug, Clone)]
pub struct QueryOptions {
    /// How long one query may take, reading its answer included.
    pub timeout: Duration,
    /// Memory that one query may hold before it spills or fails, in bytes.
    pub memory_bytes: usize,
    /// Disk that one query may spill to, in bytes.
    pub spill_bytes: u64,
    /// Queries at once.
    pub concurrent_max: usize,
    /// How long a query waits for one of these places.
    pub queue_timeout: Duration,
    /// How long a client may leave rows unread.
    pub write_timeout: Duration,
}

/// Runs queries for all ways in. Clones share it.
#[derive(Clone)]
pub struct QueryService(Arc<Inner>);

struct Inner {
    snapshots: Snapshots,
    options: QueryOptions,
    places: Arc<Semaphore>,
    threads: Threads,
}

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the whole query, if the client wants less than is configured.
    pub timeout: Option<Duration>,
    /// Between two batches; a cursor's client comes back when it likes, within the whole.
    pub unread: Option<Duration>,
}

impl QueryService {
    /// A service over the lake's tables and the views of jobs.
    ///
    /// # Errors
    /// Where the system gives no threads.
    pub fn new(lake: Lake, jobs: Jobs, options: QueryOptions) -> io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            snapshots: Snapshots::new(lake, jobs),
            places: Arc::new(Semaphore::new(options.concurrent_max)),
            threads: Threads::start()?,
            options,
        })))
    }

    /// Where connections are served and rows encoded.
    pub(crate) fn talking(&self) -> &Handle {
        self.0.threads.talking()
    }

    /// How long any client may take that reads as rows come.
    pub(crate) fn patience(&self) -> Patience {
        Patience {
            timeout: None,
            unread: Some(self.0.options.write_timeout),
        }
    }

    /// The newest tables and views.
    pub(crate) async fn snapshot(&self) -> Result<Arc<Snapshot>, QueryError> {
        let service = self.clone();
        self.compute(async move { service.0.snapshots.newest().await })
            .await
    }

    /// Plans a statement against the newest snapshot, and runs none of it.
    pub(crate) async fn plan<P, F>(&self, plan: P) -> Result<LogicalPlan, QueryError>
    where
        P: FnOnce(SessionContext) -> F + Send + 'static,
        F: Future<Output = DataFusionResult<LogicalPlan>> + Send + 'static,
    {
        let service = self.clone();
        self.compute(async move { service.planned(plan).await.map(|(_, plan)| plan) })
            .await
    }

    /// Runs a statement's text.
    pub(crate) async fn run_sql(&self, sql: String) -> Result<Rows, QueryError> {
        check_length(&sql)?;
        let plan = move |context: SessionContext| async move {
            context.state().create_logical_plan(&sql).await
        };
        self.run(plan, self.patience()).await
    }

    /// Waits for a place, plans against the newest snapshot and begins to run. Only reading is let through.
    pub(crate) async fn run<P, F>(&self, plan: P, patience: Patience) -> Result<Rows, QueryError>
    where
        P: FnOnce(SessionContext) -> F + Send + 'static,
        F: Future<Output = DataFusionResult<LogicalPlan>> + Send + 'static,
    {
        let options = &self.0.options;
        let timeout = patience
            .timeout
            .map_or(options.timeout, |wanted| wanted.min(options.timeout));
        let place = self.place().await?;
        let service = self.clone();
        let begin = async move {
            let (context, plan) = service.planned(plan).await?;
            let frame = context.execute_logical_plan(plan).await?;
            let task = Arc::new(frame.task_ctx());
            Ok::<_, QueryError>((frame.create_physical_plan().await?, task))
        };
        let limits = rows::Limits {
            deadline: Instant::now() + timeout,
            timeout,
            unread: patience.unread,
        };
        Rows::start(&self.0.threads, begin, place, limits).await
    }

    /// One of the places for queries.
    async fn place(&self) -> Result<OwnedSemaphorePermit, QueryError> {
        let options = &self.0.options;
        let busy = || {
            let message = format!(
                "{} queries are at work, and none ended within {} s; ask again, or raise server.query.max_concurrent",
                options.concurrent_max,
                options.queue_timeout.as_secs_f64()
            );
            QueryError::new(Kind::Busy, message)
        };
        let waiting = self.0.places.clone().acquire_owned();
        tokio::time::timeout(options.queue_timeout, waiting)
            .await
            .map_err(|_| busy())?
            .map_err(|_| busy())
    }

    /// On the threads that compute, within the time of a query.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        let timeout = self.0.options.timeout;
        let task = rows::AbortOnDrop(self.0.threads.light().spawn(work));
        match tokio::time::timeout(timeout, task).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => Err(rows::broken(&error)),
            Err(_) => Err(rows::timed_out(timeout)),
        }
    }

    /// The plan, and the context with the query's resources that it is to run in.
    async fn planned<P, F>(&self, plan: P) -> Result<(SessionContext, LogicalPlan), QueryError>
    where
        P: FnOnce(SessionContext) -> F,
        F: Future<Output = DataFusionResult<LogicalPlan>>,
    {
        let snapshot = self.0.snapshots.newest().await?;
        let merge_bytes = self.0.options.memory_bytes / MERGE_SHARE;
        let resources = self.resources(snapshot.resources())?;
        let context = snapshot.context(resources, self.batch_rows(), merge_bytes);
        let plan = plan(context.clone()).await?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)?;
        Ok((context, plan))
    }

    /// Rows that operators hand on at once. An operator that spills must hold some batches, of rows of any width, within its
    /// share of the query's memory; and rows of tens of kilobytes, prompts with their answers, are common.
    fn batch_rows(&self) -> usize {
        (self.0.options.memory_bytes / BATCH_ROW_BYTES).clamp(BATCH_ROWS.0, BATCH_ROWS.1)
    }

    /// Memory and disk for one query, beside the object stores and caches that all share.
    fn resources(&self, shared: &RuntimeEnv) -> Result<Arc<RuntimeEnv>, QueryError> {
        let options = &self.0.options;
        let mut builder = RuntimeEnvBuilder::from_runtime_env(shared)
            .with_memory_pool(Arc::new(QueryMemory::new(options.memory_bytes)));
        builder.disk_manager = None;
        let disk = DiskManagerBuilder::default().with_max_temp_directory_size(options.spill_bytes);
        Ok(builder.with_disk_manager_builder(disk).build_arc()?)
    }
}

/// Refuses a statement that is too long to be read.
pub(crate) fn check_length(sql: &str) -> Result<(), QueryError> {
    if sql.len() <= STATEMENT_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "the statement has {} bytes; {STATEMENT_BYTES_MAX} are read at the most",
        sql.len()
    );
    Err(QueryError::new(Kind::TooLong, message))
}

#[cfg(test)]
mod tests;
