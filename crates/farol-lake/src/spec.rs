//! What a table is made of: its columns, partitioning and Delta properties.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use farol_events::{FieldType, Kind, data_type, dead_letter_schema, table_schema};

use crate::file::log_statistics_columns;

/// A table to be.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// Its columns, the partition columns included.
    pub schema: SchemaRef,
    /// The columns that sort its files into folders.
    pub partition_columns: Vec<String>,
    /// What it holds, in a sentence.
    pub description: String,
}

impl TableSpec {
    /// The primary table of a kind of event.
    pub fn raw(kind: Kind) -> Self {
        Self {
            schema: table_schema(kind),
            partition_columns: vec!["event_date".to_owned()],
            description: format!("Events of kind {kind}, each exactly once"),
        }
    }

    /// The records that could not become rows.
    pub fn dead_letters() -> Self {
        Self {
            schema: dead_letter_schema(),
            partition_columns: vec!["event_date".to_owned()],
            description: "Records that could not become rows, and why".to_owned(),
        }
    }

    /// What was decided: each row is a message, sent or to be sent, in the order of `action_number`.
    pub fn actions() -> Self {
        let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let text = || DataType::Utf8;
        let columns = [
            ("action_number", DataType::Int64),
            ("action_id", text()),
            ("kind", text()),
            ("rule", text()),
            ("segment", data_type(FieldType::TextMap)),
            ("window_start", time()),
            ("window_end", time()),
            ("revision", DataType::Int64),
            ("cause", text()),
            ("state", text()),
            ("previous_state", text()),
            ("since", time()),
            ("severity", text()),
            ("message_key", text()),
            ("body", text()),
        ];
        let fields = columns.map(|(name, data_type)| Field::new(name, data_type, true));
        Self {
            schema: Arc::new(Schema::new(fields.to_vec())),
            partition_columns: Vec::new(),
            description: "What was decided, in order: each row is a message to Kafka".to_owned(),
        }
    }

    /// The table of that name, if Farol has one.
    pub fn known(name: &str) -> Option<Self> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.table() == name);
        kind.map(Self::raw).or_else(|| match name {
            "dead_letters" => Some(Self::dead_letters()),
            "actions" => Some(Self::actions()),
            _ => None,
        })
    }

    /// The table's Delta properties. The log is kept 7 days; application transactions never expire; only
    /// columns that are not prose have statistics in the log, because a minimum is a copy of a text.
    pub(crate) fn properties(&self) -> Vec<(&'static str, String)> {
        let statistics = log_statistics_columns(&self.schema).join(",");
        vec![
            ("delta.logRetentionDuration", "interval 7 days".to_owned()),
            (
                "delta.deletedFileRetentionDuration",
                "interval 1 days".to_owned(),
            ),
            ("delta.checkpointInterval", "100".to_owned()),
            ("delta.dataSkippingStatsColumns", statistics),
        ]
    }
}
