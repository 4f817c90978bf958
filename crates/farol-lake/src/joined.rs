//! The tables of what is said about calls, joined with the call that it is about.
//!
//! ```text
//! feedback ────┐                       ┌──▶ feedback_joined      (a row for each that found its call)
//! evaluations ─┴── about an operation ─┤
//! traces ──────────────────────────────┴──▶ evaluations_joined
//! ```
//!
//! A row is the feedback or evaluation as it came, and what the call says of its segment. Its `event_time` is the call's,
//! so that it counts in the window of the answer that it is about, however late it was given.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use farol_events::{Kind, table_schema};

use crate::spec::TableSpec;

/// The columns of a call that a joined row has: the name there, and in `traces`.
pub const CALL_COLUMNS: [(&str, &str); 14] = [
    ("trace_time", "event_time"),
    ("service", "service"),
    ("environment", "environment"),
    ("operation", "operation"),
    ("task", "task"),
    ("provider", "provider"),
    ("model", "model"),
    ("prompt_id", "prompt_id"),
    ("prompt_version", "prompt_version"),
    ("trace_tags", "tags"),
    ("trace_event_id", "event_id"),
    ("trace_span_id", "span_id"),
    ("trace_session_id", "session_id"),
    ("trace_user_id", "user_id"),
];

/// What a row is known by in every table: where it was read from.
pub const PLACE: [&str; 4] = [
    "kafka_topic",
    "kafka_partition",
    "kafka_offset",
    "kafka_entry",
];

/// A joined table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Joined {
    /// What people and their behaviour say.
    Feedback,
    /// What judges say.
    Evaluations,
}

impl Joined {
    /// Every joined table.
    pub const ALL: [Self; 2] = [Self::Feedback, Self::Evaluations];

    /// The kind of event that is joined with traces.
    pub fn kind(self) -> Kind {
        match self {
            Self::Feedback => Kind::Feedback,
            Self::Evaluations => Kind::Evaluation,
        }
    }

    /// The table's name.
    pub fn table(self) -> &'static str {
        match self {
            Self::Feedback => "feedback_joined",
            Self::Evaluations => "evaluations_joined",
        }
    }

    /// The view of what has not found its call.
    pub fn unmatched(self) -> &'static str {
        match self {
            Self::Feedback => "feedback_unmatched",
            Self::Evaluations => "evaluations_unmatched",
        }
    }

    /// The column of when it was given, since `event_time` is the call's.
    pub fn own_time(self) -> &'static str {
        match self {
            Self::Feedback => "feedback_time",
            Self::Evaluations => "evaluation_time",
        }
    }

    /// The column that says what it is: two of one event that differ in it are two.
    pub fn what(self) -> &'static str {
        match self {
            Self::Feedback => "kind",
            Self::Evaluations => "name",
        }
    }

    /// The table that is to be.
    pub fn spec(self) -> TableSpec {
        let traces = table_schema(Kind::Trace);
        let of_call = CALL_COLUMNS.iter().map(|(name, column)| {
            let found = traces.field_with_name(column);
            let data_type = found.map_or(DataType::Null, |field| field.data_type().clone());
            Field::new(*name, data_type, true)
        });
        let own = table_schema(self.kind());
        let origin = own.index_of("event_date").unwrap_or(own.fields().len());
        let (event, origin) = own.fields().split_at(origin);
        let mut fields = Vec::new();
        for field in event {
            fields.push(field.as_ref().clone());
            if field.name() == "event_time" {
                fields.push(Field::new(self.own_time(), field.data_type().clone(), true));
            }
        }
        fields.extend(of_call);
        fields.extend(origin.iter().map(|field| field.as_ref().clone()));
        TableSpec {
            schema: Arc::new(Schema::new(fields)),
            partition_columns: vec!["event_date".to_owned()],
            description: format!(
                "Each of {}, once, with the call that it is about; event_time is the call's, {} its own",
                self.kind().table(),
                self.own_time()
            ),
        }
    }

    /// The statement that makes the view of what has not found its call. A repetition of what has is left out.
    pub(crate) fn unmatched_view(self) -> String {
        let (own, joined, what) = (self.kind().table(), self.table(), self.what());
        let same_place = PLACE.map(|column| format!("own.{column} = joined.{column}"));
        format!(
            "CREATE OR REPLACE VIEW {} AS SELECT own.* FROM {own} own \
             LEFT ANTI JOIN {joined} joined ON {} \
             LEFT ANTI JOIN {joined} repeated ON own.event_id = repeated.event_id AND own.event_id <> '' \
             AND (own.{what} IS NOT DISTINCT FROM repeated.{what}) \
             AND (own.trace_id = repeated.trace_id \
             OR (coalesce(own.trace_id, '') = '' AND own.response_id = repeated.response_id))",
            self.unmatched(),
            same_place.join(" AND "),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_all_of_its_event_and_the_segments_of_its_call() {
        for joined in Joined::ALL {
            let spec = joined.spec();
            let of = |name: &str| {
                spec.schema
                    .field_with_name(name)
                    .unwrap()
                    .data_type()
                    .clone()
            };
            for field in table_schema(joined.kind()).fields() {
                assert_eq!(of(field.name()), *field.data_type(), "{}", field.name());
            }
            assert_eq!(of(joined.own_time()), of("event_time"));
            assert_eq!(of("trace_tags"), of("tags"));
            let names: std::collections::BTreeSet<_> = spec
                .schema
                .fields()
                .iter()
                .map(|field| field.name())
                .collect();
            assert_eq!(
                names.len(),
                spec.schema.fields().len(),
                "no name is there twice"
            );
            assert!(of(joined.what()) == DataType::Utf8 && of("service") == DataType::Utf8);
            assert_eq!(
                TableSpec::known(joined.table()).unwrap().schema,
                spec.schema
            );
        }
    }
}
