//! The members of one JSON object as text, to look some of them up without touching the others.

use std::{borrow::Cow, fmt};

use farol_events::Kind;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The members of a JSON object, in order, each value as its text.
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl Members<'_> {
    /// Every member, repeated ones too.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_ref(), value.get()))
    }

    /// The value's text. Of members with the same name the last counts, as it does for ingest.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self
            .0
            .iter()
            .rev()
            .find(|(member, _)| member == name)?
            .1
            .get();
        (found != "null").then_some(found)
    }

    /// An id: a non-empty string, or a number taken as its text.
    pub fn id(&self, name: &str) -> Option<String> {
        let text = self.get(name)?;
        if text.starts_with(['{', '[', 't', 'f']) {
            return None;
        }
        let id = if text.starts_with('"') {
            serde_json::from_str(text).ok()?
        } else {
            text.to_owned()
        };
        (!id.is_empty()).then_some(id)
    }

    /// The kind whose own fields the object has: `amount` is only a cost's, `score`, `label` and
    /// `evaluator` only an evaluation's, and `kind` with a word of feedback only a feedback's.
    /// Anything that names a model or an operation is a trace, and so is what nothing tells apart.
    pub fn kind(&self) -> Kind {
        const FEEDBACK: [&str; 10] = [
            "\"thumbs\"",
            "\"rating\"",
            "\"comment\"",
            "\"correction\"",
            "\"dwell_ms\"",
            "\"copy\"",
            "\"follow_up\"",
            "\"abandonment\"",
            "\"task_completed\"",
            "\"conversion\"",
        ];
        let has = |name: &str| self.get(name).is_some();
        if has("operation")
            || has("request_model")
            || has("response_model")
            || has("parent_span_id")
        {
            Kind::Trace
        } else if self
            .get("kind")
            .is_some_and(|kind| FEEDBACK.contains(&kind))
        {
            Kind::Feedback
        } else if has("amount") {
            Kind::Cost
        } else if has("score") || has("label") || has("evaluator") {
            Kind::Evaluation
        } else {
            Kind::Trace
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(32);
                while let Some(entry) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    members.push(entry);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_told_by_its_own_fields() {
        let kind = |text: &str| {
            serde_json::from_str::<Members>(text)
                .expect("an object")
                .kind()
        };
        assert_eq!(kind("{\"kind\":\"thumbs\",\"value\":1}"), Kind::Feedback);
        assert_eq!(kind("{\"kind\":\"client\",\"latency_ms\":1}"), Kind::Trace);
        assert_eq!(kind("{\"amount\":\"0.5\",\"unit\":\"tokens\"}"), Kind::Cost);
        assert_eq!(
            kind("{\"name\":\"relevance\",\"score\":0.5}"),
            Kind::Evaluation
        );
        assert_eq!(kind("{\"operation\":\"chat\",\"score\":0.5}"), Kind::Trace);
        assert_eq!(kind("{\"event_id\":\"e\"}"), Kind::Trace);
    }
}
