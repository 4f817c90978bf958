//! The section `notify` of the configuration: receivers, and the routes to them.
//!
//! ```text
//!  farol.yaml ──▶ [`Settings`] ──▶ check ──▶ [`Plan`]: routes with compiled templates and checked targets
//! ```

mod check;
mod receiver;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::alert::Severity;

pub use check::{Plan, PlannedReceiver, PlannedRoute};
pub use receiver::{
    EmailSettings, Encryption, PagerDutySettings, ReceiverSettings, SlackSettings, TeamsSettings,
    WebhookSettings,
};

/// Who is told of what.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Receivers by name.
    pub receivers: BTreeMap<String, ReceiverSettings>,
    /// Routes. An alert goes to every route that takes it.
    pub routes: Vec<RouteSettings>,
    /// Whether receivers may be on loopback, private and link-local addresses, and be reached over plain HTTP.
    pub allow_private_targets: bool,
}

/// A route: which alerts, how grouped and when, to which receiver.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// Its name, which its progress is kept under.
    pub name: String,
    /// The receiver's name.
    pub receiver: String,
    /// Which alerts it takes; all of them without.
    #[serde(default, rename = "match")]
    pub filter: Filter,
    /// What alerts of one group have in common: `rule`, `severity`, `kind`, `alert_id`, or segments. An empty list is
    /// one group.
    #[serde(default = "by_rule")]
    pub group_by: Vec<String>,
    /// How long a group's first notification waits for others of the group.
    #[serde(default = "group_wait", deserialize_with = "duration")]
    pub group_wait: Duration,
    /// How long a group that was told of waits until it is told of again.
    #[serde(default = "group_interval", deserialize_with = "duration")]
    pub group_interval: Duration,
    /// Groups at once; the alerts of further ones share one group.
    #[serde(default = "max_groups")]
    pub max_groups: usize,
    /// Alerts that a notification names; the others are counted.
    #[serde(default = "max_named")]
    pub max_named: usize,
    /// Hours in which it waits.
    #[serde(default)]
    pub quiet_hours: Option<QuietHoursSettings>,
    /// So many notifications in so long.
    #[serde(default)]
    pub rate_limit: RateLimitSettings,
    /// The terms of trying again.
    #[serde(default)]
    pub retry: RetrySettings,
}

/// Which alerts a route takes: those for which every line holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Rules by name; `provider-*` stands for all that begin so. Empty: all.
    pub rules: Vec<String>,
    /// At least this severity.
    pub severity: Severity,
    /// For each segment, the values it may have.
    pub segment: BTreeMap<String, Vec<String>>,
    /// Kinds of message. Empty: all.
    pub kinds: Vec<String>,
}

/// Hours in which a route waits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHoursSettings {
    /// When they begin, `HH:MM`.
    pub from: String,
    /// When they end, `HH:MM`; before `from`, on the next day.
    pub to: String,
    /// The days on which they begin (`mon` to `sun`); none: every day.
    #[serde(default)]
    pub days: Vec<String>,
    /// A name of the IANA database.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// From this severity on, alerts do not wait.
    #[serde(default = "critical")]
    pub except: Severity,
}

/// So many notifications in any span of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitSettings {
    /// How many.
    pub count: u32,
    /// In how long.
    #[serde(deserialize_with = "duration")]
    pub per: Duration,
}

impl Default for RateLimitSettings {
    fn default() -> Self {
        Self {
            count: 30,
            per: Duration::from_hours(1),
        }
    }
}

/// The terms of trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySettings {
    /// Pause after the first failure; doubled with each.
    #[serde(deserialize_with = "duration")]
    pub first: Duration,
    /// The longest pause.
    #[serde(deserialize_with = "duration")]
    pub longest: Duration,
    /// Attempts at the most.
    pub attempts: u32,
    /// How old a notification may get before it is a dead letter.
    #[serde(deserialize_with = "duration")]
    pub age: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_mins(5),
            attempts: 100,
            age: Duration::from_hours(6),
        }
    }
}

fn by_rule() -> Vec<String> {
    vec!["rule".to_owned()]
}

fn group_wait() -> Duration {
    Duration::from_secs(30)
}

fn group_interval() -> Duration {
    Duration::from_mins(5)
}

fn max_groups() -> usize {
    100
}

fn max_named() -> usize {
    20
}

fn utc() -> String {
    "UTC".to_owned()
}

fn critical() -> Severity {
    Severity::Critical
}

/// A length of time as operators write it: `500ms`, `30s`, `1h30m`.
pub(crate) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        serde::de::Error::custom(format!(
            "`{text}` is not a duration ({error}): write whole numbers with units, such as 500ms or 1h30m"
        ))
    })
}
