//! A message in librdkafka's own memory: read in place, freed when dropped.

use std::ffi::CStr;
use std::ptr::{self, NonNull};
use std::slice;

use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

/// A message, or an error that came instead of one.
pub(crate) struct NativeMessage(NonNull<sys::rd_kafka_message_t>);

// SAFETY: a message is owned by whoever took it; what it shares with others in librdkafka (buffer, partition)
// is counted with atomics, and may be released on any thread. It is not `Sync`: headers are parsed into the
// message when they are first asked for.
unsafe impl Send for NativeMessage {}

impl NativeMessage {
    /// Takes a message over; `None` for a null pointer.
    ///
    /// SAFETY: a pointer that is not null must be a consumer's message that nobody else destroys, and the
    /// client that it came from must outlive this.
    pub unsafe fn new(message: *mut sys::rd_kafka_message_t) -> Option<Self> {
        NonNull::new(message).map(Self)
    }

    fn get(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: the pointer is valid until `Drop`.
        unsafe { self.0.as_ref() }
    }

    /// The error that came instead of a message.
    pub fn error(&self) -> Option<RDKafkaErrorCode> {
        let code = self.get().err;
        (code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| code.into())
    }

    /// The error in words.
    pub fn error_text(&self) -> String {
        // SAFETY: the message is valid; the text is static or the message's own.
        let text = unsafe { sys::rd_kafka_message_errstr(self.0.as_ptr()) };
        if text.is_null() {
            return String::new();
        }
        // SAFETY: librdkafka's texts end in NUL.
        unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned()
    }

    /// The topic; `None` where an error concerns no topic.
    pub fn topic(&self) -> Option<&str> {
        let topic = self.get().rkt;
        if topic.is_null() {
            return None;
        }
        // SAFETY: a message holds a reference to its topic, whose name ends in NUL and does not change.
        unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(topic)) }
            .to_str()
            .ok()
    }

    /// Whether two messages are of the same topic and partition.
    pub fn same_partition(&self, other: &Self) -> bool {
        self.get().partition == other.get().partition && ptr::eq(self.get().rkt, other.get().rkt)
    }

    pub fn partition(&self) -> i32 {
        self.get().partition
    }

    pub fn offset(&self) -> i64 {
        self.get().offset
    }

    pub fn payload(&self) -> Option<&[u8]> {
        let message = self.get();
        bytes(message.payload.cast(), message.len)
    }

    pub fn key(&self) -> Option<&[u8]> {
        let message = self.get();
        bytes(message.key.cast(), message.key_len)
    }

    /// Milliseconds since the epoch.
    pub fn timestamp_ms(&self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid and `kind` is ours.
        let timestamp = unsafe { sys::rd_kafka_message_timestamp(self.0.as_ptr(), &raw mut kind) };
        let known = kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        (known && timestamp >= 0).then_some(timestamp)
    }

    /// The headers in their order, copied.
    pub fn headers(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let mut headers = ptr::null_mut();
        let mut found = Vec::new();
        // SAFETY: the message is valid; the list of headers stays its own, and each name and value is
        // copied before the next call.
        unsafe {
            let none = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
            if sys::rd_kafka_message_headers(self.0.as_ptr(), &raw mut headers) != none {
                return found;
            }
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            while sys::rd_kafka_header_get_all(
                headers,
                found.len(),
                &raw mut name,
                &raw mut value,
                &raw mut size,
            ) == none
            {
                let name = CStr::from_ptr(name).to_string_lossy().into_owned();
                let value = (!value.is_null())
                    .then(|| bytes(value.cast(), size).unwrap_or_default().to_vec());
                found.push((name, value));
            }
        }
        found
    }
}

fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    if start.is_null() {
        return None;
    }
    // SAFETY: librdkafka gives pointer and length of one buffer that lives as long as its message, and the
    // callers bind the slice to a borrow of the message.
    Some(unsafe { slice::from_raw_parts(start, len) })
}

impl Drop for NativeMessage {
    fn drop(&mut self) {
        // SAFETY: the message was taken from a queue by us and is destroyed once.
        unsafe { sys::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}
