//! The way out to Kafka, shared by `emit` and `simulate`: which topic an event goes to, and a
//! producer that waits when its bounded queue is full and accounts for every delivery.

use std::time::Duration;

use anyhow::Context as _;
use farol_events::Kind;
use farol_kafka::{KafkaConfig, Producer};

use crate::context::Context;

/// How long the events in the producer's queue may take to be acknowledged at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(120);

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
}

impl KafkaOutlet {
    /// A producer for these brokers.
    pub fn open(kafka: &KafkaConfig) -> anyhow::Result<Self> {
        let producer = Producer::new(kafka)
            .with_context(|| format!("cannot send to Kafka at {}", kafka.brokers))?;
        Ok(Self { producer })
    }

    /// Hands an event over; waits while the producer's queue is full. The record carries the time
    /// of sending, not the event's: a broker drops old records by their time.
    pub fn send(&self, topic: &str, key: Option<&str>, payload: &[u8]) -> anyhow::Result<()> {
        self.producer
            .send(topic, key.map(str::as_bytes), payload, None)
            .with_context(|| format!("cannot send to the topic {topic}"))
    }

    /// Waits until everything is acknowledged.
    ///
    /// # Errors
    /// How many events were not, and why.
    pub fn finish(self) -> anyhow::Result<()> {
        self.producer
            .flush(FLUSH_TIMEOUT)
            .context("not everything was delivered")
    }
}
