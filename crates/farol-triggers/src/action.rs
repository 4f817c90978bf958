//! An action: a message that was decided on, as a row of the `actions` table.
//!
//! The table is the outbox. A row has a number, dense and growing in the order of commits: every commit of actions
//! moves the mark [`NEXT_NUMBER`] by as many rows as it adds, and demands it where it found it. So two processes
//! cannot both add the same, and whoever publishes needs to remember one number.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Int64Array, MapBuilder, MapFieldNames, RecordBatch, StringArray,
    StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use farol_lake::TableSpec;
use xxhash_rust::xxh3::xxh3_128;

/// The table.
pub const TABLE: &str = "actions";

/// The application id of the number that the next action gets.
pub const NEXT_NUMBER: &str = "farol/actions";

/// What kind of action it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActionKind {
    /// Tells operators.
    Alert,
    /// Asks for a fine-tuning.
    FineTuning,
    /// Changes a prompt.
    PromptUpdate,
    /// Says what a budget allows.
    Budget,
    /// Moves a rollout.
    Rollout,
    /// Moves traffic between models.
    Routing,
}

impl ActionKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Alert,
        Self::FineTuning,
        Self::PromptUpdate,
        Self::Budget,
        Self::Rollout,
        Self::Routing,
    ];

    /// The word in messages and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::FineTuning => "fine_tuning",
            Self::PromptUpdate => "prompt_update",
            Self::Budget => "budget",
            Self::Rollout => "rollout",
            Self::Routing => "routing",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A segment's values, by name; `None` is a segment whose value is not known.
pub type SegmentValues = BTreeMap<String, Option<String>>;

/// A message that was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What it is known by: the same decision has the same id.
    pub id: String,
    /// Its kind.
    pub kind: ActionKind,
    /// The rule that decided.
    pub rule: String,
    /// What it is about.
    pub segment: SegmentValues,
    /// The window's start, microseconds since the epoch.
    pub window_start_us: i64,
    /// The window's end.
    pub window_end_us: i64,
    /// How often it was said anew.
    pub revision: i64,
    /// Why it goes out.
    pub cause: String,
    /// The state from this window on.
    pub state: String,
    /// The state before.
    pub previous_state: String,
    /// The start of the state's first window.
    pub since_us: i64,
    /// How bad it is.
    pub severity: String,
    /// The Kafka record's key.
    pub message_key: String,
    /// The message, JSON.
    pub body: String,
}

/// A hash of texts, in hexadecimal. Each text is hashed with its length, so that no two lists read the same.
pub fn identifier(parts: &[&str]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part.as_bytes());
    }
    format!("{:032x}", xxh3_128(&bytes))
}

/// A segment as one text: the same for the same values, and for no others.
pub fn segment_text(segment: &SegmentValues) -> String {
    serde_json::to_string(segment).unwrap_or_default()
}

/// What an alert is known by for as long as it lives: rule and segment.
pub fn alert_id(rule: &str, segment: &SegmentValues) -> String {
    identifier(&["alert", rule, &segment_text(segment)])
}

/// Actions as rows of the table, numbered from `first`.
pub fn rows(actions: &[Action], first: i64) -> Result<RecordBatch, ArrowError> {
    let schema = TableSpec::actions().schema;
    let text = |of: &dyn Fn(&Action) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(actions.iter().map(of)))
    };
    let number = |of: &dyn Fn(&Action) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(actions.iter().map(of)))
    };
    let time = |of: &dyn Fn(&Action) -> i64| -> ArrayRef {
        let times = TimestampMicrosecondArray::from_iter_values(actions.iter().map(of));
        Arc::new(times.with_timezone("UTC"))
    };
    let numbers = Int64Array::from_iter_values((0..actions.len()).map(|at| first + at as i64));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(numbers),
        text(&|action| &action.id),
        text(&|action| action.kind.as_str()),
        text(&|action| &action.rule),
        segments(actions, schema.field_with_name("segment")?.data_type())?,
        time(&|action| action.window_start_us),
        time(&|action| action.window_end_us),
        number(&|action| action.revision),
        text(&|action| &action.cause),
        text(&|action| &action.state),
        text(&|action| &action.previous_state),
        time(&|action| action.since_us),
        text(&|action| &action.severity),
        text(&|action| &action.message_key),
        text(&|action| &action.body),
    ];
    RecordBatch::try_new(schema, columns)
}

