//! The publisher: sends the `actions` table to Kafka, in order, each action once.
//!
//! On a broker with transactions, messages and progress (a record on the compacted topic `farol.progress`, its key the
//! lake's id) commit in one Kafka transaction. Whoever takes over the lake's transactional id first ends what the last one
//! left open, and then reads the progress; so it begins exactly after what is committed. A publisher that was
//! fenced stands by, and takes over when actions wait and nobody publishes them.
//!
//! The embedded broker has no transactions. There the publisher reads the tail of its output topics when it starts, and
//! skips the actions it finds there.

mod progress;
mod route;
mod sender;

use std::time::{Duration, Instant};

use fail::fail_point;
use farol_kafka::{KafkaConfig, KafkaError};
use farol_lake::{ACTIONS, Lake, Table, TableSpec};
use tokio_util::sync::CancellationToken;

use crate::error::TriggerError;
use crate::outbox::{self, MARKS, NEXT_ACTION};
use crate::role::Health;

pub use progress::{PROGRESS_TOPIC, Published, published};
pub use route::Outputs;
use sender::Sender;

/// Actions of one transaction.
const BATCH: usize = 500;

/// How long actions may wait for the publisher that has the id, before another takes over.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Failures in a row after which a publisher that is to end gives up.
const FAILURES_AT_END_MAX: u32 = 8;

/// How the role is played.
#[derive(Debug, Clone)]
pub struct PublisherOptions {
    /// How to reach Kafka.
    pub kafka: KafkaConfig,
    /// Whether the broker has transactions; the embedded one has none.
    pub transactions: bool,
    /// Where actions go.
    pub outputs: Outputs,
    /// How often it looks for new actions.
    pub interval: Duration,
    /// Cancelled to end after the batch in hand.
    pub shutdown: CancellationToken,
    /// Cancelled when no more actions will come: publish what there is, and end.
    pub finish: CancellationToken,
    /// What is wrong, if anything.
    pub health: Health,
}

/// Plays the role `publisher` until it is told to end. A failure is tried again.
///
/// # Errors
/// Where what there is could not be published before the end that [`PublisherOptions::finish`] asks for.
pub async fn run(lake: Lake, options: PublisherOptions) -> Result<(), TriggerError> {
    let mut publisher = Publisher {
        lake,
        options: options.clone(),
        actions: None,
        sender: None,
        standby: None,
    };
    let mut failures = 0_u32;
    loop {
        // Seen before the step: what was decided before it was cancelled is then published by the step.
        let finishing = options.finish.is_cancelled();
        let pause = match publisher.step(finishing).await {
            Ok(Did::Published) => {
                failures = 0;
                options.health.set(None);
                if options.shutdown.is_cancelled() {
                    return Ok(());
                }
                continue;
            }
            Ok(Did::Nothing) if finishing => return Ok(()),
            Ok(_) => {
                failures = 0;
                options.health.set(None);
                options.interval
            }
            Err(TriggerError::Kafka(KafkaError::Fenced { .. })) => {
                tracing::info!("another publisher has taken over; standing by");
                publisher.stand_by();
                options.interval
            }
            Err(error) => {
                failures += 1;
                tracing::error!(failures, "publishing failed, trying again: {error}");
                options.health.set(Some(error.to_string()));
                if finishing && failures >= FAILURES_AT_END_MAX {
                    return Err(error);
                }
                publisher.sender = None;
                PAUSE_MAX.min(options.interval * 2_u32.pow(failures.min(5)))
            }
        };
        tokio::select! {
            () = options.shutdown.cancelled() => return Ok(()),
            () = options.finish.cancelled(), if !finishing => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What a step did.
enum Did {
    /// Something was published; there may be more.
    Published,
    /// Nothing waits.
    Nothing,
    /// Another publishes.
    StoodBy,
}

struct Publisher {
    lake: Lake,
    options: PublisherOptions,
    /// The `actions` table, and the lake's id.
    actions: Option<(Table, String)>,
    /// `None`: to be made, which takes the transactional id over.
    sender: Option<Sender>,
    /// Fenced: since when which action has been waiting.
    standby: Option<Standby>,
}

struct Standby {
    next: i64,
    waiting_since: Option<Instant>,
}

impl Publisher {
    fn stand_by(&mut self) {
        let next = self.sender.take().map_or(0, |sender| sender.next);
        self.standby = Some(Standby {
            next,
            waiting_since: None,
        });
    }

    async fn step(&mut self, finishing: bool) -> Result<Did, TriggerError> {
        let (table, lake_id) = self.table().await?;
        let marks = table.marks(MARKS).await?;
        let end = marks.get(NEXT_ACTION).copied().unwrap_or(0);
        if self.standby.is_some() && !self.ready(&lake_id, end, finishing).await? {
            return Ok(Did::StoodBy);
        }
        let sender = match &mut self.sender {
            Some(sender) => sender,
            None => self.sender.insert(Sender::open(&self.options, &lake_id).await?),
        };
        if sender.next > end {
            return Err(TriggerError::Progress(format!(
                "{PROGRESS_TOPIC} says that {} actions of this lake are published, and the lake has {end}; was the lake restored from a copy?",
                sender.next
            )));
        }
        metrics::gauge!("farol_actions_pending").set((end - sender.next) as f64);
        if sender.next == end {
            return Ok(Did::Nothing);
        }
        let batch = outbox::read(&table, sender.next, Some(BATCH)).await?;
        let Some(last) = batch.last().map(|action| action.sequence) else {
            return Err(TriggerError::Progress(format!(
                "action {} is not in the actions table, which should have it",
                sender.next
            )));
        };
        // Kafka's client blocks, and a failpoint may too.
        let records = route::records(&batch, &self.options.outputs, &lake_id);
        sender.send(records, last + 1).await?;
        fail_point!("publisher.after_commit", |_| Err(TriggerError::Failpoint("publisher.after_commit")));
        metrics::gauge!("farol_actions_pending").set((end - sender.next) as f64);
        Ok(Did::Published)
    }

    /// Whether it is time to take over: actions wait, and whoever has the id does not publish them.
    async fn ready(&mut self, lake_id: &str, end: i64, finishing: bool) -> Result<bool, TriggerError> {
        let Some(standby) = &mut self.standby else {
            return Ok(true);
        };
        if end <= standby.next && !finishing {
            standby.waiting_since = None;
            return Ok(false);
        }
        let next = published(&self.options.kafka, lake_id).await?;
        let next = next.map_or(0, |published| published.next_action);
        if next != standby.next {
            standby.next = next;
            standby.waiting_since = None;
        }
        let since = *standby.waiting_since.get_or_insert_with(Instant::now);
        let over = since.elapsed() >= PATIENCE || (finishing && next >= end);
        if over {
            self.standby = None;
        }
        Ok(over)
    }

    async fn table(&mut self) -> Result<(Table, String), TriggerError> {
        if let Some(open) = &self.actions {
            return Ok(open.clone());
        }
        let table = self.lake.table(ACTIONS, &TableSpec::actions()).await?;
        let id = lake_id(&table).await?;
        Ok(self.actions.insert((table, id)).clone())
    }
}

/// The lake's id: that of its `actions` table, which is made once and never again.
pub async fn lake_id(actions: &Table) -> Result<String, TriggerError> {
    let delta = actions.snapshot().await?;
    let state = delta.snapshot().map_err(farol_lake::LakeError::from)?;
    Ok(state.metadata().id().to_owned())
}
