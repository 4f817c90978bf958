//! The one table of what events hold. Arrow schemas, the decoder, the published schema files and
//! the documentation are all derived from it or held against it by tests.

use crate::Kind;

/// One field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, on the wire and in the table.
    pub name: &'static str,
    /// How it is read and stored.
    pub field_type: FieldType,
    /// Whether an event can do without it.
    pub requirement: Requirement,
    /// What it means, in one sentence.
    pub doc: &'static str,
    /// The values with a meaning of their own, where there are such. Others are stored as well.
    pub known_values: &'static [&'static str],
}

/// Whether an event can do without a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Without it, or with an invalid value, the event is refused.
    Required,
    /// At least one field of those marked so must be there, and not empty.
    Identity,
    /// Null where it is absent; null, with a note in `attributes`, where it is invalid.
    Optional,
}

/// How a field is read from the wire and stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// A string; a JSON number is taken as its text.
    Text,
    /// An instant, in microseconds UTC: RFC 3339 text, or an integer epoch.
    Time,
    /// A signed integer of 64 bits.
    Integer,
    /// A binary floating-point number of 64 bits.
    Double,
    /// A decimal(38,12), from a JSON number or from text, never through binary floating point.
    Money,
    /// An object whose values are texts.
    TextMap,
    /// An object whose values are numbers.
    DoubleMap,
    /// An array of texts.
    TextList,
    /// A JSON object, kept as its text.
    Json,
    /// An array of retrieved documents: see [`FieldType::members`].
    Retrieved,
    /// An array of candidate answers: see [`FieldType::members`].
    Candidates,
    /// An array of guardrail verdicts: see [`FieldType::members`].
    Guardrails,
}

/// One member of the objects in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, on the wire and in the table.
    pub name: &'static str,
    /// How it is read and stored: a text or a double.
    pub field_type: FieldType,
    /// What it means, in one sentence.
    pub doc: &'static str,
}

impl FieldType {
    /// The members of the objects in an array of this type; empty for every other type.
    pub const fn members(self) -> &'static [Member] {
        match self {
            Self::Retrieved => RETRIEVED,
            Self::Candidates => CANDIDATES,
            Self::Guardrails => GUARDRAILS,
            _ => &[],
        }
    }
}

/// The fields of a kind of event, in the order in which they are documented and stored.
pub const fn fields(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::Trace => TRACE,
        Kind::Feedback => FEEDBACK,
        Kind::Cost => COST,
        Kind::Evaluation => EVALUATION,
    }
}

const fn optional(name: &'static str, field_type: FieldType, doc: &'static str) -> Field {
    Field {
        name,
        field_type,
        requirement: Requirement::Optional,
        doc,
        known_values: &[],
    }
}

const fn identity(name: &'static str, doc: &'static str) -> Field {
    Field {
        requirement: Requirement::Identity,
        ..optional(name, FieldType::Text, doc)
    }
}

const fn required(name: &'static str, field_type: FieldType, doc: &'static str) -> Field {
    Field {
        requirement: Requirement::Required,
        ..optional(name, field_type, doc)
    }
}

const fn one_of(
    name: &'static str,
    known_values: &'static [&'static str],
    doc: &'static str,
) -> Field {
    Field {
        known_values,
        ..optional(name, FieldType::Text, doc)
    }
}

const fn member(name: &'static str, field_type: FieldType, doc: &'static str) -> Member {
    Member {
        name,
        field_type,
        doc,
    }
}

const EVENT_ID: Field = identity(
    "event_id",
    "The event's own id, unique within its service; retries repeat it.",
);
const TRACE_ID: Field = identity("trace_id", "The trace that the event belongs to.");
const TAGS: Field = optional(
    "tags",
    FieldType::TextMap,
    "Free labels to segment by. Numbers and booleans are taken as their text.",
);
const ATTRIBUTES: Field = optional(
    "attributes",
    FieldType::Json,
    "Anything else, as a JSON object. Farol adds the fields it does not know, and under \
     invalid_fields those whose value it could not take.",
);

