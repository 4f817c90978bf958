//! A running query: a task that computes batches, and the client's end that takes them.
//!
//! The two are joined by a channel of two batches. Whatever ends the query leaves word of how: an answer is complete only
//! where that word says so, never because batches stopped coming.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use super::error::{Kind, QueryError};
use super::runtime::Threads;
use super::weight;

/// Batches that wait for the client at the most.
const BATCHES_WAITING_MAX: usize = 2;

/// The time that a query has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub deadline: Instant,
    /// What the deadline was made of, to be told.
    pub timeout: Duration,
    /// How long a batch may wait for the client.
    pub unread: Option<Duration>,
}

/// The rows of a running query. Dropping them ends it.
pub(crate) struct Rows {
    schema: SchemaRef,
    batches: mpsc::Receiver<RecordBatch>,
    outcome: Outcome,
    limits: Limits,
    ended: bool,
    _task: AbortOnDrop<()>,
}

/// A plan, and what it is to run with.
type Planned = (Arc<dyn ExecutionPlan>, Arc<TaskContext>);

/// How the query ended, once it has.
type Outcome = Arc<OnceLock<Result<(), QueryError>>>;

impl Rows {
    /// Plans a query on the light threads and runs it on those that its plan is for; comes back when it is planned.
    pub(super) async fn start(
        threads: &Threads,
        plan: impl Future<Output = Result<Planned, QueryError>> + Send + 'static,
        place: OwnedSemaphorePermit,
        limits: Limits,
    ) -> Result<Self, QueryError> {
        let (sender, batches) = mpsc::channel(BATCHES_WAITING_MAX);
        let (begun, schema) = oneshot::channel();
        let outcome = Outcome::default();
        let word = outcome.clone();
        let running = Running::begin();
        let heavy = threads.heavy().clone();
        // A task that was told to end holds its place until it has.
        let place = Arc::new(place);
        let task = threads.light().spawn(async move {
            let mut begun = Some(begun);
            let work = async {
                let (plan, context) = plan.await?;
                if let Some(begun) = begun.take() {
                    begun.send(plan.schema()).map_err(|_| gone())?;
                }
                let light = weight::is_light(plan.as_ref());
                tracing::debug!(light, "a query is planned");
                if light {
                    return compute(plan, context, &sender, limits).await;
                }
                let (sender, place) = (sender.clone(), place.clone());
                let work = async move {
                    let _place = place;
                    compute(plan, context, &sender, limits).await
                };
                AbortOnDrop(heavy.spawn(work))
                    .await
                    .map_err(|error| broken(&error))?
            };
            let ended = match tokio::time::timeout_at(limits.deadline, work).await {
                Ok(ended) => ended,
                Err(_) => Err(timed_out(limits.timeout)),
            };
            running.end(ended.as_ref().err().map_or("ok", QueryError::sqlstate));
            // It is set here alone, and before the client's end can see that nothing more comes.
            let _ = word.set(ended);
            drop((begun, sender, place));
        });
        let task = AbortOnDrop(task);
        // The threads may be so busy that the task cannot even keep its own time.
        let schema = match tokio::time::timeout_at(limits.deadline, schema).await {
            Ok(Ok(schema)) => schema,
            Ok(Err(_)) => return Err(failure(&outcome)),
            Err(_) => return Err(timed_out(limits.timeout)),
        };
        Ok(Self {
            schema,
            batches,
            outcome,
            limits,
            ended: false,
            _task: task,
        })
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next rows; `None` when all have been given. After an error there is nothing more.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        if self.ended {
            return None;
        }
        match tokio::time::timeout_at(self.limits.deadline, self.batches.recv()).await {
            Ok(Some(batch)) => return Some(Ok(batch)),
            Ok(None) => {}
            Err(_) => {
                self.ended = true;
                return Some(Err(timed_out(self.limits.timeout)));
            }
        }
        self.ended = true;
        match self.outcome.get() {
            Some(Ok(())) => None,
            _ => Some(Err(failure(&self.outcome))),
        }
    }
}

/// Counts a query while it runs, and how it ended. One that is dropped was cancelled.
struct Running {
    began: Instant,
    outcome: &'static str,
}

impl Running {
    fn begin() -> Self {
        metrics::gauge!("farol_queries_running").increment(1.0);
        Self {
            began: Instant::now(),
            outcome: "cancelled",
        }
    }

    fn end(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        metrics::gauge!("farol_queries_running").decrement(1.0);
        metrics::counter!("farol_queries_total", "outcome" => self.outcome).increment(1);
        metrics::histogram!("farol_query_seconds").record(self.began.elapsed().as_secs_f64());
    }
}

async fn compute(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    sender: &mpsc::Sender<RecordBatch>,
    limits: Limits,
) -> Result<(), QueryError> {
    let mut stream = execute_stream(plan, context)?;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        let Some(unread) = limits.unread else {
            sender.send(batch).await.map_err(|_| gone())?;
            continue;
        };
        match sender.send_timeout(batch, unread).await {
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Closed(_)) => return Err(gone()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                let message = format!(
                    "rows were not read for {} s (server.query.write_timeout), and the query was ended",
                    unread.as_secs_f64()
                );
                return Err(QueryError::new(Kind::NotRead, message));
            }
        }
    }
    Ok(())
}

fn gone() -> QueryError {
    QueryError::new(Kind::Cancelled, "the client is gone")
}

/// Why there is no more.
fn failure(outcome: &Outcome) -> QueryError {
    match outcome.get() {
        Some(Err(error)) => error.clone(),
        _ => QueryError::new(
            Kind::Internal,
            "the query ended unexpectedly; the log may say why",
        ),
    }
}

pub(super) fn timed_out(timeout: Duration) -> QueryError {
    let message = format!(
        "canceling statement due to statement timeout: {} s (server.query.timeout, or what the client asked for)",
        timeout.as_secs_f64()
    );
    QueryError::new(Kind::TimedOut, message)
}

pub(super) fn broken(error: &JoinError) -> QueryError {
    QueryError::new(Kind::Internal, format!("the query's task failed: {error}"))
}

/// A task that ends when nobody waits for it any more.
pub(super) struct AbortOnDrop<T>(pub JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
