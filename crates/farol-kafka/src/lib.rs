//! Kafka: the consumer of a group, a producer, questions to a cluster, a tail, and an embedded broker.
//!
//! ```text
//!  [`Consumer`] ◀── [`Assignment`]: whoever knows the start offsets     [`Producer`] ──▶ records
//!      │ [`MessageBatch`]: messages in the client's own memory          [`Admin`]: topics, ranges, owners
//!      ▼                                                                [`Tail`]: a topic from outside
//!   the caller                                                          [`TransactionalProducer`]: all or none of them
//!                                                                       [`EmbeddedBroker`]: a broker in-process
//! ```
//!
//! Every property of librdkafka can be set through [`KafkaConfig`]. What librdkafka offers and the safe
//! client does not is in `native`.

mod admin;
mod batch;
mod config;
mod consumer;
mod embedded;
mod error;
mod native;
mod partition;
mod producer;
mod record;
mod tail;
mod transaction;

use rdkafka::config::RDKafkaLogLevel;

pub use admin::{Admin, Created, TopicSpec};
pub use batch::{Message, MessageBatch};
pub use config::{KafkaConfig, is_secret};
pub use consumer::{Assigned, Assignment, Consumer, ConsumerEvent, Polled, Start};
pub use embedded::EmbeddedBroker;
pub use error::KafkaError;
pub use partition::TopicPartition;
pub use producer::Producer;
pub use record::{OutgoingRecord, latest_by_key};
pub use tail::{From, Tail, TailedRecord};
pub use transaction::TransactionalProducer;

/// Hands a line of librdkafka's log on.
fn client_log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            tracing::error!(target: "librdkafka", "{facility}: {message}");
        }
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
            tracing::warn!(target: "librdkafka", "{facility}: {message}");
        }
        RDKafkaLogLevel::Info => tracing::info!(target: "librdkafka", "{facility}: {message}"),
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", "{facility}: {message}"),
    }
}
