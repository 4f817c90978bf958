//! An action: its id, and the message as it is published.
//!
//! The id is a hash of (rule, segment, window start, transition, revision). The body is made of the window and of the
//! tables it was read from, never of the clock, and is kept in the `actions` table as it will be published.

use serde_json::{Value, json};

use crate::condition::Compared;
use crate::lifecycle::{Cause, Decided, State, Transition};
use crate::rule::Rule;
use farol_jobs::segment::{Segment, quoted_name, quoted_text, text_list};
use farol_jobs::time::rfc3339;
use farol_jobs::{duration, identity};

/// The kind of action that this version decides.
pub const ALERT: &str = "alert";

/// What supports an action, so that a person can look for themselves.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What was compared.
    pub compared: Compared,
    /// The measure's name.
    pub measure: Option<String>,
    /// Trace ids of the window.
    pub samples: Vec<String>,
    /// The versions of the tables that were read.
    pub tables: Vec<(String, i64)>,
}

/// A row of the `actions` table.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Its place in the order of publication.
    pub sequence: i64,
    /// Its id.
    pub action_id: String,
    /// What it is.
    pub kind: String,
    /// The rule that decided it.
    pub rule: String,
    /// The segment, as a JSON object.
    pub segment: String,
    /// The alert that it is about: rule and segment.
    pub alert_id: String,
    /// The window, in microseconds.
    pub window_us: i64,
    /// The window's end.
    pub window_end_us: i64,
    /// How often this was said anew.
    pub revision: i64,
    /// What happened.
    pub transition: Transition,
    /// The message.
    pub body: String,
}

/// The id of an action: the same decision has the same one.
pub(crate) fn action_id(
    rule: &str,
    segment: &str,
    window_us: i64,
    transition: &Transition,
    revision: i64,
) -> String {
    let Transition {
        cause,
        state,
        previous,
        severity,
        since_us: _,
    } = transition;
    let [cause, previous, state, severity] = [
        cause.as_str(),
        previous.as_str(),
        state.as_str(),
        severity.as_str(),
    ];
    identity::of_parts(&[
        rule,
        segment,
        &window_us.to_string(),
        &format!("{cause}:{previous}>{state}:{severity}"),
        &revision.to_string(),
    ])
}

/// The alert of a rule and a segment.
pub(crate) fn alert_id(rule: &str, segment: &str) -> String {
    identity::of_parts(&[rule, segment])
}

/// What a message says, whoever decided it.
pub(crate) struct Message<'a> {
    /// The rule.
    pub rule: &'a str,
    /// What it is about.
    pub segment: Value,
    /// The width of the window, in microseconds.
    pub width_us: i64,
    /// The decision.
    pub decided: &'a Decided,
    /// What supports it, by the names of the published schema.
    pub evidence: Value,
    /// Where a person reads what to do.
    pub runbook: Option<&'a str>,
    /// What went wrong, in its own words.
    pub error: Option<&'a str>,
    /// What a detector found.
    pub finding: Option<Value>,
    /// How many events it stands for, where it is about single events.
    pub count: Option<u64>,
}

impl Message<'_> {
    /// Makes the row. Its place in the order is the caller's to give.
    pub fn action(self) -> Action {
        let segment_text = self.segment.to_string();
        let alert_id = alert_id(self.rule, &segment_text);
        let window_us = self.decided.window_us;
        let revision = self.decided.revision;
        let Transition {
            cause,
            state,
            previous,
            severity,
            since_us,
        } = self.decided.transition;
        let [cause, previous, state, severity] = [
            cause.as_str(),
            previous.as_str(),
            state.as_str(),
            severity.as_str(),
        ];
        let transition = &self.decided.transition;
        let action_id = action_id(self.rule, &segment_text, window_us, transition, revision);
        let window_end_us = window_us.saturating_add(self.width_us);
        let body = json!({
            "action_id": action_id,
            "kind": ALERT,
            "rule": self.rule,
            "segment": self.segment,
            "window_start": rfc3339(window_us),
            "window_end": rfc3339(window_end_us),
            "revision": revision,
            "severity": severity,
            "evidence": self.evidence,
            "runbook": self.runbook,
            "payload": {
                "alert_id": alert_id,
                "state": state,
                "previous_state": previous,
                "since": rfc3339(since_us),
                "cause": cause,
                "error": self.error,
                "finding": self.finding,
                "muted": null,
                "acknowledged": null,
                "resolved": null,
                "escalation": 0,
                "consequences": [],
                "count": self.count,
            },
        });
        Action {
            sequence: 0,
            action_id,
            kind: ALERT.to_owned(),
            rule: self.rule.to_owned(),
            segment: segment_text,
            alert_id,
            window_us,
            window_end_us,
            revision,
            transition: self.decided.transition,
            body: body.to_string(),
        }
    }
}

impl Evidence {
    /// By the names of the published schema. `sql` gives the value, where there is one.
    pub(crate) fn to_json(&self, sql: Option<&str>) -> Value {
        let tables = self.tables.iter();
        let tables: serde_json::Map<String, Value> = tables
            .map(|(name, version)| (name.clone(), Value::from(*version)))
            .collect();
        json!({
            "measure": self.measure,
            "value": self.compared.value,
            "threshold": self.compared.threshold,
            "baseline": self.compared.baseline,
            "samples": self.samples,
            "sql": sql,
            "tables": tables,
        })
    }
}

/// Makes the row for a rule's decision.
pub fn action(rule: &Rule, segment: &Segment, decided: &Decided, evidence: &Evidence) -> Action {
    let measure = evidence.measure.as_ref();
    let sql = measure.map(|measure| measure_sql(rule, segment, decided.window_us, measure));
    let message = Message {
        rule: &rule.name,
        segment: segment.to_json(&rule.by),
        width_us: rule.window_us,
        decided,
        evidence: evidence.to_json(sql.as_deref()),
        runbook: rule.runbook.as_deref(),
        error: None,
        finding: None,
        count: None,
    };
    message.action()
}

/// The query that gives a measure's value in a window.
pub fn measure_sql(rule: &Rule, segment: &Segment, window_us: i64, measure: &str) -> String {
    let segments = text_list(rule.by.iter());
    format!(
        "SELECT {} AS value FROM measures({}, {}{segments}) WHERE window_start = TIMESTAMP '{}'{}",
        quoted_name(measure),
        quoted_text(&rule.job),
        quoted_text(&duration::words(rule.window_us)),
        rfc3339(window_us),
        segment.to_sql(&rule.by),
    )
}

/// Whether the window's rows can have samples to show.
pub(crate) fn has_samples(transition: &Transition) -> bool {
    transition.state != State::NoData || transition.cause == Cause::Withdrawn
}