fn segments(actions: &[Action], data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let DataType::Map(entries, _) = data_type else {
        return Err(ArrowError::SchemaError("a segment is a map".to_owned()));
    };
    let names = MapFieldNames {
        entry: entries.name().clone(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for action in actions {
        for (name, value) in &action.segment {
            builder.keys().append_value(name);
            builder.values().append_option(value.as_deref());
        }
        builder.append(true)?;
    }
    arrow::compute::cast(&builder.finish(), data_type)
}

/// A column of text, whatever way of holding it the reader chose.
pub(crate) fn text_column(batch: &RecordBatch, name: &str) -> Result<StringArray, ArrowError> {
    let column = column(batch, name)?;
    let column = arrow::compute::cast(column, &DataType::Utf8)?;
    let text = column.as_any().downcast_ref::<StringArray>().cloned();
    text.ok_or_else(|| ArrowError::CastError(format!("`{name}` is not text")))
}

/// A column of whole numbers, or of times in microseconds.
pub(crate) fn number_column(batch: &RecordBatch, name: &str) -> Result<Int64Array, ArrowError> {
    let column = column(batch, name)?;
    let column = arrow::compute::cast(column, &DataType::Int64)?;
    let numbers = column.as_any().downcast_ref::<Int64Array>().cloned();
    numbers.ok_or_else(|| ArrowError::CastError(format!("`{name}` is not a number")))
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ArrowError> {
    let missing = || ArrowError::SchemaError(format!("column `{name}` is missing"));
    batch.column_by_name(name).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(service: Option<&str>) -> Action {
        Action {
            id: "a".to_owned(),
            kind: ActionKind::Alert,
            rule: "r".to_owned(),
            segment: [("service".to_owned(), service.map(str::to_owned))].into(),
            window_start_us: 60_000_000,
            window_end_us: 120_000_000,
            revision: 0,
            cause: "changed".to_owned(),
            state: "alert".to_owned(),
            previous_state: "ok".to_owned(),
            since_us: 60_000_000,
            severity: "critical".to_owned(),
            message_key: "k".to_owned(),
            body: "{}".to_owned(),
        }
    }

    #[test]
    fn rows_have_the_tables_columns_and_dense_numbers() {
        let batch = rows(&[action(Some("checkout")), action(None)], 7).unwrap();
        assert_eq!(batch.schema(), TableSpec::actions().schema);
        let numbers = number_column(&batch, "action_number").unwrap();
        assert_eq!(numbers.values(), &[7, 8]);
        let times = number_column(&batch, "window_end").unwrap();
        assert_eq!(times.value(0), 120_000_000);
        assert_eq!(text_column(&batch, "kind").unwrap().value(1), "alert");
        assert_eq!(rows(&[], 0).unwrap().num_rows(), 0);
    }

    #[test]
    fn an_identifier_is_of_the_list_and_not_of_its_letters() {
        assert_ne!(identifier(&["ab", "c"]), identifier(&["a", "bc"]));
        assert_ne!(identifier(&["a", ""]), identifier(&["a"]));
        assert_eq!(identifier(&["a", "b"]).len(), 32);
        // What is published must not change with a new version of Farol.
        assert_eq!(identifier(&["a", "b"]), "8b9d0f08c2a5f3bd".to_owned() + "x");
    }

    #[test]
    fn a_value_that_is_not_known_is_not_an_empty_one() {
        let none = alert_id("r", &action(None).segment);
        assert_ne!(none, alert_id("r", &action(Some("")).segment));
        assert_ne!(none, alert_id("s", &action(None).segment));
    }

    #[test]
    fn kinds_are_words() {
        for kind in ActionKind::ALL {
            assert_eq!(ActionKind::parse(kind.as_str()), Some(kind));
        }
    }
}
