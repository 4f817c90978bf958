//! Topics: those that are read, and those that are written.

use serde::Deserialize;

use farol_events::Kind;

use super::Span;

/// An input topic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Its name on Kafka.
    pub name: String,
    /// What its records say.
    pub kind: TopicKind,
    /// How its records are written.
    #[serde(default)]
    pub format: Format,
    /// Partitions to create it with.
    #[serde(default = "one_partition")]
    pub partitions: i32,
    /// How long Kafka keeps its records when it is created here; `None` is the broker's default.
    #[serde(default)]
    pub retention: Option<Span>,
}

fn one_partition() -> i32 {
    1
}

impl Topic {
    pub(super) fn new(name: &str, kind: TopicKind, partitions: i32) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            format: Format::Json,
            partitions,
            retention: None,
        }
    }

    /// The kind of event, where this version reads the topic.
    pub fn readable(&self) -> Option<Kind> {
        self.kind
            .event_kind()
            .filter(|_| self.format == Format::Json)
    }
}

/// What a topic's records say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicKind {
    /// Operations of applications.
    Trace,
    /// What people say about answers.
    Feedback,
    /// Spend.
    Cost,
    /// Scores.
    Evaluation,
    /// OpenTelemetry spans.
    OtlpSpans,
    /// OpenTelemetry log records.
    OtlpLogs,
}

impl TopicKind {
    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Feedback => "feedback",
            Self::Cost => "cost",
            Self::Evaluation => "evaluation",
            Self::OtlpSpans => "otlp_spans",
            Self::OtlpLogs => "otlp_logs",
        }
    }

    /// The kind of event, where a record is one event.
    pub fn event_kind(self) -> Option<Kind> {
        match self {
            Self::Trace => Some(Kind::Trace),
            Self::Feedback => Some(Kind::Feedback),
            Self::Cost => Some(Kind::Cost),
            Self::Evaluation => Some(Kind::Evaluation),
            Self::OtlpSpans | Self::OtlpLogs => None,
        }
    }
}

/// How a topic's records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One flat JSON object a record.
    #[default]
    Json,
    /// Avro, with a schema registry's prefix.
    Avro,
    /// Protocol Buffers.
    Protobuf,
    /// An OpenTelemetry export request, marshalled.
    OtlpProto,
    /// An OpenTelemetry export request in JSON.
    OtlpJson,
}

impl Format {
    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Avro => "avro",
            Self::Protobuf => "protobuf",
            Self::OtlpProto => "otlp_proto",
            Self::OtlpJson => "otlp_json",
        }
    }
}

/// The topics to write.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outputs {
    /// Alerts.
    pub alerts: String,
    /// Fine-tuning requests.
    pub fine_tuning: String,
    /// Prompt updates.
    pub prompt_update: String,
    /// Budget actions.
    pub budget: String,
    /// Rollout decisions.
    pub rollout: String,
    /// Routing decisions.
    pub routing: String,
    /// Measures.
    pub metrics: String,
    /// Notifications that reached nobody. Written by the role `notify`, not by the publisher.
    pub notifications_dead_letters: String,
}

impl Default for Outputs {
    fn default() -> Self {
        Self {
            alerts: "llm.alerts".to_owned(),
            fine_tuning: "llm.actions.fine-tuning".to_owned(),
            prompt_update: "llm.actions.prompt-update".to_owned(),
            budget: "llm.actions.budget".to_owned(),
            rollout: "llm.actions.rollout".to_owned(),
            routing: "llm.actions.routing".to_owned(),
            metrics: "llm.metrics".to_owned(),
            notifications_dead_letters: "llm.alerts.notifications.dead-letters".to_owned(),
        }
    }
}

impl Outputs {
    /// Every topic that the publisher writes.
    pub fn topics(&self) -> [&str; 7] {
        [
            &self.alerts,
            &self.fine_tuning,
            &self.prompt_update,
            &self.budget,
            &self.rollout,
            &self.routing,
            &self.metrics,
        ]
    }
}
