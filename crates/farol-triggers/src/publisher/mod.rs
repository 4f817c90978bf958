//! The publisher: sends the `actions` table to Kafka, in order, each action once.
//!
//! On a broker with transactions, messages and progress (a record on the compacted topic `farol.progress`, its key the
//! lake's id) commit in one Kafka transaction. Whoever takes over the lake's transactional id first ends what the last one
//! left open, and then reads the progress; so it begins exactly after what is committed. A publisher that was
//! fenced stands by, and takes over when actions wait and nobody publishes them.
//!
//! The embedded broker has no transactions. There the publisher reads the tail of its output topics when it starts, and
//! skips the actions it finds there.
//!
//! Between actions it publishes the windows of measures that closed, on the metrics topic, with the same progress.

mod metrics;
mod progress;
mod route;
mod sender;

use std::time::{Duration, Instant};

use ::metrics::gauge;
use fail::fail_point;
use farol_jobs::Jobs;
use farol_kafka::{KafkaConfig, KafkaError};
use farol_lake::{ACTIONS, Lake, Table, TableSpec};
use tokio_util::sync::CancellationToken;

use crate::error::TriggerError;
use crate::outbox::{self, MARKS, NEXT_ACTION};
use farol_detectors::Health;

pub use metrics::JobPublished;
use metrics::Metrics;
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
    /// The jobs whose closed windows are published.
    pub jobs: Jobs,
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
        metrics: Metrics::new(options.jobs.clone()),
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

/// Whether a publisher that stands by takes over.
enum Ready {
    Yes,
    NotYet,
    NothingWaits,
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
    metrics: Metrics,
    options: PublisherOptions,
    /// The `actions` table, and the lake's id.
    actions: Option<(Table, String)>,
    /// `None`: to be made, which takes the transactional id over.
    sender: Option<Sender>,
    /// Fenced: since when which action has been waiting.
    standby: Option<Standby>,
}

struct Standby {
    known: Published,
    waiting_since: Option<Instant>,
}

impl Publisher {
    fn stand_by(&mut self) {
        let known = self.sender.take().map(|sender| sender.published);
        self.standby = Some(Standby {
            known: known.unwrap_or_default(),
            waiting_since: None,
        });
    }

    async fn step(&mut self, finishing: bool) -> Result<Did, TriggerError> {
        let (table, lake_id) = self.table().await?;
        let marks = table.marks(MARKS).await?;
        let end = marks.get(NEXT_ACTION).copied().unwrap_or(0);
        if self.standby.is_some() {
            match self.ready(&lake_id, end).await? {
                Ready::Yes => self.standby = None,
                // Whoever publishes has published everything.
                Ready::NothingWaits if finishing => return Ok(Did::Nothing),
                Ready::NothingWaits | Ready::NotYet => return Ok(Did::StoodBy),
            }
        }
        let sender = match &mut self.sender {
            Some(sender) => sender,
            None => self
                .sender
                .insert(Sender::open(&self.options, &lake_id).await?),
        };
        let next = sender.published.next_action;
        if next > end {
            return Err(TriggerError::Progress(format!(
                "{PROGRESS_TOPIC} says that {next} actions of this lake are published, and the lake has {end}; was the lake restored from a copy?",
            )));
        }
        gauge!("farol_actions_pending").set((end - next) as f64);
        if next == end {
            let topic = &self.options.outputs.metrics;
            let windows = self
                .metrics
                .next(&self.lake, topic, &sender.published)
                .await?;
            let Some((records, published)) = windows else {
                return Ok(Did::Nothing);
            };
            sender.send(records, published).await?;
        } else {
            let batch = outbox::read(&table, next, Some(BATCH)).await?;
            // Dense and in order, or something was lost: then nothing is sent.
            let lacking = (next..)
                .zip(&batch)
                .find(|(due, action)| *due != action.sequence);
            if let Some(lacking) = lacking
                .map(|(due, _)| due)
                .or(batch.is_empty().then_some(next))
            {
                return Err(TriggerError::Progress(format!(
                    "action {lacking} is not in the actions table, whose marks count {end}; was it changed by hand?"
                )));
            }
            // Kafka's client blocks, and a failpoint may too.
            let records = route::records(&batch, &self.options.outputs, &lake_id);
            let published = Published {
                next_action: next + batch.len() as i64,
                ..sender.published.clone()
            };
            sender.send(records, published).await?;
        }
        fail_point!("publisher.after_commit", |_| Err(TriggerError::Failpoint(
            "publisher.after_commit"
        )));
        gauge!("farol_actions_pending").set((end - sender.published.next_action) as f64);
        Ok(Did::Published)
    }

    /// Whether it is time to take over: something waits, and whoever has the id does not publish it.
    async fn ready(&mut self, lake_id: &str, end: i64) -> Result<Ready, TriggerError> {
        let Some(standby) = &mut self.standby else {
            return Ok(Ready::Yes);
        };
        for look in 0..2 {
            let waits = end > standby.known.next_action
                || self.metrics.due(&self.lake, &standby.known).await?;
            if !waits {
                standby.waiting_since = None;
                return Ok(Ready::NothingWaits);
            }
            if look == 0 {
                // As far as was known. Now how far it is.
                let published = published(&self.options.kafka, lake_id)
                    .await?
                    .unwrap_or_default();
                if published == standby.known {
                    break;
                }
                standby.known = published;
                standby.waiting_since = None;
            }
        }
        let since = *standby.waiting_since.get_or_insert_with(Instant::now);
        if since.elapsed() < PATIENCE {
            return Ok(Ready::NotYet);
        }
        Ok(Ready::Yes)
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
