//! How records and progress get onto Kafka together: in a transaction, or, without transactions, by not sending twice.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fail::fail_point;
use farol_kafka::{
    Admin, From, KafkaConfig, KafkaError, OutgoingRecord, Producer, Tail, TopicSpec,
    TransactionalProducer,
};

use super::PublisherOptions;
use super::progress::{PROGRESS_TOPIC, Published, ended, published};
use crate::error::TriggerError;

/// Records of each output topic's partition that are looked through for what was sent before.
const TAIL: i64 = 20_000;

/// How long that may take.
const TAIL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the embedded broker may take to acknowledge.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// A way to publish, and how far it is.
pub(super) struct Sender {
    /// What is published.
    pub published: Published,
    lake_id: String,
    way: Way,
}

#[derive(Clone)]
enum Way {
    Transactions(Arc<TransactionalProducer>),
    /// The ids that were on the output topics when this publisher began.
    Idempotent(Arc<Producer>, Arc<HashSet<String>>),
}

impl Sender {
    /// Takes over: ends what the last publisher left open, and reads how far it came.
    pub async fn open(options: &PublisherOptions, lake_id: &str) -> Result<Self, TriggerError> {
        ensure_progress_topic(&options.kafka).await?;
        let (kafka, id) = (options.kafka.clone(), format!("farol-publisher-{lake_id}"));
        let (transactions, outputs) = (options.transactions, options.outputs.clone());
        let way = tokio::task::spawn_blocking(move || -> Result<Way, TriggerError> {
            if transactions {
                let producer = TransactionalProducer::new(&kafka, &id)?;
                return Ok(Way::Transactions(Arc::new(producer)));
            }
            let mut sent = HashSet::new();
            for topic in outputs.topics() {
                read_ids(&kafka, topic, &mut sent)?;
            }
            let producer = Producer::new(&kafka)?;
            Ok(Way::Idempotent(Arc::new(producer), Arc::new(sent)))
        });
        // Only after the takeover: before it, the last publisher may still commit.
        let way = way.await.map_err(ended)??;
        let published = published(&options.kafka, lake_id).await?;
        Ok(Self {
            published: published.unwrap_or_default(),
            lake_id: lake_id.to_owned(),
            way,
        })
    }

    /// Sends records, and that this is now what is published.
    pub async fn send(
        &mut self,
        records: Vec<OutgoingRecord>,
        published: Published,
    ) -> Result<(), TriggerError> {
        let progress = self.progress(&published)?;
        let way = self.way.clone();
        let send = move || match way {
            Way::Transactions(producer) => {
                let mut records = records;
                records.push(progress);
                producer.send(&records, before_commit)
            }
            Way::Idempotent(producer, sent) => idempotent(&producer, &sent, &records, &progress),
        };
        tokio::task::spawn_blocking(send).await.map_err(ended)??;
        self.published = published;
        Ok(())
    }

    fn progress(&self, published: &Published) -> Result<OutgoingRecord, TriggerError> {
        let payload = serde_json::to_vec(published)
            .map_err(|error| TriggerError::Progress(error.to_string()))?;
        Ok(OutgoingRecord {
            topic: PROGRESS_TOPIC.to_owned(),
            key: self.lake_id.clone().into_bytes(),
            payload,
            headers: Vec::new(),
            timestamp_ms: None,
        })
    }
}

#[cfg_attr(
    not(feature = "failpoints"),
    expect(clippy::unnecessary_wraps, reason = "the failpoint gives the error")
)]
fn before_commit() -> Result<(), TriggerError> {
    fail_point!("publisher.before_commit", |_| Err(TriggerError::Failpoint(
        "publisher.before_commit"
    )));
    Ok(())
}

/// Everything is acknowledged before the progress is; whatever lies between is found on the topics by the next one.
fn idempotent(
    producer: &Producer,
    sent: &HashSet<String>,
    records: &[OutgoingRecord],
    progress: &OutgoingRecord,
) -> Result<(), TriggerError> {
    let id = |record: &OutgoingRecord| {
        let found = record.headers.iter().find(|(name, _)| name == "ce_id");
        found.map(|(_, value)| value.clone())
    };
    for record in records {
        if !id(record).is_some_and(|id| sent.contains(&id)) {
            producer.send_record(record)?;
        }
    }
    producer.flush(FLUSH_TIMEOUT)?;
    before_commit()?;
    producer.send_record(progress)?;
    producer.flush(FLUSH_TIMEOUT)?;
    Ok(())
}

/// The ids of the last records of a topic. One that is not there has none.
fn read_ids(kafka: &KafkaConfig, topic: &str, ids: &mut HashSet<String>) -> Result<(), KafkaError> {
    if Admin::connect(kafka)?
        .partitions(&[topic.to_owned()])?
        .is_empty()
    {
        return Ok(());
    }
    let deadline = Instant::now() + TAIL_TIMEOUT;
    let mut tail = Tail::open(kafka, topic, From::Last(TAIL))?;
    while !tail.reached_end() {
        if Instant::now() > deadline {
            return Err(KafkaError::Failed {
                doing: format!("read {topic} to its end"),
                reason: "it took too long".to_owned(),
            });
        }
        if let Some(record) = tail.next(Duration::from_millis(200))? {
            let id = record.headers.into_iter().find(|(name, _)| name == "ce_id");
            let id = id.and_then(|(_, value)| String::from_utf8(value?).ok());
            ids.extend(id);
        }
    }
    Ok(())
}

async fn ensure_progress_topic(kafka: &KafkaConfig) -> Result<(), TriggerError> {
    let config = kafka.clone();
    let admin = tokio::task::spawn_blocking(move || Admin::connect(&config));
    let admin = admin.await.map_err(ended)??;
    let topic = TopicSpec {
        name: PROGRESS_TOPIC.to_owned(),
        partitions: 1,
        settings: BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]),
    };
    admin.create(&[topic]).await?;
    Ok(())
}
