//! The configuration's types. A default here is the default everywhere.

mod ingest;
mod server;
mod topics;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::error::ConfigError;
use super::units::{ByteSize, Span};

pub use ingest::Ingest;
pub use server::Server;
pub use topics::{Format, Outputs, Topic, TopicKind};

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the tables are.
    pub lake: Lake,
    /// Jobs, detectors and triggers of the user's own.
    pub pipelines: Pipelines,
    /// How to reach Kafka.
    pub kafka: Kafka,
    /// The topics to read.
    pub topics: Vec<Topic>,
    /// The topics to write.
    pub outputs: Outputs,
    /// Bounds of ingest.
    pub ingest: Ingest,
    /// Bounds of the measures.
    pub jobs: Jobs,
    /// Bounds of the triggers.
    pub triggers: Triggers,
    /// Who is told of alerts.
    pub notify: farol_notify::Settings,
    /// Addresses to serve at.
    pub server: Server,
    /// How long rows are kept.
    pub retention: Retention,
    /// How tables are kept in shape.
    pub maintenance: Maintenance,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lake: Lake::default(),
            pipelines: Pipelines::default(),
            kafka: Kafka::default(),
            topics: vec![
                Topic::new("llm.traces", TopicKind::Trace, 4),
                Topic::new("llm.feedback", TopicKind::Feedback, 4),
                Topic::new("llm.costs", TopicKind::Cost, 1),
                Topic::new("llm.evaluations", TopicKind::Evaluation, 1),
            ],
            outputs: Outputs::default(),
            ingest: Ingest::default(),
            jobs: Jobs::default(),
            triggers: Triggers::default(),
            notify: farol_notify::Settings::default(),
            server: Server::default(),
            retention: Retention::default(),
            maintenance: Maintenance::default(),
        }
    }
}

impl Config {
    /// Checks what types alone cannot.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |message: String| Err(ConfigError::new(message, None));
        let mut names = std::collections::BTreeSet::new();
        for topic in &self.topics {
            if topic.name.is_empty() {
                return refuse("topics: a topic's name is empty".to_owned());
            }
            if !names.insert(&topic.name) {
                return refuse(format!("topics: `{}` is listed twice", topic.name));
            }
            if topic.partitions < 1 {
                return refuse(format!(
                    "topics: `{}` needs at least one partition",
                    topic.name
                ));
            }
        }
        let ingest = &self.ingest;
        for (key, size) in [
            ("ingest.max_batch_bytes", ingest.max_batch_bytes),
            ("ingest.memory", ingest.memory),
            ("ingest.max_record_bytes", ingest.max_record_bytes),
            ("ingest.dedup.memory", ingest.dedup.memory),
            (
                "maintenance.target_file_bytes",
                self.maintenance.target_file_bytes,
            ),
        ] {
            if size.0 == 0 {
                return refuse(format!("{key} must be more than nothing"));
            }
        }
        for (key, span) in [
            ("ingest.flush_interval", ingest.flush_interval),
            ("ingest.idle_timeout", ingest.idle_timeout),
            ("jobs.interval", self.jobs.interval),
            ("maintenance.interval", self.maintenance.interval),
        ] {
            if span.0.is_zero() {
                return refuse(format!("{key} must be more than nothing"));
            }
        }
        if let Err(wrong) = self.server.validate() {
            return refuse(wrong);
        }
        if self.jobs.max_series == 0 {
            return refuse("jobs.max_series must be more than nothing".to_owned());
        }
        Ok(())
    }
}

/// Where the tables are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lake {
    /// A path or an object store's URL; `None` is `lake` below `--dir`.
    pub uri: Option<String>,
    /// The object store's own options, as `object_store` names them.
    pub storage_options: BTreeMap<String, String>,
}

/// Jobs, detectors and triggers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pipelines {
    /// Where the user's own are.
    pub dir: PathBuf,
    /// Whether those that Farol ships are used.
    pub builtin: bool,
}

impl Default for Pipelines {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("./pipelines"),
            builtin: true,
        }
    }
}

/// How to reach Kafka.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    /// Bootstrap servers; `None` is the embedded broker.
    pub brokers: Option<String>,
    /// The embedded broker's address.
    pub embedded: SocketAddr,
    /// The consumer group.
    pub group: String,
    /// Any property of librdkafka.
    pub properties: BTreeMap<String, String>,
}

// Properties hold passwords: only their names may be printed.
impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kafka")
            .field("brokers", &self.brokers)
            .field("embedded", &self.embedded)
            .field("group", &self.group)
            .field("properties", &self.properties.keys())
            .finish()
    }
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            brokers: None,
            embedded: loopback(9092),
            group: "farol".to_owned(),
            properties: BTreeMap::new(),
        }
    }
}

/// Bounds of the measures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jobs {
    /// How often jobs look for new rows.
    pub interval: Span,
    /// The time zone of days, weeks, months and years.
    pub time_zone: farol_jobs::TimeZone,
    /// Segments of one job at the most.
    pub max_series: u64,
    /// The tags that stand for the word `tags` among a job's segments.
    pub tags: farol_jobs::Tags,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            interval: seconds(2),
            time_zone: farol_jobs::TimeZone::UTC,
            max_series: 100_000,
            tags: farol_jobs::Tags::default(),
        }
    }
}

/// Bounds of the triggers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Triggers {
    /// Older windows are history.
    pub max_age: Span,
}

impl Default for Triggers {
    fn default() -> Self {
        Self {
            max_age: seconds(3_600),
        }
    }
}

/// How long rows are kept; `None` is for ever.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Traces.
    pub traces: Option<Span>,
    /// Feedback.
    pub feedback: Option<Span>,
    /// Dead letters.
    pub dead_letters: Option<Span>,
    /// Input, output and retrieved texts.
    pub text: Option<Span>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            traces: None,
            feedback: None,
            dead_letters: Some(seconds(30 * 86_400)),
            text: None,
        }
    }
}

/// How tables are kept in shape.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Maintenance {
    /// How often tables are looked at.
    pub interval: Span,
    /// The size compaction aims at.
    pub target_file_bytes: ByteSize,
    /// The age from which files no version needs are deleted.
    pub vacuum_after: Span,
}

impl Default for Maintenance {
    fn default() -> Self {
        Self {
            interval: seconds(300),
            target_file_bytes: ByteSize(256 << 20),
            vacuum_after: seconds(86_400),
        }
    }
}

fn seconds(seconds: u64) -> Span {
    Span(Duration::from_secs(seconds))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
