//! An alert as the topic says it, cut to what a notification may hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes of a text that are kept: rules, segments' values, comments.
const TEXT_BYTES_MAX: usize = 1_024;

/// Bytes of the reproducing SQL that are kept.
const SQL_BYTES_MAX: usize = 4_096;

/// Sample traces that are named.
const SAMPLES_MAX: usize = 5;

/// Consequences that are named.
pub const CONSEQUENCES_MAX: usize = 50;

/// How bad an alert is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    #[default]
    Info,
    /// To be looked at.
    Warning,
    /// To be looked at now.
    Critical,
}

impl Severity {
    /// The word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Why nobody is to be told of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Muted {
    /// A person silenced it.
    BySilence,
    /// It follows from another alert, which names it.
    ByAlert(String),
}

/// An alert that another one explains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consequence {
    /// Its rule.
    pub rule: String,
    /// Its segment.
    #[serde(default)]
    pub segment: BTreeMap<String, String>,
    /// Its id.
    pub alert_id: String,
}

/// What is known of an alert at one transition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Rule and segment, hashed: the same for as long as the rule and the segment are.
    pub alert_id: String,
    /// This transition.
    pub action_id: String,
    /// The kind of message: `alert`.
    pub kind: String,
    /// The rule.
    pub rule: String,
    /// What it is about. A value that is absent is left out.
    pub segment: BTreeMap<String, String>,
    /// How bad it is, or was.
    pub severity: Severity,
    /// `ok`, `warning`, `alert`, `no_data` or `recovered`.
    pub state: String,
    /// The state before.
    pub previous_state: String,
    /// Why it is said: `changed`, `renotified`, `withdrawn`, …
    pub cause: String,
    /// Since when the state holds, RFC 3339.
    pub since: String,
    /// The window, RFC 3339.
    pub window_start: String,
    /// The window's end, RFC 3339.
    pub window_end: String,
    /// The measure that was compared.
    pub measure: Option<String>,
    /// Its value.
    pub value: Option<Value>,
    /// What it was compared with.
    pub threshold: Option<Value>,
    /// What is usual.
    pub baseline: Option<Value>,
    /// SQL that shows it.
    pub sql: Option<String>,
    /// Trace ids of the window.
    pub samples: Vec<String>,
    /// Where a person reads what to do.
    pub runbook: Option<String>,
    /// What went wrong, in its own words.
    pub error: Option<String>,
    /// Events that the alert stands for, where its rule is on single events.
    pub count: Option<u64>,
    /// Who acknowledged it.
    pub acknowledged_by: Option<String>,
    /// How often it was escalated.
    pub escalation: u32,
    /// Alerts that this one explains.
    pub consequences: Vec<Consequence>,
    /// Further ones, which are not named.
    pub consequences_unnamed: usize,
}

/// A record of the alert topic.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRecord {
    /// The alert.
    pub alert: Alert,
    /// Why nobody is to be told, if so.
    pub muted: Option<Muted>,
}

impl Alert {
    /// Whether something is wrong at present.
    pub fn is_active(&self) -> bool {
        matches!(self.state.as_str(), "warning" | "alert" | "no_data")
    }

    /// Without what is long: enough to name it.
    pub(crate) fn slim(mut self) -> Self {
        self.sql = None;
        self.samples = Vec::new();
        self.consequences_unnamed += std::mem::take(&mut self.consequences).len();
        self
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let segment: usize = self
            .segment
            .iter()
            .map(|(name, value)| name.len() + value.len() + 64)
            .sum();
        let consequences = self.consequences.len() * 256;
        let texts = [&self.sql, &self.runbook, &self.error];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        512 + segment + consequences + texts + self.samples.len() * 64
    }
}

/// Reads a message of the topic.
///
/// # Errors
/// What is not there or not as it should be.
pub fn parse(bytes: &[u8]) -> Result<AlertRecord, String> {
    let message: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("it is not JSON: {error}"))?;
    let payload = &message["payload"];
    let evidence = &message["evidence"];
    let severity = match message["severity"].as_str() {
        Some("critical") => Severity::Critical,
        Some("warning") => Severity::Warning,
        Some("info") => Severity::Info,
        other => return Err(format!("severity is {other:?}")),
    };
    let alert = Alert {
        alert_id: required(payload, "alert_id")?,
        action_id: required(&message, "action_id")?,
        kind: text(&message["kind"]).unwrap_or_else(|| "alert".to_owned()),
        rule: required(&message, "rule")?,
        segment: segment(&message["segment"]),
        severity,
        state: required(payload, "state")?,
        previous_state: text(&payload["previous_state"]).unwrap_or_default(),
        cause: text(&payload["cause"]).unwrap_or_else(|| "changed".to_owned()),
        since: text(&payload["since"]).unwrap_or_default(),
        window_start: text(&message["window_start"]).unwrap_or_default(),
        window_end: text(&message["window_end"]).unwrap_or_default(),
        measure: text(&evidence["measure"]),
        value: scalar(&evidence["value"]),
        threshold: scalar(&evidence["threshold"]),
        baseline: scalar(&evidence["baseline"]),
        sql: evidence["sql"].as_str().map(|sql| cut(sql, SQL_BYTES_MAX)),
        samples: list(&evidence["samples"])
            .iter()
            .filter_map(text)
            .take(SAMPLES_MAX)
            .collect(),
        runbook: text(&message["runbook"]),
        error: text(&payload["error"]),
        count: payload["count"].as_u64(),
        acknowledged_by: acknowledged(&payload["acknowledged"]),
        escalation: payload["escalation"]
            .as_u64()
            .map_or(0, |level| u32::try_from(level).unwrap_or(u32::MAX)),
        consequences: list(&payload["consequences"])
            .iter()
            .filter_map(consequence)
            .take(CONSEQUENCES_MAX)
            .collect(),
        consequences_unnamed: list(&payload["consequences"])
            .len()
            .saturating_sub(CONSEQUENCES_MAX),
    };
    Ok(AlertRecord {
        alert,
        muted: muted(&payload["muted"])?,
    })
}