#[rustfmt::skip]
const TRACE: &[Field] = &[
    EVENT_ID,
    required("event_time", FieldType::Time, "When the operation ended."),
    optional("start_time", FieldType::Time, "When the operation began."),
    TRACE_ID,
    optional("span_id", FieldType::Text, "The operation's id within its trace."),
    optional("parent_span_id", FieldType::Text, "The span that this operation is a part of."),
    optional("response_id", FieldType::Text, "The provider's id of the answer."),
    optional("session_id", FieldType::Text, "The conversation or visit."),
    optional("user_id", FieldType::Text, "The person or account, as the application names it."),
    optional("service", FieldType::Text, "The application or component."),
    optional("environment", FieldType::Text, "Where it runs: production, staging."),
    TAGS,
    optional("name", FieldType::Text, "What the application calls the operation."),
    one_of("operation",
        &["chat", "text_completion", "embeddings", "retrieval", "execute_tool", "invoke_agent", "chain", "guardrail", "cache"],
        "The kind of operation."),
    optional("tool_name", FieldType::Text, "The tool that was executed."),
    optional("agent_name", FieldType::Text, "The agent that was invoked or that acts."),
    optional("task", FieldType::Text, "What the call is for: answer, summarise, classify."),
    optional("provider", FieldType::Text, "Who serves the model."),
    optional("request_model", FieldType::Text, "The model that was asked for."),
    optional("response_model", FieldType::Text, "The model that answered."),
    optional("service_tier", FieldType::Text, "The provider's tier that served the call."),
    optional("prompt_id", FieldType::Text, "The prompt template."),
    optional("prompt_version", FieldType::Text, "The version of the prompt template."),
    optional("prompt_variables", FieldType::Json, "What the template was filled with, as a JSON object."),
    optional("system", FieldType::Text, "The system instructions."),
    optional("input", FieldType::Text, "What was asked."),
    optional("output", FieldType::Text, "What was answered."),
    optional("input_tokens", FieldType::Integer, "Tokens read, cached ones included."),
    optional("output_tokens", FieldType::Integer, "Tokens written, reasoning included."),
    optional("cache_read_tokens", FieldType::Integer, "Input tokens that the provider's cache served."),
    optional("cache_write_tokens", FieldType::Integer, "Input tokens written to the provider's cache."),
    optional("reasoning_tokens", FieldType::Integer, "Output tokens spent on reasoning."),
    optional("latency_ms", FieldType::Double, "From start to end, in milliseconds."),
    optional("time_to_first_token_ms", FieldType::Double, "From start to the first token, in milliseconds."),
    one_of("status", &["ok", "error", "timeout", "rate_limited", "blocked"], "How it ended."),
    optional("error_type", FieldType::Text, "The class of the error."),
    optional("error_message", FieldType::Text, "The error's message."),
    optional("retries", FieldType::Integer, "Attempts beyond the first."),
    optional("fallback_from", FieldType::Text, "The model that failed before this one was asked."),
    optional("finish_reason", FieldType::Text, "Why the model stopped."),
    optional("temperature", FieldType::Double, "The sampling temperature that was asked for."),
    one_of("cache", &["none", "exact", "semantic"], "The application's own cache: how it answered."),
    optional("cache_similarity", FieldType::Double, "How close a semantic cache's entry was, 0 to 1."),
    optional("retrieved", FieldType::Retrieved, "The documents retrieved, best first."),
    optional("citations", FieldType::TextList, "The ids of the documents that the answer cites."),
    optional("candidates", FieldType::Candidates, "Answers by other models to the same input."),
    optional("guardrails", FieldType::Guardrails, "What the guardrails said."),
    optional("scores", FieldType::DoubleMap, "Scores that the application gave, by name."),
    optional("cost", FieldType::Money, "What the application says it paid."),
    optional("currency", FieldType::Text, "The currency of cost, as an ISO 4217 code."),
    ATTRIBUTES,
];

