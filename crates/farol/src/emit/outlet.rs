//! The way out to Kafka, shared by `emit` and `simulate`: which topic an event goes to, and a
//! producer that waits when its bounded queue is full and accounts for every delivery.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use farol_events::Kind;
use farol_kafka::{Admin, KafkaConfig, Producer};

use crate::commands::topics;
use crate::context::{Context, Kafka};

/// How long the events in the producer's queue may take to be acknowledged at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_mins(2);

/// The topic of each kind of event.
#[derive(Clone, Debug)]
pub struct Topics {
    one: Option<String>,
    configured: Vec<(Kind, String)>,
}

impl Topics {
    /// The topic given on the command line for everything, else those of the configuration.
    pub fn new(context: &Context, one: Option<&str>) -> Self {
        let configured = context
            .input_topics()
            .into_iter()
            .map(|topic| (topic.kind, topic.name))
            .collect();
        Self {
            one: one.map(str::to_owned),
            configured,
        }
    }

    /// The topic for events of a kind: of several, the first that is configured.
    pub fn of(&self, kind: Kind) -> anyhow::Result<&str> {
        if let Some(topic) = &self.one {
            return Ok(topic);
        }
        let found = self
            .configured
            .iter()
            .find(|(configured, _)| *configured == kind);
        let (_, topic) = found.with_context(|| {
            format!("no topic is configured for events of the kind `{kind}`; give --topic")
        })?;
        Ok(topic)
    }
}

/// Sends events to Kafka.
pub struct KafkaOutlet {
    producer: Producer,
    brokers: String,
    /// The topics there are: a producer would wait minutes for one that is not.
    topics: HashSet<String>,
}

impl KafkaOutlet {
    /// A producer for these brokers. Blocks until they answer.
    pub fn open(kafka: &KafkaConfig) -> anyhow::Result<Self> {
        let topics = Admin::connect(kafka)?.topics()?.into_iter().collect();
        Ok(Self {
            producer: Producer::new(kafka)?,
            brokers: kafka.brokers.clone(),
            topics,
        })
    }

    /// Hands an event over; waits while the producer's queue is full. The record carries the time
    /// of sending, not the event's: a broker drops old records by their time.
    pub fn send(&self, topic: &str, key: Option<&str>, payload: &[u8]) -> anyhow::Result<()> {
        if !self.topics.contains(topic) {
            anyhow::bail!(
                "there is no topic {topic} at {}; `farol topics create` makes those of the configuration",
                self.brokers
            );
        }
        self.producer
            .send(topic, key.map(str::as_bytes), payload, None)?;
        Ok(())
    }

    /// Waits until everything is acknowledged.
    ///
    /// # Errors
    /// How many events were not, and why.
    pub fn finish(self) -> anyhow::Result<()> {
        Ok(self.producer.flush(FLUSH_TIMEOUT)?)
    }
}

/// The way to Kafka for a command. The embedded broker's topics are created where they are missing:
/// nobody else would do it.
pub async fn kafka(context: &Context) -> anyhow::Result<Kafka> {
    let kafka = context.kafka()?;
    if context.config.kafka.brokers.is_none() {
        let config = kafka.config.clone();
        let there =
            tokio::task::spawn_blocking(move || Admin::connect(&config)?.topics()).await??;
        let needed = context.input_topics();
        if !needed.iter().all(|topic| there.contains(&topic.name)) {
            topics::ensure(context, &kafka.config).await?;
        }
    }
    Ok(kafka)
}
