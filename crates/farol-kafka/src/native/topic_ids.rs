//! The ids that brokers give topics, which tell a topic that was created again from the old one.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

use super::queue::Queue;
use crate::error::KafkaError;

/// What stands for an id where the broker has none.
pub(crate) const NO_ID: &str = "-";

const NO_ERROR: sys::rd_kafka_resp_err_t = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;

/// Asks for the ids of topics. A topic that does not exist is left out; where the broker has no ids, every
/// topic has `-`.
pub(crate) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[String],
    timeout: Duration,
) -> Result<BTreeMap<String, String>, KafkaError> {
    let failed =
        |reason: String| KafkaError::failed(format!("describe {}", topics.join(", ")), &reason);
    let names: Vec<CString> = topics
        .iter()
        .map(|topic| CString::new(topic.as_str()))
        .collect::<Result<_, _>>()
        .map_err(|error| failed(error.to_string()))?;
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let queue = Queue::new(client);
    let options = Options::new(client, timeout_ms).map_err(failed)?;
    let collection = Topics::new(&names);
    // SAFETY: all four handles are valid for the call, which copies what it keeps.
    unsafe {
        sys::rd_kafka_DescribeTopics(client.native_ptr(), collection.0, options.0, queue.raw());
    };
    let event =
        Event::wait(&queue, timeout_ms).ok_or_else(|| failed("no answer in time".to_owned()))?;
    match event.error() {
        Ok(()) => event.ids().map_err(failed),
        Err((code, _)) if has_no_ids(code) => Ok(topics
            .iter()
            .map(|topic| (topic.clone(), NO_ID.to_owned()))
            .collect()),
        Err((_, reason)) => Err(failed(reason)),
    }
}

/// Whether an error says that the broker does not know the question, so has no ids.
fn has_no_ids(code: sys::rd_kafka_resp_err_t) -> bool {
    matches!(
        code,
        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE
            | sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION
    )
}

/// How to ask.
struct Options(*mut sys::rd_kafka_AdminOptions_t);

impl Options {
    fn new<C: ClientContext>(client: &Client<C>, timeout_ms: i32) -> Result<Self, String> {
        let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        // SAFETY: the client's handle is valid while `client` lives.
        let options =
            Self(unsafe { sys::rd_kafka_AdminOptions_new(client.native_ptr(), operation) });
        let mut reason: [c_char; 256] = [0; 256];
        // SAFETY: the options are valid, and the buffer is as long as said.
        let code = unsafe {
            sys::rd_kafka_AdminOptions_set_request_timeout(
                options.0,
                timeout_ms,
                reason.as_mut_ptr(),
                reason.len(),
            )
        };
        // SAFETY: librdkafka ends what it writes in NUL, and the buffer began as zeros.
        if code == NO_ERROR {
            Ok(options)
        } else {
            Err(unsafe { text(reason.as_ptr()) })
        }
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_AdminOptions_new`, destroyed once.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.0) }
    }
}

/// What to ask about.
struct Topics(*mut sys::rd_kafka_TopicCollection_t);

impl Topics {
    fn new(names: &[CString]) -> Self {
        let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: so many valid names, each ending in NUL; librdkafka copies them.
        Self(unsafe {
            sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len())
        })
    }
}

impl Drop for Topics {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_TopicCollection_of_topic_names`, destroyed once.
        unsafe { sys::rd_kafka_TopicCollection_destroy(self.0) }
    }
}

/// The answer.
struct Event(*mut sys::rd_kafka_event_t);

impl Event {
    fn wait(queue: &Queue, timeout_ms: i32) -> Option<Self> {
        // SAFETY: the queue is valid.
        let event = unsafe { sys::rd_kafka_queue_poll(queue.raw(), timeout_ms) };
        (!event.is_null()).then_some(Self(event))
    }

    fn error(&self) -> Result<(), (sys::rd_kafka_resp_err_t, String)> {
        // SAFETY: the event is valid; its text is its own and ends in NUL.
        unsafe {
            let code = sys::rd_kafka_event_error(self.0);
            if code == NO_ERROR {
                Ok(())
            } else {
                Err((code, text(sys::rd_kafka_event_error_string(self.0))))
            }
        }
    }

    fn ids(&self) -> Result<BTreeMap<String, String>, String> {
        let mut found = BTreeMap::new();
        let mut count = 0;
        // SAFETY: the result, its topics and their ids belong to the event, which outlives this function; the
        // list has `count` elements; names end in NUL.
        unsafe {
            let result = sys::rd_kafka_event_DescribeTopics_result(self.0);
            if result.is_null() {
                return Err("the answer is of another kind".to_owned());
            }
            let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            for index in 0..count {
                let topic = *topics.add(index);
                let name = text(sys::rd_kafka_TopicDescription_name(topic));
                match sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(topic)) {
                    NO_ERROR => {
                        found.insert(name, id(sys::rd_kafka_TopicDescription_topic_id(topic)));
                    }
                    sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART => {}
                    code => return Err(format!("{name}: {}", text(sys::rd_kafka_err2str(code)))),
                }
            }
        }
        Ok(found)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: taken from a queue by us, destroyed once.
        unsafe { sys::rd_kafka_event_destroy(self.0) }
    }
}

/// SAFETY: `id` must be valid or null.
unsafe fn id(id: *const sys::rd_kafka_Uuid_t) -> String {
    // SAFETY: as the caller promises; the text belongs to the id.
    unsafe {
        let unset = id.is_null()
            || (sys::rd_kafka_Uuid_most_significant_bits(id) == 0
                && sys::rd_kafka_Uuid_least_significant_bits(id) == 0);
        if unset {
            NO_ID.to_owned()
        } else {
            text(sys::rd_kafka_Uuid_base64str(id))
        }
    }
}

/// SAFETY: `start` must be null or end in NUL.
unsafe fn text(start: *const c_char) -> String {
    if start.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(start) }
        .to_string_lossy()
        .into_owned()
}
