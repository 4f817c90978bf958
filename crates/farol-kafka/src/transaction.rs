//! Records onto Kafka in transactions: readers of committed records see all of one, or none.
//!
//! After any error the producer is of no use: make another, which ends what the last one left open and fences it, and
//! read again how far the last one came. That is one path for every failure, also for a commit whose answer was lost.

use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::producer::{NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer};

use crate::config::KafkaConfig;
use crate::error::KafkaError;
use crate::record::OutgoingRecord;

/// How long the broker may take to hand out an id, or to commit.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Farol's own settings, each of which a property can overrule.
const DEFAULTS: [(&str, &str); 6] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("compression.type", "lz4"),
    ("linger.ms", "5"),
    ("message.max.bytes", "33554432"),
    // A publisher that dies within a transaction holds readers of committed records up for as long.
    ("transaction.timeout.ms", "20000"),
];

struct Log;

impl ClientContext for Log {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crate::client_log(level, facility, message);
    }
}

impl ProducerContext<NoCustomPartitioner> for Log {
    type DeliveryOpaque = ();

    /// What was not delivered fails the commit, which is where it is heard of.
    fn delivery(&self, _: &rdkafka::message::DeliveryResult<'_>, (): ()) {}
}

/// Sends records in transactions. Its own thread serves deliveries.
pub struct TransactionalProducer {
    inner: ThreadedProducer<Log>,
    transactional_id: String,
}

impl TransactionalProducer {
    /// Takes over a transactional id: what another producer has open under it is ended, and that producer fenced.
    /// Blocks.
    ///
    /// # Errors
    /// Where a property is wrong, or the broker does not answer or has no transactions.
    pub fn new(config: &KafkaConfig, transactional_id: &str) -> Result<Self, KafkaError> {
        let mut settings = config.client(&DEFAULTS);
        settings
            .set("transactional.id", transactional_id)
            .set_log_level(RDKafkaLogLevel::Error);
        let inner: ThreadedProducer<Log> = settings
            .create_with_context(Log)
            .map_err(|error| KafkaError::settings(&error))?;
        let producer = Self {
            inner,
            transactional_id: transactional_id.to_owned(),
        };
        let taken = producer.inner.init_transactions(TIMEOUT);
        taken.map_err(|error| producer.failed("begin as a transactional producer", &error))?;
        Ok(producer)
    }

    /// Sends records in one transaction. `before_commit` may still stop it. Blocks.
    ///
    /// # Errors
    /// [`KafkaError::Fenced`] where another producer has the id; else what failed. The producer is of no use then.
    pub fn send<E: From<KafkaError>>(
        &self,
        records: &[OutgoingRecord],
        before_commit: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        self.inner
            .begin_transaction()
            .map_err(|error| self.failed("begin a transaction", &error))?;
        for record in records {
            self.hand_over(record)?;
        }
        before_commit()?;
        self.inner
            .commit_transaction(TIMEOUT)
            .map_err(|error| self.failed("commit a transaction", &error))?;
        Ok(())
    }

    fn hand_over(&self, record: &OutgoingRecord) -> Result<(), KafkaError> {
        let deadline = std::time::Instant::now() + TIMEOUT;
        let mut next = record.to_base();
        loop {
            match self.inner.send(next) {
                Ok(()) => return Ok(()),
                Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if std::time::Instant::now() < deadline =>
                {
                    next = back;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err((error, _)) => {
                    return Err(self.failed(&format!("send to {}", record.topic), &error));
                }
            }
        }
    }

    fn failed(&self, doing: &str, error: &ClientError) -> KafkaError {
        let fenced = |code: Option<RDKafkaErrorCode>| {
            matches!(
                code,
                Some(
                    RDKafkaErrorCode::Fenced
                        | RDKafkaErrorCode::ProducerFenced
                        | RDKafkaErrorCode::InvalidProducerEpoch
                )
            )
        };
        let fatal = self.inner.client().fatal_error().map(|(code, _)| code);
        if fenced(error.rdkafka_error_code()) || fenced(fatal) {
            return KafkaError::Fenced {
                transactional_id: self.transactional_id.clone(),
            };
        }
        KafkaError::failed(doing, error)
    }
}
