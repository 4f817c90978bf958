//! The way onto Kafka: transactions on a real broker, a lock and a look back on the embedded one. Blocks.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use fail::fail_point;
use farol_kafka::{
    Admin, From, KafkaConfig, Producer, Record, TopicSpec, TransactionError, TransactionalProducer,
};

use super::PROGRESS_TOPIC;
use super::outbox::{BATCH_ACTIONS, Message};
use super::position::{Position, each_record, read_blocking};
use crate::error::TriggerError;

/// How long acknowledgements may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The header that holds an action's id.
pub(super) const ID_HEADER: &str = "ce_id";

/// Where a sink leads.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub kafka: KafkaConfig,
    pub lake_id: String,
    /// Topics to make where they are not there.
    pub specs: Vec<TopicSpec>,
    /// The topics that actions go to.
    pub topics: Vec<String>,
    /// The lock of who publishes, where the broker has no transactions.
    pub lock: Option<PathBuf>,
}

/// A way onto Kafka that no other process of the same lake has.
pub(super) struct Sink {
    lake_id: String,
    way: Way,
}

enum Way {
    Transactions(TransactionalProducer),
    Embedded {
        producer: Producer,
        /// Ids that were on their topics when the sink was opened.
        there: Mutex<HashSet<String>>,
        /// Held for as long as the sink lives.
        _lock: File,
    },
}

/// Takes over, and reads how far the publisher before was; `None` where another process has the lock.
pub(super) async fn open(place: Place) -> Result<Option<(Sink, Position)>, TriggerError> {
    make_topics(&place).await?;
    let opened = tokio::task::spawn_blocking(move || open_blocking(&place));
    opened
        .await
        .map_err(|panic| TriggerError::ThreadEnded(panic.to_string()))?
}

/// Makes the topics that are not there. A broker that forbids it may have them all the same.
async fn make_topics(place: &Place) -> Result<(), TriggerError> {
    let kafka = place.kafka.clone();
    let admin = tokio::task::spawn_blocking(move || {
        let admin = Admin::connect(&kafka)?;
        let there = admin.topics()?;
        Ok::<_, TriggerError>((admin, there))
    });
    let (admin, there) = admin
        .await
        .map_err(|panic| TriggerError::ThreadEnded(panic.to_string()))??;
    let missing: Vec<_> = place
        .specs
        .iter()
        .filter(|spec| !there.contains(&spec.name))
        .cloned()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if let Err(error) = admin.create(&missing).await {
        tracing::warn!("topics to publish to are missing and could not be made: {error}");
    }
    Ok(())
}

fn open_blocking(place: &Place) -> Result<Option<(Sink, Position)>, TriggerError> {
    let lake_id = place.lake_id.clone();
    let Some(lock) = &place.lock else {
        // First fence everybody else, then read what they can no longer move.
        let id = format!("farol-publisher-{lake_id}");
        let way = Way::Transactions(TransactionalProducer::start(&place.kafka, &id)?);
        let position = read_blocking(&place.kafka, &lake_id)?;
        return Ok(Some((Sink { lake_id, way }, position)));
    };
    let Some(lock) = take(lock)? else {
        return Ok(None);
    };
    let position = read_blocking(&place.kafka, &lake_id)?;
    let mut there = HashSet::new();
    for topic in &place.topics {
        // Behind the position there is one batch at the most; and whoever held the lock before us wrote no other.
        let last = From::Last(2 * BATCH_ACTIONS as i64);
        each_record(&place.kafka, topic, last, |record| {
            let id = record.headers.into_iter().find(|(name, _)| name == ID_HEADER);
            let id = id.and_then(|(_, value)| String::from_utf8(value?).ok());
            there.extend(id);
        })?;
    }
    let way = Way::Embedded {
        producer: Producer::new(&place.kafka)?,
        there: Mutex::new(there),
        _lock: lock,
    };
    Ok(Some((Sink { lake_id, way }, position)))
}

/// The lock; `None` where another process has it. The operating system drops it with the process.
fn take(path: &Path) -> Result<Option<File>, TriggerError> {
    let wrong = |reason: String| TriggerError::Lock {
        path: path.display().to_string(),
        reason,
    };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| wrong(error.to_string()))?;
    }
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| wrong(error.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(wrong(error.to_string())),
    }
}

impl Sink {
    /// Publishes messages, and the position after them.
    ///
    /// # Errors
    /// After any, the sink is to be opened anew: only then is it known what was published.
    pub fn publish(&self, messages: &[Message], position: &Position) -> Result<(), TriggerError> {
        let value = serde_json::to_vec(position)
            .map_err(|error| TriggerError::Malformed(format!("a position: {error}")))?;
        let progress = Record {
            topic: PROGRESS_TOPIC,
            key: Some(self.lake_id.as_bytes()),
            payload: Some(&value),
            timestamp_ms: None,
            headers: &[],
        };
        match &self.way {
            Way::Transactions(producer) => in_transaction(producer, messages, &progress),
            Way::Embedded {
                producer, there, ..
            } => {
                let there = there.lock().unwrap_or_else(PoisonError::into_inner);
                in_order(producer, messages, &there, &progress)
            }
        }
    }
}

fn in_transaction(
    producer: &TransactionalProducer,
    messages: &[Message],
    progress: &Record<'_>,
) -> Result<(), TriggerError> {
    producer.begin()?;
    let sent = (|| {
        for message in messages {
            producer.send(&message.record(&message.header_pairs()))?;
        }
        producer.send(progress)?;
        fail_point!("publisher.before_commit", |_| Err(TriggerError::Failpoint(
            "publisher.before_commit"
        )));
        Ok(())
    })();
    if let Err(error) = sent {
        // The next publisher aborts it too; now, readers need not wait for that.
        if !matches!(error, TriggerError::Transaction(TransactionError::Fenced)) {
            producer.abort()?;
        }
        return Err(error);
    }
    producer.commit()?;
    fail_point!("publisher.after_commit", |_| Err(TriggerError::Failpoint(
        "publisher.after_commit"
    )));
    Ok(())
}

fn in_order(
    producer: &Producer,
    messages: &[Message],
    there: &HashSet<String>,
    progress: &Record<'_>,
) -> Result<(), TriggerError> {
    for message in messages {
        if message.id.as_ref().is_some_and(|id| there.contains(id)) {
            continue;
        }
        producer.send_record(&message.record(&message.header_pairs()))?;
    }
    producer.flush(PATIENCE)?;
    fail_point!("publisher.before_commit", |_| Err(TriggerError::Failpoint(
        "publisher.before_commit"
    )));
    producer.send_record(progress)?;
    producer.flush(PATIENCE)?;
    fail_point!("publisher.after_commit", |_| Err(TriggerError::Failpoint(
        "publisher.after_commit"
    )));
    Ok(())
}
