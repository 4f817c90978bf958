//! Records onto Kafka: idempotent, acknowledged by all replicas, with a bounded queue that makes the sender wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{
    BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
};

use crate::config::KafkaConfig;
use crate::error::KafkaError;
use crate::record::OutgoingRecord;

/// Farol's own settings, each of which a property can overrule.
const DEFAULTS: [(&str, &str); 7] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("compression.type", "lz4"),
    ("linger.ms", "20"),
    ("queue.buffering.max.messages", "100000"),
    ("queue.buffering.max.kbytes", "131072"),
    ("message.max.bytes", "33554432"),
];

/// The longest pause while the queue is full.
const WAIT: Duration = Duration::from_millis(50);

/// How long the queue may stay full before the sender hears of it.
const PATIENCE: Duration = Duration::from_mins(5);

#[derive(Default)]
struct Deliveries {
    sent: AtomicU64,
    failed: AtomicU64,
    last_error: Mutex<Option<String>>,
}

struct Reports(Arc<Deliveries>);

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crate::client_log(level, facility, message);
    }
}

impl ProducerContext<NoCustomPartitioner> for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
            *self
                .0
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
    }
}

/// Sends records. Its own thread serves deliveries.
pub struct Producer {
    inner: ThreadedProducer<Reports>,
    deliveries: Arc<Deliveries>,
}

impl Producer {
    /// A producer for these brokers.
    ///
    /// # Errors
    /// Where a property is wrong.
    pub fn new(config: &KafkaConfig) -> Result<Self, KafkaError> {
        let deliveries = Arc::new(Deliveries::default());
        let mut settings = config.client(&DEFAULTS);
        settings.set_log_level(RDKafkaLogLevel::Warning);
        let inner = settings
            .create_with_context(Reports(deliveries.clone()))
            .map_err(|error| KafkaError::settings(&error))?;
        Ok(Self { inner, deliveries })
    }

    /// Hands a record over; waits while the queue is full.
    ///
    /// # Errors
    /// Where the record can never be sent (too large, unknown topic), or the queue stays full.
    pub fn send(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        payload: &[u8],
        timestamp_ms: Option<i64>,
    ) -> Result<(), KafkaError> {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).payload(payload);
        record.key = key;
        record.timestamp = timestamp_ms;
        self.hand_over(record)
    }

    /// Hands a record with headers over; waits while the queue is full.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub fn send_record(&self, record: &OutgoingRecord) -> Result<(), KafkaError> {
        self.hand_over(record.to_base())
    }

    /// Hands a tombstone over: compaction then forgets the key. Waits while the queue is full.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub fn send_tombstone(&self, topic: &str, key: &[u8]) -> Result<(), KafkaError> {
        self.hand_over(BaseRecord::<[u8], [u8]>::to(topic).key(key))
    }

    fn hand_over(&self, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<(), KafkaError> {
        let topic = record.topic;
        let began = std::time::Instant::now();
        loop {
            match self.inner.send(record) {
                Ok(()) => {
                    self.deliveries.sent.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if began.elapsed() < PATIENCE =>
                {
                    record = back;
                    std::thread::sleep(WAIT);
                }
                Err((error, _)) => {
                    return Err(KafkaError::failed(format!("send to {topic}"), &error));
                }
            }
        }
    }

    /// Waits until everything sent so far is acknowledged.
    ///
    /// # Errors
    /// How many records were not, and why.
    pub fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        let flushed = self.inner.flush(timeout);
        let failed = self.deliveries.failed.load(Ordering::Relaxed);
        let waiting = self.inner.in_flight_count().max(0) as u64;
        if failed == 0 && waiting == 0 && flushed.is_ok() {
            return Ok(());
        }
        let last = self
            .deliveries
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let reason = last
            .or(flushed.err().map(|error| error.to_string()))
            .unwrap_or_default();
        let sent = self.deliveries.sent.load(Ordering::Relaxed);
        Err(KafkaError::NotDelivered {
            failed: failed + waiting,
            sent,
            reason,
        })
    }

    /// Records acknowledged so far.
    pub fn delivered(&self) -> u64 {
        let waiting = self.inner.in_flight_count().max(0) as u64;
        let failed = self.deliveries.failed.load(Ordering::Relaxed);
        self.deliveries
            .sent
            .load(Ordering::Relaxed)
            .saturating_sub(waiting + failed)
    }
}
