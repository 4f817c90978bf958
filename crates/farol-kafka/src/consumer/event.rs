//! What a poll brings besides messages, out of the client's errors.

use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};

use crate::batch::MessageBatch;
use crate::native::messages::NativeMessage;
use crate::partition::TopicPartition;

/// What a poll brought.
#[derive(Debug, Default)]
pub struct Polled {
    /// Messages, in offset order within each partition.
    pub batches: Vec<MessageBatch>,
    /// What else happened, after those messages.
    pub events: Vec<ConsumerEvent>,
}

/// What a consumer hears besides messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerEvent {
    /// The partition was read to its end, which is now at `offset`.
    EndOfPartition {
        /// Which.
        at: TopicPartition,
        /// One past the last offset that can be read at present: the last stable offset.
        offset: i64,
    },
    /// The offset asked for is not in the log.
    OffsetOutOfRange {
        /// Which.
        at: TopicPartition,
    },
    /// A partition cannot be read at present.
    PartitionError {
        /// Which, where it is known.
        at: Option<TopicPartition>,
        /// What the client says.
        reason: String,
    },
    /// The client cannot go on.
    Fatal {
        /// What the client says.
        reason: String,
    },
    /// The client will try again by itself.
    Transient {
        /// What the client says.
        reason: String,
    },
}

/// An error on the consumer's own queue.
pub(super) fn from_client(error: &ClientError) -> ConsumerEvent {
    match error {
        ClientError::MessageConsumptionFatal(code) => ConsumerEvent::Fatal {
            reason: code.to_string(),
        },
        error => ConsumerEvent::Transient {
            reason: error.to_string(),
        },
    }
}

/// An error that came in a message's place.
pub(super) fn from_partition(code: RDKafkaErrorCode, message: &NativeMessage) -> ConsumerEvent {
    let topic = message.topic().map(Into::into);
    let at = topic.map(|topic| TopicPartition {
        topic,
        partition: message.partition(),
    });
    let reason = || format!("{code}: {}", message.error_text());
    match (code, at) {
        (RDKafkaErrorCode::PartitionEOF, Some(at)) => ConsumerEvent::EndOfPartition {
            at,
            offset: message.offset(),
        },
        (RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange, Some(at)) => {
            ConsumerEvent::OffsetOutOfRange { at }
        }
        (RDKafkaErrorCode::Fatal, _) => ConsumerEvent::Fatal { reason: reason() },
        (_, at) => ConsumerEvent::PartitionError {
            at,
            reason: reason(),
        },
    }
}

/// Whether an event is still true after the messages that came with it: an end that later messages of the
/// same poll have moved is not.
pub(super) fn is_news(event: &ConsumerEvent, batches: &[MessageBatch]) -> bool {
    let ConsumerEvent::EndOfPartition { at, offset } = event else {
        return true;
    };
    let last = batches
        .iter()
        .find(|batch| batch.at() == at)
        .and_then(MessageBatch::last_offset);
    last.is_none_or(|last| last < *offset)
}
