//! The publisher: rows of the `actions` table become messages on Kafka, in order, each once; and closed windows of
//! measures become records of the metrics topic.
//!
//! ```text
//!  actions ≥ position.next_action ─┐                      ┌─▶ output topics ─┐  one transaction,
//!  partials: windows that closed ──┴─▶ outbox ─▶ sink ────┴─▶ farol.progress ┘  or in this order
//!                                        ▲                          │
//!                                        └──── position, read when it takes over
//! ```
//!
//! **Exactly once on a broker with transactions.** Messages and the position after them are one transaction.
//! Whoever takes the transactional id over first fences everybody before, and only then reads the position; so
//! nobody else can move it, and what it says is what was published. A publisher that is fenced stands by. It looks
//! whether what is due gets published, and takes over when nothing of it moves.
//!
//! **On the embedded broker**, which has no transactions, one process at a time publishes, by a lock beside the
//! broker's data. Messages go first, then the position. After a crash between the two, messages behind the position
//! are already there: the ends of the output topics are read on start, and ids found there are not sent again.

mod metrics_topic;
mod outbox;
mod position;
mod sink;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use farol_jobs::Jobs;
use farol_kafka::{KafkaConfig, TopicSpec, TransactionError};
use farol_lake::{Lake, Table, TableSpec};
use tokio_util::sync::CancellationToken;

use crate::action::{ActionKind, NEXT_NUMBER, TABLE};
use crate::error::TriggerError;
use crate::health::Health;

use metrics_topic::Metrics;
pub use position::{Position, read as read_position};
use sink::{Place, Sink};

/// The compacted topic that holds how far publishers are.
pub const PROGRESS_TOPIC: &str = "farol.progress";

/// How long a publisher that stands by watches work that does not move before it takes over.
const STANDBY_PATIENCE: Duration = Duration::from_secs(5);

/// How often it looks.
const STANDBY_INTERVAL: Duration = Duration::from_secs(1);

/// The longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Failures in a row after which a publisher that is to end gives up.
const FAILURES_AT_END_MAX: u32 = 8;

/// Where messages go.
#[derive(Debug, Clone)]
pub struct Outputs {
    /// The topic of each kind of action.
    pub actions: BTreeMap<ActionKind, String>,
    /// The topic of measures.
    pub metrics: String,
    /// How these topics, and [`PROGRESS_TOPIC`], are made where they are not there.
    pub specs: Vec<TopicSpec>,
}

/// How the topic of positions is to be made.
pub fn progress_topic() -> TopicSpec {
    let settings = [
        ("cleanup.policy", "compact"),
        // Read whole when a publisher starts: it must not grow for a week before it is compacted.
        ("segment.ms", "3600000"),
        ("min.cleanable.dirty.ratio", "0.1"),
    ];
    TopicSpec {
        name: PROGRESS_TOPIC.to_owned(),
        partitions: 1,
        settings: settings
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
    }
}

/// How the role is played.
#[derive(Debug, Clone)]
pub struct PublisherOptions {
    /// The brokers.
    pub kafka: KafkaConfig,
    /// Where messages go.
    pub outputs: Outputs,
    /// The directory of the embedded broker's data, where that is the broker: it has no transactions.
    pub embedded: Option<PathBuf>,
    /// How often it looks for new actions.
    pub interval: Duration,
    /// Cancelled to end after the batch in hand.
    pub shutdown: CancellationToken,
    /// Cancelled to end as soon as everything is published: nothing more will be decided.
    pub finish: CancellationToken,
    /// What keeps it from publishing.
    pub health: Health,
}

/// Plays the role until it is told to end. What fails is tried again.
///
/// # Errors
/// Where something could not be published before the end that [`PublisherOptions::finish`] asks for.
pub async fn publish(
    lake: Lake,
    jobs: Jobs,
    options: PublisherOptions,
) -> Result<(), TriggerError> {
    let mut publisher = Publisher {
        lake,
        metrics: Metrics::new(jobs),
        options,
        actions: None,
    };
    let mut failures = 0_u32;
    loop {
        let ended = publisher.turn(&mut failures).await;
        let error = match ended {
            Ok(Turn::Done) => return Ok(()),
            Ok(Turn::StandBy) => {
                tracing::info!("another process publishes now; this one stands by");
                if publisher.stand_by().await {
                    return Ok(());
                }
                continue;
            }
            Err(error) => error,
        };
        failures += 1;
        tracing::error!(failures, "publishing failed, trying again: {error}");
        publisher.options.health.set("publisher", Some(error.to_string()));
        publisher.actions = None;
        if publisher.options.finish.is_cancelled() && failures >= FAILURES_AT_END_MAX {
            return Err(error);
        }
        let pause = PAUSE_MAX.min(Duration::from_millis(250) * 2_u32.pow(failures.min(8)));
        if publisher.pause(pause).await {
            return Ok(());
        }
    }
}

/// How a turn at publishing ended.
enum Turn {
    /// There is nothing more to do, ever.
    Done,
    /// Another process publishes.
    StandBy,
}

struct Publisher {
    lake: Lake,
    metrics: Metrics,
    options: PublisherOptions,
    actions: Option<Table>,
}

