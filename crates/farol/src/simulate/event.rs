//! Events as they go onto the wire, field for field in the order in which the interface names them.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::emit::time::rfc3339;

/// A time in microseconds since 1970, written in RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub i64);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(self.0))
    }
}

/// Dollars in steps of 10⁻¹², written as a decimal: never through a binary float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Money(pub u64);

impl Money {
    /// The decimal, without trailing zeros.
    pub fn text(self) -> String {
        const STEPS: u64 = 1_000_000_000_000;
        let text = format!("{}.{:012}", self.0 / STEPS, self.0 % STEPS);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

/// A document that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Retrieved {
    pub id: &'static str,
    pub score: f64,
    pub text: &'static str,
}

/// One of several answers that were made to choose from.
#[derive(Clone, Debug, Serialize)]
pub struct Candidate {
    pub model: &'static str,
    pub output: String,
}

/// What a guardrail found.
#[derive(Clone, Debug, Serialize)]
pub struct Guardrail {
    pub name: &'static str,
    pub stage: &'static str,
    pub action: &'static str,
    pub severity: &'static str,
    pub score: f64,
}

/// A span. Empty where the interface's field is absent.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SpanEvent {
    pub event_id: String,
    pub event_time: Time,
    pub start_time: Time,
    pub trace_id: String,
    pub span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    pub service: &'static str,
    pub environment: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<&'static str, String>,
    pub name: String,
    pub operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_model: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_model: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_version: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub prompt_variables: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    pub latency_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_first_token_ms: Option<f64>,
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_similarity: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retrieved: Vec<Retrieved>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub citations: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guardrails: Vec<Guardrail>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<&'static str, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'static str>,
}

/// What a person or their behaviour says about an answer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Feedback {
    pub event_id: String,
    pub event_time: Time,
    pub trace_id: String,
    pub span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<&'static str, String>,
}

/// What a provider says was spent over a while.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cost {
    pub event_id: String,
    pub event_time: Time,
    pub provider: &'static str,
    pub model: &'static str,
    pub service: &'static str,
    pub environment: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<&'static str, String>,
    pub unit: &'static str,
    pub quantity: u64,
    pub amount: Money,
    pub currency: &'static str,
    pub source: &'static str,
}

/// A score that somebody or something gave an answer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Evaluation {
    pub event_id: String,
    pub event_time: Time,
    pub trace_id: String,
    pub span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    pub name: &'static str,
    pub score: f64,
    pub label: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    pub evaluator: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<&'static str, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_decimal() {
        assert_eq!(Money(0).text(), "0");
        assert_eq!(Money(150_000).text(), "0.00000015");
        assert_eq!(Money(12_500_000_000_000).text(), "12.5");
        assert_eq!(
            serde_json::to_string(&Money(1)).expect("a text"),
            "\"0.000000000001\""
        );
    }
}
