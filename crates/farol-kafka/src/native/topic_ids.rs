//! The ids that brokers give topics, which tell a topic that was created again from the old one.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::ptr;
use std::time::Duration;

use rdkafka_sys as sys;

use crate::error::KafkaError;

/// What stands for an id where the broker has none.
pub(crate) const NO_ID: &str = "-";

/// Asks for the ids of topics. A topic that does not exist is left out; one without an id has `-`.
///
/// `client` must be a valid handle for the duration of the call.
pub(crate) fn topic_ids(
    client: *mut sys::rd_kafka_t,
    topics: &[String],
    timeout: Duration,
) -> Result<BTreeMap<String, String>, KafkaError> {
    let names: Vec<CString> = topics
        .iter()
        .filter_map(|topic| CString::new(topic.as_str()).ok())
        .collect();
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: every handle is made here, checked, and destroyed after its last use; the names outlive the call.
    unsafe {
        let queue = sys::rd_kafka_queue_new(client);
        let options = sys::rd_kafka_AdminOptions_new(
            client,
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        );
        let mut text = [0; 256];
        sys::rd_kafka_AdminOptions_set_request_timeout(
            options,
            timeout_ms,
            text.as_mut_ptr(),
            text.len(),
        );
        let collection =
            sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        sys::rd_kafka_DescribeTopics(client, collection, options, queue);
        let event = sys::rd_kafka_queue_poll(queue, timeout_ms);
        let found = if event.is_null() {
            Err("no answer in time".to_owned())
        } else {
            read(event)
        };
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_TopicCollection_destroy(collection);
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_queue_destroy(queue);
        found.map_err(|reason| KafkaError::failed("describe topics", reason))
    }
}

/// SAFETY: `event` must be valid.
unsafe fn read(event: *mut sys::rd_kafka_event_t) -> Result<BTreeMap<String, String>, String> {
    let none = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
    let mut found = BTreeMap::new();
    // SAFETY: what is read belongs to the event, which outlives this function; texts end in NUL.
    unsafe {
        if sys::rd_kafka_event_error(event) != none {
            return Err(text(sys::rd_kafka_event_error_string(event)));
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Err("the answer is of another kind".to_owned());
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        for index in 0..count {
            let topic = *topics.add(index);
            let error = sys::rd_kafka_TopicDescription_error(topic);
            if !error.is_null() && sys::rd_kafka_error_code(error) != none {
                continue;
            }
            let name = text(sys::rd_kafka_TopicDescription_name(topic));
            let id = sys::rd_kafka_TopicDescription_topic_id(topic);
            found.insert(name, id_text(id));
        }
    }
    Ok(found)
}

/// SAFETY: `id` must be valid or null.
unsafe fn id_text(id: *const sys::rd_kafka_Uuid_t) -> String {
    // SAFETY: as the caller promises.
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
unsafe fn text(start: *const std::ffi::c_char) -> String {
    if ptr::eq(start, ptr::null()) {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(start) }
        .to_string_lossy()
        .into_owned()
}