fn muted(value: &Value) -> Result<Option<Muted>, String> {
    match (value, value["by"].as_str()) {
        (Value::Null, _) => Ok(None),
        (_, Some("rule")) => Ok(Some(Muted::ByAlert(required(value, "alert_id")?))),
        (_, Some(_)) => Ok(Some(Muted::BySilence)),
        (_, None) => Err("payload.muted does not say by what".to_owned()),
    }
}

fn acknowledged(value: &Value) -> Option<String> {
    if value.is_null() {
        return None;
    }
    Some(text(&value["by"]).unwrap_or_else(|| "somebody".to_owned()))
}

fn consequence(value: &Value) -> Option<Consequence> {
    Some(Consequence {
        rule: text(&value["rule"])?,
        segment: segment(&value["segment"]),
        alert_id: text(&value["alert_id"])?,
    })
}

/// A segment's values as text, in the order of their names.
fn segment(value: &Value) -> BTreeMap<String, String> {
    let Value::Object(entries) = value else {
        return BTreeMap::new();
    };
    entries
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A number or a short text; anything else is unknown.
fn scalar(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        Value::String(text) => Some(Value::String(cut(text, TEXT_BYTES_MAX))),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(cut(text, TEXT_BYTES_MAX)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(word) => Some(word.to_string()),
        _ => None,
    }
}

fn required(value: &Value, name: &str) -> Result<String, String> {
    text(&value[name]).ok_or_else(|| format!("it has no {name}"))
}

/// At most so many bytes of a text, whole characters, with a sign where it was cut.
pub(crate) fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes_max.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..end])
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A message as the publisher writes it.
    pub fn message(rule: &str, service: &str, state: &str, severity: &str) -> Value {
        let previous = if state == "recovered" { "alert" } else { "ok" };
        json!({
            "action_id": format!("{rule}-{service}-{state}"),
            "kind": "alert",
            "rule": rule,
            "segment": {"service": service, "model": null},
            "window_start": "2026-03-01T10:00:00Z",
            "window_end": "2026-03-01T10:01:00Z",
            "revision": 0,
            "severity": severity,
            "evidence": {"measure": "error_rate", "value": 0.4, "threshold": 0.2, "baseline": null,
                         "samples": ["t1", "t2"], "sql": "SELECT 1", "tables": {"performance": 7}},
            "runbook": "https://runbooks.example/errors",
            "payload": {"alert_id": format!("{rule}/{service}"), "state": state, "previous_state": previous,
                        "since": "2026-03-01T10:00:00Z", "cause": "changed", "error": null, "finding": null},
        })
    }

    pub fn record(rule: &str, service: &str, state: &str, severity: &str) -> AlertRecord {
        parse(
            message(rule, service, state, severity)
                .to_string()
                .as_bytes(),
        )
        .unwrap()
    }

    #[test]
    fn a_message_is_read() {
        let AlertRecord { alert, muted } = record("errors", "shop", "alert", "critical");
        assert_eq!(muted, None);
        assert_eq!(
            (alert.rule.as_str(), alert.severity),
            ("errors", Severity::Critical)
        );
        assert_eq!(
            alert.segment,
            BTreeMap::from([("service".to_owned(), "shop".to_owned())])
        );
        assert_eq!(alert.value, Some(json!(0.4)));
        assert_eq!(alert.baseline, None);
        assert!(alert.is_active());
    }

    #[test]
    fn what_was_added_is_read() {
        let mut message = message("errors", "shop", "alert", "critical");
        message["payload"]["muted"] = json!({"by": "rule", "rule": "outage", "alert_id": "root"});
        message["payload"]["acknowledged"] = json!({"by": "ana", "comment": "on it"});
        message["payload"]["escalation"] = json!(2);
        message["payload"]["count"] = json!(31);
        message["payload"]["consequences"] =
            json!([{"rule": "latency", "segment": {"service": "shop"}, "alert_id": "a"}]);
        let AlertRecord { alert, muted } = parse(message.to_string().as_bytes()).unwrap();
        assert_eq!(muted, Some(Muted::ByAlert("root".to_owned())));
        assert_eq!(alert.acknowledged_by.as_deref(), Some("ana"));
        assert_eq!((alert.escalation, alert.count), (2, Some(31)));
        assert_eq!(alert.consequences[0].rule, "latency");
    }

    #[test]
    fn what_is_no_alert_is_refused() {
        assert!(parse(b"no").unwrap_err().contains("not JSON"));
        let mut without = message("errors", "shop", "alert", "critical");
        without["payload"]["alert_id"] = Value::Null;
        assert_eq!(
            parse(without.to_string().as_bytes()).unwrap_err(),
            "it has no alert_id"
        );
        let bad = message("errors", "shop", "alert", "terrible").to_string();
        assert!(parse(bad.as_bytes()).unwrap_err().contains("terrible"));
    }

    #[test]
    fn texts_are_cut_at_whole_characters() {
        assert_eq!(cut("short", 8), "short");
        assert_eq!(cut("ééééé", 8), "éé…");
    }
}
