//! Records that must be on Kafka before anything else happens. What could not be written is written first next time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use farol_kafka::{KafkaConfig, OutgoingRecord, Producer};

use super::blocking;
use crate::error::NotifyError;
use crate::progress::ToKeep;

/// How long Kafka may take to acknowledge.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A producer, and what it has to write.
pub(super) struct Writer {
    kafka: KafkaConfig,
    producer: Option<Arc<Producer>>,
    waiting: VecDeque<(String, ToKeep)>,
}

impl Writer {
    pub fn new(kafka: KafkaConfig) -> Self {
        Self {
            kafka,
            producer: None,
            waiting: VecDeque::new(),
        }
    }

    /// Adds a record to what is to be written.
    pub fn add(&mut self, topic: &str, record: ToKeep) {
        self.waiting.push_back((topic.to_owned(), record));
    }

    /// Writes all of it, in order, and waits until it is acknowledged by every replica.
    ///
    /// # Errors
    /// Where it is not. Nothing is dropped: the next call writes all of it again, to the same keys.
    pub async fn flush(&mut self) -> Result<(), NotifyError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let records: Vec<(String, ToKeep)> = self.waiting.iter().cloned().collect();
        let (kafka, producer) = (self.kafka.clone(), self.producer.take());
        let producer = blocking(move || {
            let producer = match producer {
                Some(producer) => producer,
                None => Arc::new(Producer::new(&kafka)?),
            };
            for (topic, record) in &records {
                match &record.value {
                    Some(value) => {
                        let outgoing: OutgoingRecord = record.record(topic, value);
                        producer.send_record(&outgoing)?;
                    }
                    None => producer.send_tombstone(topic, &record.key)?,
                }
            }
            producer.flush(TIMEOUT)?;
            Ok(producer)
        });
        // A producer that failed once counts that for ever, so another is made.
        self.producer = Some(producer.await?);
        self.waiting.clear();
        Ok(())
    }
}
