//! Messages of one partition, in order, in librdkafka's own memory.

use std::fmt;
use std::sync::Arc;

use rdkafka::consumer::BaseConsumer;

use crate::consumer::GroupContext;
use crate::native::messages::NativeMessage;
use crate::partition::TopicPartition;

/// Messages of one partition that followed each other. Their memory is librdkafka's until the batch is dropped.
pub struct MessageBatch {
    at: TopicPartition,
    // Dropped in this order: messages before the client that they belong to.
    messages: Vec<NativeMessage>,
    _client: Arc<BaseConsumer<GroupContext>>,
    bytes: usize,
}

impl fmt::Debug for MessageBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "MessageBatch({}, {} messages, {} bytes)",
            self.at,
            self.messages.len(),
            self.bytes
        )
    }
}

impl MessageBatch {
    /// The partition.
    pub fn at(&self) -> &TopicPartition {
        &self.at
    }

    /// How many messages.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Bytes of their values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The last message's offset.
    pub(crate) fn last_offset(&self) -> Option<i64> {
        self.messages.last().map(NativeMessage::offset)
    }

    /// The messages in offset order.
    pub fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        self.messages.iter().map(Message)
    }
}

/// A message, in its batch.
#[derive(Clone, Copy)]
pub struct Message<'a>(&'a NativeMessage);

impl<'a> Message<'a> {
    /// Its offset.
    pub fn offset(&self) -> i64 {
        self.0.offset()
    }

    /// Its time, milliseconds since the epoch.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.0.timestamp_ms()
    }

    /// Its key.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.0.key()
    }

    /// Its value; `None` for a tombstone.
    pub fn payload(&self) -> Option<&'a [u8]> {
        self.0.payload()
    }

    /// Its headers in their order.
    pub fn headers(&self) -> Vec<(String, Option<Vec<u8>>)> {
        self.0.headers()
    }
}

/// Sorts messages by partition, keeping each partition's order.
pub(crate) struct Sorter {
    client: Arc<BaseConsumer<GroupContext>>,
    batches: Vec<MessageBatch>,
    /// Where the last message went: most follow another of their partition.
    last: usize,
}

impl Sorter {
    pub fn new(client: Arc<BaseConsumer<GroupContext>>) -> Self {
        Self {
            client,
            batches: Vec::new(),
            last: 0,
        }
    }

    pub fn push(&mut self, message: NativeMessage) {
        let belongs = |batch: &MessageBatch| {
            batch
                .messages
                .first()
                .is_some_and(|first| first.same_partition(&message))
        };
        let index = match self.batches.get(self.last) {
            Some(batch) if belongs(batch) => self.last,
            _ => self
                .batches
                .iter()
                .position(belongs)
                .unwrap_or(self.batches.len()),
        };
        if index == self.batches.len() {
            let Some(topic) = message.topic() else { return };
            let at = TopicPartition {
                topic: topic.into(),
                partition: message.partition(),
            };
            self.batches.push(MessageBatch {
                at,
                messages: Vec::new(),
                _client: self.client.clone(),
                bytes: 0,
            });
        }
        self.last = index;
        let batch = &mut self.batches[index];
        batch.bytes += message.payload().map_or(0, <[u8]>::len);
        batch.messages.push(message);
    }

    pub fn finish(self) -> Vec<MessageBatch> {
        self.batches
    }
}
