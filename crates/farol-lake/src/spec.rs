//! What a table is made of: its columns, partitioning and Delta properties.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use farol_events::{Kind, dead_letter_schema, table_schema};

use crate::file::log_statistics_columns;
use crate::joined::Joined;

/// The table of what triggers decided.
pub const ACTIONS: &str = "actions";

/// The table of what detectors found.
pub const FINDINGS: &str = "findings";

/// The table of silences: when operators want no notification of which alerts.
pub const SILENCES: &str = "silences";

/// The table of what operators said of alerts: that they see to one, or that it is over.
pub const ACKNOWLEDGEMENTS: &str = "acknowledgements";

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

/// Makes a column's type.
type MakeType = fn() -> DataType;

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

    /// What triggers decided, in the order in which it is published: the publisher's outbox.
    ///
    /// `sequence` counts the rows without a gap; `body` is the message as it is published, the other columns
    /// are there to be asked for. `segment` is a JSON object.
    pub fn actions() -> Self {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let time = |name| {
            let kind = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            Field::new(name, kind, true)
        };
        let count = |name| Field::new(name, DataType::Int64, true);
        let fields = vec![
            count("sequence"),
            text("action_id"),
            text("kind"),
            text("rule"),
            text("segment"),
            text("alert_id"),
            time("window_start"),
            time("window_end"),
            count("revision"),
            text("cause"),
            text("state"),
            text("previous_state"),
            time("since"),
            text("severity"),
            text("body"),
        ];
        Self {
            schema: Arc::new(Schema::new(fields)),
            partition_columns: Vec::new(),
            description: "What triggers decided, each once; the publisher sends it to Kafka"
                .to_owned(),
        }
    }

    /// What detectors found: incidents, each a row when it is noticed and another when it is over. The highest `revision` of
    /// a `finding_id` counts.
    pub fn findings() -> Self {
        let field = |name: &str, kind: &DataType| Field::new(name, kind.clone(), true);
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let (text, count, number) = (DataType::Utf8, DataType::Int64, DataType::Float64);
        let fields = [
            ("sequence", &count),
            ("finding_id", &text),
            ("revision", &count),
            ("state", &text),
            ("detector", &text),
            ("method", &text),
            ("job", &text),
            ("measure", &text),
            ("direction", &text),
            ("segment", &text),
            ("since", &time),
            ("window_start", &time),
            ("window_end", &time),
            ("noticed_at", &time),
            ("ended_at", &time),
            ("statistic", &text),
            ("statistic_value", &number),
            ("threshold", &number),
            ("p_value", &number),
            ("observed", &number),
            ("reference", &number),
            ("effect", &number),
            ("effect_low", &number),
            ("effect_high", &number),
            ("reference_start", &time),
            ("reference_end", &time),
            ("observations", &count),
            ("root_causes", &text),
            ("samples", &text),
            ("sql", &text),
            ("tables", &text),
        ];
        let fields = fields.map(|(name, kind)| field(name, kind));
        Self {
            schema: Arc::new(Schema::new(fields.to_vec())),
            partition_columns: Vec::new(),
            description:
                "What detectors found: a row when an incident is noticed, another when it is over"
                    .to_owned(),
        }
    }

    /// When operators want no notification of which alerts. The highest `revision` of a `silence_id` counts: a silence
    /// that is ended early has a second row. `matchers` is a JSON object.
    pub fn silences() -> Self {
        Self::of_operators(
            &[
                ("silence_id", Self::TEXT),
                ("revision", Self::COUNT),
                ("matchers", Self::TEXT),
                ("starts_at", Self::TIME),
                ("ends_at", Self::TIME),
                ("comment", Self::TEXT),
                ("written_by", Self::TEXT),
                ("written_at", Self::TIME),
            ],
            "When operators want no notification of which alerts",
        )
    }

    /// What operators said of alerts: that they see to one, or that it is over.
    pub fn acknowledgements() -> Self {
        Self::of_operators(
            &[
                ("acknowledgement_id", Self::TEXT),
                ("alert_id", Self::TEXT),
                ("kind", Self::TEXT),
                ("window_start", Self::TIME),
                ("comment", Self::TEXT),
                ("written_by", Self::TEXT),
                ("written_at", Self::TIME),
            ],
            "What operators said of alerts: acknowledged, or resolved by hand",
        )
    }

    const TEXT: MakeType = || DataType::Utf8;
    const COUNT: MakeType = || DataType::Int64;
    const TIME: MakeType = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));

    fn of_operators(columns: &[(&str, MakeType)], description: &str) -> Self {
        let fields: Vec<_> = columns
            .iter()
            .map(|(name, kind)| Field::new(*name, kind(), true))
            .collect();
        Self {
            schema: Arc::new(Schema::new(fields)),
            partition_columns: Vec::new(),
            description: description.to_owned(),
        }
    }

    /// The table of that name, if Farol has one.
    pub fn known(name: &str) -> Option<Self> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.table() == name);
        kind.map(Self::raw)
            .or_else(|| (name == "dead_letters").then(Self::dead_letters))
            .or_else(|| (name == ACTIONS).then(Self::actions))
            .or_else(|| (name == FINDINGS).then(Self::findings))
            .or_else(|| (name == SILENCES).then(Self::silences))
            .or_else(|| (name == ACKNOWLEDGEMENTS).then(Self::acknowledgements))
            .or_else(|| {
                let joined = Joined::ALL
                    .into_iter()
                    .find(|joined| joined.table() == name);
                joined.map(Joined::spec)
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
