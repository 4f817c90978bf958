//! A queue of our own that assigned partitions deliver to.
//!
//! Rebalances and errors of the group stay on the consumer's own queue, where the safe client serves them;
//! taking batches from that one would swallow them. What librdkafka's source says of forwarding: assigning a
//! partition respects a forward that the application has set; stopping one ends its forward, on librdkafka's
//! own thread and before any later assignment of it; forwarding moves what is already queued. Both this queue
//! and the consumer's own count as polling, so either keeps `max.poll.interval.ms`. Ends of partitions and
//! their errors arrive in batches as messages with an error, in the order of the log. (What taking in batches
//! gets wrong is told in `consumer::rebalance`.)

use std::ffi::CString;
use std::ptr;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

use super::messages::NativeMessage;

/// A queue of librdkafka.
pub(crate) struct Queue(*mut sys::rd_kafka_queue_t);

// SAFETY: librdkafka's queues are locked inside; any thread may use them.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    /// A new queue of this client. It must be dropped before the client is.
    pub fn new<C: ClientContext>(client: &Client<C>) -> Self {
        // SAFETY: the client's handle is valid while `client` lives.
        Self(unsafe { sys::rd_kafka_queue_new(client.native_ptr()) })
    }

    /// The raw handle, valid while this lives.
    pub fn raw(&self) -> *mut sys::rd_kafka_queue_t {
        self.0
    }

    /// Has a partition deliver to this queue. Returns whether there is such a partition.
    pub fn forward<C: ClientContext>(
        &self,
        client: &Client<C>,
        topic: &str,
        partition: i32,
    ) -> bool {
        let Ok(topic) = CString::new(topic) else {
            return false;
        };
        // SAFETY: the client's handle is valid and the topic's name ends in NUL; librdkafka copies it.
        let source = unsafe {
            sys::rd_kafka_queue_get_partition(client.native_ptr(), topic.as_ptr(), partition)
        };
        if source.is_null() {
            return false;
        }
        let source = Self(source);
        // SAFETY: both handles are valid; the forward holds a reference of its own to its destination.
        unsafe { sys::rd_kafka_queue_forward(source.0, self.0) }
        true
    }

    /// Takes up to `most` messages, waiting for up to `timeout` for so many.
    pub fn take(&self, timeout: Duration, most: usize) -> Vec<NativeMessage> {
        let mut taken = vec![ptr::null_mut(); most];
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is valid, and `taken` has room for `most` pointers.
        let count = unsafe {
            sys::rd_kafka_consume_batch_queue(self.0, timeout_ms, taken.as_mut_ptr(), most)
        };
        taken.truncate(usize::try_from(count).unwrap_or(0));
        // SAFETY: the first `count` pointers are messages that are ours now, and each is used once.
        taken
            .into_iter()
            .filter_map(|message| unsafe { NativeMessage::new(message) })
            .collect()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the handle came from a function that gives one to its caller, and is destroyed once.
        unsafe { sys::rd_kafka_queue_destroy(self.0) }
    }
}