#[rustfmt::skip]
const FEEDBACK: &[Field] = &[
    EVENT_ID,
    required("event_time", FieldType::Time, "When it was given or happened."),
    TRACE_ID,
    optional("span_id", FieldType::Text, "The operation within the trace that it is about."),
    identity("response_id", "The provider's id of the answer that it is about."),
    optional("session_id", FieldType::Text, "The conversation or visit."),
    optional("user_id", FieldType::Text, "The person or account, as the application names it."),
    one_of("kind",
        &["thumbs", "rating", "comment", "correction", "dwell_ms", "copy", "follow_up", "abandonment", "task_completed", "conversion"],
        "What is said or was done."),
    optional("value", FieldType::Double, "How much: -1 or 1 for thumbs, 1 to 5 for a rating, milliseconds for dwell_ms."),
    optional("text", FieldType::Text, "The comment, or the answer as it should have been."),
    TAGS,
    ATTRIBUTES,
];

#[rustfmt::skip]
const COST: &[Field] = &[
    EVENT_ID,
    required("event_time", FieldType::Time, "When it was spent or invoiced."),
    identity("trace_id", "The trace that it was spent on, if it was one."),
    optional("provider", FieldType::Text, "Who charges."),
    optional("model", FieldType::Text, "The model that was used."),
    optional("service", FieldType::Text, "The application or component that spent it."),
    optional("environment", FieldType::Text, "Where it runs: production, staging."),
    TAGS,
    optional("unit", FieldType::Text, "What is counted: tokens, requests, GPU hours."),
    optional("quantity", FieldType::Money, "How many units, exactly."),
    optional("amount", FieldType::Money, "What it costs."),
    optional("currency", FieldType::Text, "The currency of amount, as an ISO 4217 code."),
    one_of("source", &["usage", "invoice", "adjustment"], "Who says so."),
    ATTRIBUTES,
];

#[rustfmt::skip]
const EVALUATION: &[Field] = &[
    EVENT_ID,
    required("event_time", FieldType::Time, "When it was judged."),
    TRACE_ID,
    optional("span_id", FieldType::Text, "The operation within the trace that was judged."),
    identity("response_id", "The provider's id of the answer that was judged."),
    optional("name", FieldType::Text, "What was judged: groundedness, relevance, toxicity."),
    optional("score", FieldType::Double, "The score."),
    optional("label", FieldType::Text, "The verdict in a word."),
    optional("explanation", FieldType::Text, "Why."),
    one_of("evaluator", &["human", "llm", "code"], "Who judged."),
    TAGS,
    ATTRIBUTES,
];

const RETRIEVED: &[Member] = &[
    member("id", FieldType::Text, "The document's id."),
    member("score", FieldType::Double, "How well it matched."),
    member("text", FieldType::Text, "The passage."),
];

const CANDIDATES: &[Member] = &[
    member(
        "model",
        FieldType::Text,
        "The model that was asked as well.",
    ),
    member("output", FieldType::Text, "What it answered."),
];

const GUARDRAILS: &[Member] = &[
    member("name", FieldType::Text, "The guardrail."),
    member(
        "stage",
        FieldType::Text,
        "What it looked at: input, output.",
    ),
    member(
        "action",
        FieldType::Text,
        "What it did: allow, redact, block.",
    ),
    member("severity", FieldType::Text, "How bad it found it."),
    member("score", FieldType::Double, "How sure it was."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_snake_case() {
        for kind in Kind::ALL {
            let mut seen = std::collections::HashSet::new();
            for field in fields(kind) {
                assert!(
                    seen.insert(field.name),
                    "{kind}.{} is there twice",
                    field.name
                );
                assert!(
                    field
                        .name
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b == b'_')
                );
            }
        }
    }

    #[test]
    fn identities_are_those_of_the_kind() {
        for kind in Kind::ALL {
            let marked: Vec<_> = fields(kind)
                .iter()
                .filter(|field| field.requirement == Requirement::Identity)
                .map(|field| field.name)
                .collect();
            assert_eq!(marked, kind.identity(), "{kind}");
        }
    }

    #[test]
    fn only_the_time_is_required_and_attributes_come_last() {
        for kind in Kind::ALL {
            let required: Vec<_> = fields(kind)
                .iter()
                .filter(|field| field.requirement == Requirement::Required)
                .map(|field| field.name)
                .collect();
            assert_eq!(required, ["event_time"], "{kind}");
            assert_eq!(
                fields(kind).last().map(|field| field.name),
                Some("attributes")
            );
        }
    }
}