impl Publisher {
    /// Takes over and publishes, until it is told to end, is fenced, or fails.
    async fn turn(&mut self, failures: &mut u32) -> Result<Turn, TriggerError> {
        let table = self.table().await?;
        let place = self.place(&table);
        let Some((sink, mut position)) = sink::open(place).await? else {
            return Ok(Turn::StandBy);
        };
        let mut sink = Arc::new(sink);
        tracing::info!(next_action = position.next_action, "publishing");
        loop {
            if self.options.shutdown.is_cancelled() {
                return Ok(Turn::Done);
            }
            // Seen before the look: what was decided before it was cancelled is then seen by the look.
            let finishing = self.options.finish.is_cancelled();
            match self.step(&table, &mut sink, &mut position).await {
                Ok(true) => {
                    *failures = 0;
                    continue;
                }
                Ok(false) => *failures = 0,
                Err(TriggerError::Transaction(TransactionError::Fenced)) => {
                    return Ok(Turn::StandBy);
                }
                Err(error) => return Err(error),
            }
            self.options.health.set("publisher", None);
            if finishing {
                return Ok(Turn::Done);
            }
            self.pause(self.options.interval).await;
        }
    }

    /// Publishes a batch; whether there was one.
    async fn step(
        &mut self,
        table: &Table,
        sink: &mut Arc<Sink>,
        position: &mut Position,
    ) -> Result<bool, TriggerError> {
        let mut next = position.clone();
        let mut messages =
            outbox::messages(table, &self.options.outputs, &mut next, &self.source(table)).await?;
        if messages.is_empty() {
            let topic = &self.options.outputs.metrics;
            messages = self.metrics.messages(&self.lake, topic, &mut next).await?;
        }
        if next == *position {
            return Ok(false);
        }
        let count = messages.len();
        let handle = Arc::clone(sink);
        let told = next.clone();
        let sent = tokio::task::spawn_blocking(move || handle.publish(&messages, &told));
        sent.await
            .map_err(|panic| TriggerError::ThreadEnded(panic.to_string()))??;
        tracing::debug!(messages = count, next_action = next.next_action, "published");
        *position = next;
        let decided = table.marks(NEXT_NUMBER).await?;
        let decided = decided.get(NEXT_NUMBER).copied().unwrap_or(0);
        metrics::gauge!("farol_actions_pending").set((decided - position.next_action) as f64);
        Ok(true)
    }

    /// Waits until what is due does not move; true where the role ends.
    async fn stand_by(&mut self) -> bool {
        let mut seen: Option<(Position, Instant)> = None;
        loop {
            if self.pause(STANDBY_INTERVAL).await {
                return true;
            }
            let finishing = self.options.finish.is_cancelled();
            match self.due().await {
                Ok(None) => {
                    self.options.health.set("publisher", None);
                    if finishing {
                        return true;
                    }
                    seen = None;
                }
                Ok(Some(position)) => match &seen {
                    Some((known, since)) if *known == position => {
                        if since.elapsed() > STANDBY_PATIENCE {
                            tracing::info!("what is due does not move; taking over");
                            return false;
                        }
                    }
                    _ => seen = Some((position, Instant::now())),
                },
                Err(error) => {
                    let reason = format!("it stands by, and cannot see what is due: {error}");
                    self.options.health.set("publisher", Some(reason));
                    if finishing {
                        return false;
                    }
                }
            }
        }
    }

    /// How far the other publisher is, where something is due.
    async fn due(&mut self) -> Result<Option<Position>, TriggerError> {
        let table = self.table().await?;
        if self.options.embedded.is_some() {
            // Who publishes holds the lock for as long as it lives: try it.
            return Ok(Some(Position::default()));
        }
        let position = position::read(&self.options.kafka, table.id()).await?;
        let mut next = position.clone();
        let decided = table.marks(NEXT_NUMBER).await?;
        let decided = decided.get(NEXT_NUMBER).copied().unwrap_or(0);
        let due = decided > next.next_action || {
            let topic = &self.options.outputs.metrics;
            self.metrics.messages(&self.lake, topic, &mut next).await?;
            next != position
        };
        Ok(due.then_some(position))
    }

    async fn table(&mut self) -> Result<Table, TriggerError> {
        if let Some(table) = &self.actions {
            return Ok(table.clone());
        }
        let table = self.lake.table(TABLE, &TableSpec::actions()).await?;
        Ok(self.actions.insert(table).clone())
    }

    fn place(&self, table: &Table) -> Place {
        Place {
            kafka: self.options.kafka.clone(),
            lake_id: table.id().to_owned(),
            specs: self.options.outputs.specs.clone(),
            topics: self.options.outputs.actions.values().cloned().collect(),
            lock: self
                .options
                .embedded
                .as_ref()
                .map(|directory| directory.join("publisher.lock")),
        }
    }

    fn source(&self, table: &Table) -> String {
        format!("urn:farol:lake:{}", table.id())
    }

    /// Waits; true where the role ends. A drain's end cuts the wait short, once.
    async fn pause(&self, pause: Duration) -> bool {
        let finishing = self.options.finish.is_cancelled();
        tokio::select! {
            () = self.options.shutdown.cancelled() => return true,
            () = self.options.finish.cancelled(), if !finishing => {}
            () = tokio::time::sleep(pause) => {}
        }
        false
    }
}
