//! An event on its way from a file to Kafka: not yet text, so that its times can still be moved.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{error::EmitError, ndjson::Line};
use crate::emit::time::rfc3339;

/// Events of one file or of several, in the order in which they are to be sent.
pub type Events = Box<dyn Iterator<Item = Result<Record, EmitError>> + Send>;

/// One event read or made.
#[derive(Debug)]
pub struct Record {
    /// When the operation ended, microseconds since 1970 UTC. `None`: the input does not say, or
    /// says it in a way that is not understood (which is for ingest to judge, not for us).
    pub event_time_us: Option<i64>,
    /// What the event says.
    pub content: Content,
}

/// Where the event comes from.
#[derive(Debug)]
pub enum Content {
    /// A line of NDJSON.
    Line(Line),
    /// A request of a published workload trace.
    Workload(Box<WorkloadEvent>),
}

impl Record {
    /// The Kafka record key: the trace id, else the event id, so that a retry reaches the same partition.
    pub fn key(&self) -> Option<&str> {
        match &self.content {
            Content::Line(line) => line.key(),
            Content::Workload(event) => Some(&event.event_id),
        }
    }

    /// Where the event comes from, for messages.
    pub fn origin(&self) -> String {
        match &self.content {
            Content::Line(line) => line.origin(),
            Content::Workload(event) => event.event_id.clone(),
        }
    }

    /// Writes the event as JSON, with `event_time_us` in place of its own time where one is given.
    ///
    /// A moved workload event gets `run` appended to its id: it is another event than the one
    /// that keeps its original time.
    pub fn write_json(
        &self,
        event_time_us: Option<i64>,
        run: &str,
        into: &mut Vec<u8>,
    ) -> serde_json::Result<()> {
        into.clear();
        match &self.content {
            Content::Line(line) => line.write_json(self.event_time_us, event_time_us, into),
            Content::Workload(event) => {
                let moved = event_time_us.filter(|moved| Some(*moved) != self.event_time_us);
                let event_id = match moved {
                    Some(_) => Cow::Owned(format!("{}@{run}", event.event_id)),
                    None => Cow::Borrowed(event.event_id.as_str()),
                };
                event.write_json(
                    &event_id,
                    moved.or(self.event_time_us).unwrap_or_default(),
                    into,
                )
            }
        }
    }
}

/// A request of a published workload trace. It has what the trace says and nothing else: what is
/// `None` is absent from the event.
#[derive(Debug)]
pub struct WorkloadEvent {
    /// The same whenever the same line of the same file is emitted.
    pub event_id: String,
    /// Who sent the request, where the trace tells clients apart.
    pub user_id: Option<String>,
    /// The service, from the command line or the file's name.
    pub service: Arc<str>,
    /// The model, where the trace tells models apart.
    pub request_model: Option<Arc<str>>,
    /// Tokens of the prompt.
    pub input_tokens: Option<i64>,
    /// Tokens generated.
    pub output_tokens: Option<i64>,
    /// Tokens generated while reasoning, counted in `output_tokens` too.
    pub reasoning_tokens: Option<i64>,
    /// What the trace says beyond the fields above.
    pub attributes: Option<Box<RawValue>>,
}

impl WorkloadEvent {
    /// An event with nothing but its identity.
    pub fn new(event_id: String, service: Arc<str>) -> Self {
        Self {
            event_id,
            user_id: None,
            service,
            request_model: None,
            input_tokens: None,
            output_tokens: None,
            reasoning_tokens: None,
            attributes: None,
        }
    }

    fn write_json(
        &self,
        event_id: &str,
        event_time_us: i64,
        into: &mut Vec<u8>,
    ) -> serde_json::Result<()> {
        let json = WorkloadJson {
            event_id,
            event_time: &rfc3339(event_time_us),
            user_id: self.user_id.as_deref(),
            service: &self.service,
            // Every request of these traces is a call to a language model that answers.
            operation: "chat",
            request_model: self.request_model.as_deref(),
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            reasoning_tokens: self.reasoning_tokens,
            attributes: self.attributes.as_deref(),
        };
        serde_json::to_writer(into, &json)
    }
}

#[derive(Serialize)]
struct WorkloadJson<'a> {
    event_id: &'a str,
    event_time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    service: &'a str,
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a RawValue>,
}
