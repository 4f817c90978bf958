//! Records that appear together or not at all: a producer whose every batch is one Kafka transaction.
//!
//! ```text
//!  start (fences whoever had the id before) ──▶ begin ──▶ send … ──▶ commit ──▶ begin …
//!                                                 └──────▶ abort ◀── anything that went wrong
//! ```
//!
//! **One at a time.** A transactional id belongs to whoever started last. Kafka refuses everything that an earlier
//! producer of the same id still sends, and aborts what it had begun. So whoever reads its own progress after
//! [`TransactionalProducer::start`] reads what can no longer change under it.
//!
//! librdkafka's deliveries are served by a thread of the client's own: a producer that nobody polls can never commit.

use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as ClientError, RDKafkaError, RDKafkaErrorCode};
use rdkafka::producer::{Producer as _, ThreadedProducer};

use crate::config::KafkaConfig;
use crate::error::KafkaError;
use crate::producer::{Record, Reports};

/// Farol's own settings, each of which a property can overrule.
const DEFAULTS: [(&str, &str); 6] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("compression.type", "lz4"),
    ("linger.ms", "0"),
    // How long readers wait for a transaction of a process that was killed and that nobody replaces.
    ("transaction.timeout.ms", "20000"),
    ("message.max.bytes", "33554432"),
];

/// How long one call to the brokers may take.
const CALL: Duration = Duration::from_secs(15);

/// How long calls that may be tried again are tried.
const PATIENCE: Duration = Duration::from_mins(1);

/// The longest pause while the queue is full.
const WAIT: Duration = Duration::from_millis(20);

/// Why a transaction did not happen.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// Another producer has taken the transactional id over: it does the work now. This one is of no more use.
    #[error("another process has taken over the transactional id")]
    Fenced,
    /// Nothing of the transaction will be seen; the next one may be begun with the same producer.
    #[error("the transaction was aborted: {0}")]
    Aborted(KafkaError),
    /// The producer cannot go on, and whether the transaction was committed is not known. A new producer of the
    /// same id sees to it that it is one or the other.
    #[error("{0}")]
    Lost(KafkaError),
}

/// Sends records in transactions. Blocks; to be used from a thread that may.
pub struct TransactionalProducer {
    inner: ThreadedProducer<Reports>,
}

impl TransactionalProducer {
    /// Takes the transactional id over. What an earlier producer of that id had begun is aborted, and it can do
    /// nothing any more.
    ///
    /// # Errors
    /// Where a property is wrong, or the brokers do not answer, or have no transactions.
    pub fn start(config: &KafkaConfig, transactional_id: &str) -> Result<Self, TransactionError> {
        let mut settings = config.client(&DEFAULTS);
        settings.set("transactional.id", transactional_id);
        settings.set_log_level(RDKafkaLogLevel::Error);
        let inner: ThreadedProducer<Reports> = settings
            .create_with_context(Reports::default())
            .map_err(|error| TransactionError::Lost(KafkaError::settings(&error)))?;
        let producer = Self { inner };
        producer.retried("take over the transactional id", || {
            producer.inner.init_transactions(CALL)
        })?;
        Ok(producer)
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Result<(), TransactionError> {
        self.inner
            .begin_transaction()
            .map_err(|error| Self::told(&error, "begin a transaction"))
    }

    /// Adds a record to the transaction; waits while the queue is full.
    ///
    /// # Errors
    /// After any, [`TransactionalProducer::abort`].
    pub fn send(&self, record: &Record<'_>) -> Result<(), TransactionError> {
        let doing = || format!("send to {}", record.topic);
        let mut message = record.base();
        let began = Instant::now();
        loop {
            match self.inner.send(message) {
                Ok(()) => return Ok(()),
                Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if began.elapsed() < PATIENCE =>
                {
                    message = back;
                    std::thread::sleep(WAIT);
                }
                Err((error, _)) => return Err(Self::told(&error, doing())),
            }
        }
    }

    /// Commits: everything sent since the beginning is visible, at once.
    ///
    /// # Errors
    /// [`TransactionError::Aborted`] where nothing of it will be seen.
    pub fn commit(&self) -> Result<(), TransactionError> {
        self.retried("commit a transaction", || {
            self.inner.commit_transaction(CALL)
        })
    }

    /// Gives the transaction up: nothing of it will be seen.
    pub fn abort(&self) -> Result<(), TransactionError> {
        self.retried("abort a transaction", || self.inner.abort_transaction(CALL))
    }

    /// Calls again what may be called again; aborts what has to be.
    fn retried(
        &self,
        doing: &str,
        mut call: impl FnMut() -> Result<(), ClientError>,
    ) -> Result<(), TransactionError> {
        let began = Instant::now();
        loop {
            let error = match call() {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if may_retry(&error) && began.elapsed() < PATIENCE {
                continue;
            }
            let told = Self::told(&error, doing);
            if requires_abort(&error) && matches!(told, TransactionError::Aborted(_)) {
                self.abort_after(&error, doing)?;
            }
            return Err(told);
        }
    }

    fn abort_after(&self, error: &ClientError, doing: &str) -> Result<(), TransactionError> {
        self.inner.abort_transaction(CALL).map_err(|second| {
            let reason = format!("{error}; and then: {second}");
            TransactionError::Lost(KafkaError::failed(doing, &reason))
        })
    }

    fn told(error: &ClientError, doing: impl Into<String>) -> TransactionError {
        let fenced = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::Fenced
                    | RDKafkaErrorCode::ProducerFenced
                    | RDKafkaErrorCode::InvalidProducerEpoch
            )
        );
        let reason = KafkaError::failed(doing, error);
        match error {
            _ if fenced => TransactionError::Fenced,
            ClientError::Transaction(inner) if inner.txn_requires_abort() => {
                TransactionError::Aborted(reason)
            }
            ClientError::MessageProduction(code) if *code != RDKafkaErrorCode::Fatal => {
                TransactionError::Aborted(reason)
            }
            _ => TransactionError::Lost(reason),
        }
    }
}

fn transaction(error: &ClientError) -> Option<&RDKafkaError> {
    match error {
        ClientError::Transaction(inner) => Some(inner),
        _ => None,
    }
}

fn may_retry(error: &ClientError) -> bool {
    let flushed_late = matches!(
        error,
        ClientError::Flush(RDKafkaErrorCode::OperationTimedOut)
    );
    flushed_late || transaction(error).is_some_and(RDKafkaError::is_retriable)
}

fn requires_abort(error: &ClientError) -> bool {
    transaction(error).is_some_and(RDKafkaError::txn_requires_abort)
}
