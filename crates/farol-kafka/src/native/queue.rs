//! A queue of our own that assigned partitions deliver to.
//!
//! Rebalances and errors of the group stay on the consumer's own queue, where the safe client serves them;
//! taking batches from that one would swallow them.

use std::ffi::CString;
use std::ptr;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka_sys as sys;

use super::messages::NativeMessage;

/// Messages taken in one call.
const BATCH: usize = 4_096;

/// A queue of librdkafka.
pub(crate) struct Queue(*mut sys::rd_kafka_queue_t);

// SAFETY: librdkafka's queues are locked inside; any thread may use them.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    /// A new queue of this client. It must be dropped before the client is.
    pub fn new<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Self {
        // SAFETY: the client's handle is valid while `consumer` lives.
        Self(unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) })
    }

    /// Has a partition deliver to this queue. To be called before the partition is assigned: assigning
    /// respects a forward that the application has set, and replaces one that it has not.
    pub fn forward<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        topic: &str,
        partition: i32,
    ) -> bool {
        let Ok(topic) = CString::new(topic) else {
            return false;
        };
        // SAFETY: both handles are valid; librdkafka copies the topic's name, and the partition's queue is
        // counted: ours is given back at once, the forward keeps its own.
        unsafe {
            let source = sys::rd_kafka_queue_get_partition(
                consumer.client().native_ptr(),
                topic.as_ptr(),
                partition,
            );
            if source.is_null() {
                return false;
            }
            sys::rd_kafka_queue_forward(source, self.0);
            sys::rd_kafka_queue_destroy(source);
        }
        true
    }

    /// Takes what is there, waiting for up to `timeout` for a full batch.
    pub fn take(&self, timeout: Duration) -> Vec<NativeMessage> {
        let mut taken = vec![ptr::null_mut(); BATCH];
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is valid, and `taken` has room for BATCH pointers.
        let count = unsafe {
            sys::rd_kafka_consume_batch_queue(self.0, timeout_ms, taken.as_mut_ptr(), BATCH)
        };
        taken.truncate(usize::try_from(count).unwrap_or(0));
        taken.into_iter().filter_map(NativeMessage::new).collect()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the queue came from `rd_kafka_queue_new` and is destroyed once.
        unsafe { sys::rd_kafka_queue_destroy(self.0) }
    }
}
