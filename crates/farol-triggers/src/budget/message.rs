//! What was decided of a budget as a row of the `actions` table, which holds the message; and back.
//!
//! The id is a hash of (budget, scope, currency, period, what is said, revision). The record's key is the budget and its
//! scope for the state, so that compaction keeps the last one; a threshold's has the period and the threshold too, a
//! statement's the period.

use farol_jobs::identity;
use farol_jobs::segment::{Segment, quoted_name, quoted_text};
use farol_jobs::time::rfc3339;
use serde_json::{Map, Value, json};

use super::definition::{Budget, Enforcement, Threshold};
use super::ledger::{Decision, Said};
use super::money::Money;
use super::period::Span;
use super::standing::{Standing, Status};
use crate::action::Action;
use crate::error::TriggerError;
use crate::lifecycle::{Cause, State, Transition};
use crate::rule::Severity;

/// The kind of action.
pub const BUDGET: &str = "budget";

/// What a gateway does where there is nothing to do.
const NONE: &str = "none";

/// What a decision was made of.
pub(crate) struct Grounds<'a> {
    /// How far event time was.
    pub as_of_us: i64,
    /// The tables that were read, and their versions.
    pub tables: &'a [(String, i64)],
    /// How bad it was before, where that was told.
    pub previous: Option<Status>,
}

/// Makes the row of a decision. Its place in the order is the caller's to give.
pub(crate) fn action(budget: &Budget, decision: &Decision, grounds: &Grounds<'_>) -> Action {
    let span = decision.span;
    let scope = budget.scope_json(&decision.segment);
    let (what, threshold, standing) = match &decision.said {
        Said::Threshold {
            threshold,
            standing,
            ..
        } => ("threshold", Some(*threshold), standing),
        Said::State(standing) => ("state", None, standing),
        Said::Statement(standing) => ("statement", None, standing),
    };
    let transition = transition(decision, grounds.previous);
    let mut payload = Map::new();
    let mut set = |name: &str, value: Value| payload.insert(name.to_owned(), value);
    set("type", json!(what));
    set("budget", json!(budget.name));
    set("scope", scope.clone());
    set("period", json!(budget.period_name));
    set("period_start", json!(rfc3339(span.start_us)));
    set("period_end", json!(rfc3339(span.end_us)));
    set("time_zone", json!(budget.time_zone.to_string()));
    set("limit", json!(standing.limit.to_string()));
    set("currency", json!(budget.currency));
    set("used", json!(standing.used.to_string()));
    set("used_percent", percent(standing.basis_points()));
    set("status", json!(standing.status().as_str()));
    set("thresholds", thresholds(standing));
    let enforced = standing.enforcement().map_or(NONE, Enforcement::as_str);
    set("enforce", json!(enforced));
    set("as_of", json!(rfc3339(grounds.as_of_us)));
    if let Some(threshold) = threshold {
        let withdrawn = transition.cause == Cause::Withdrawn;
        set("threshold_percent", json!(threshold.percent));
        set("action", json!(threshold.action.as_str()));
        set(
            "state",
            json!(if withdrawn { "withdrawn" } else { "crossed" }),
        );
    }
    let evidence = json!({
        "measure": "cost",
        "value": standing.used.to_string(),
        "threshold": threshold.map(|threshold| amount_of(threshold, standing.limit).to_string()),
        "baseline": null,
        "samples": [],
        "sql": sql(budget, &decision.segment, span),
        "tables": tables(grounds.tables),
    });
    let row = Row {
        budget: &budget.name,
        currency: &budget.currency,
        scope,
        span,
        revision: decision.revision,
        what,
        threshold,
        transition,
    };
    row.action(&evidence, &Value::Object(payload))
}

/// The row that says that a budget is no more: its last state, with nothing to enforce.
pub(crate) fn removal(last: &Told, budget: &str, scope: &str) -> Action {
    let mut payload = last.payload.clone();
    payload["status"] = json!(Status::Removed.as_str());
    payload["enforce"] = json!(NONE);
    let evidence = json!({
        "measure": "cost", "value": payload["used"], "threshold": null, "baseline": null,
        "samples": [], "sql": null, "tables": {},
    });
    let row = Row {
        budget,
        currency: &last.currency,
        scope: serde_json::from_str(scope).unwrap_or_default(),
        span: last.span,
        revision: last.revision + 1,
        what: "state",
        threshold: None,
        transition: Transition {
            cause: Cause::Changed,
            state: State::Ok,
            previous: last.payload["status"]
                .as_str()
                .and_then(Status::parse)
                .map_or(State::Ok, state_of),
            severity: Severity::Info,
            since_us: last.span.start_us,
        },
    };
    row.action(&evidence, &payload)
}

/// A row without its message.
struct Row<'a> {
    budget: &'a str,
    currency: &'a str,
    scope: Value,
    span: Span,
    revision: i64,
    what: &'static str,
    threshold: Option<Threshold>,
    transition: Transition,
}

impl Row<'_> {
    fn action(self, evidence: &Value, payload: &Value) -> Action {
        let scope = self.scope.to_string();
        let [start, end] = [self.span.start_us, self.span.end_us].map(rfc3339);
        let mut key = json!({"budget": self.budget, "scope": self.scope});
        if self.what != "state" {
            key["period_start"] = json!(start);
            key["period_end"] = json!(end);
        }
        let mut said = self.what.to_owned();
        if let Some(Threshold { percent, action }) = self.threshold {
            key["threshold_percent"] = json!(percent);
            key["action"] = json!(action.as_str());
            let cause = self.transition.cause.as_str();
            said = format!("{said}:{percent}:{}:{cause}", action.as_str());
        }
        let revision = self.revision.to_string();
        let action_id = identity::of_parts(&[
            self.budget,
            &scope,
            self.currency,
            &start,
            &end,
            &said,
            &revision,
        ]);
        let body = json!({
            "action_id": action_id,
            "kind": BUDGET,
            "rule": self.budget,
            "segment": self.scope,
            "window_start": start,
            "window_end": end,
            "revision": self.revision,
            "severity": self.transition.severity.as_str(),
            "evidence": evidence,
            "runbook": null,
            "payload": payload,
        });
        Action {
            sequence: 0,
            action_id,
            kind: BUDGET.to_owned(),
            rule: self.budget.to_owned(),
            segment: scope,
            alert_id: key.to_string(),
            window_us: self.span.start_us,
            window_end_us: self.span.end_us,
            revision: self.revision,
            transition: self.transition,
            body: body.to_string(),
        }
    }
}

/// A decision in the columns that the table has for alerts.
fn transition(decision: &Decision, previous: Option<Status>) -> Transition {
    let (cause, state, previous, severity) = match &decision.said {
        Said::Threshold {
            threshold,
            withdrawn,
            ..
        } => {
            let severity = severity_of(threshold.action);
            let firing = State::firing(severity);
            if *withdrawn {
                (Cause::Withdrawn, State::Ok, firing, severity)
            } else {
                (Cause::Changed, firing, State::Ok, severity)
            }
        }
        Said::State(standing) | Said::Statement(standing) => {
            let state = state_of(standing.status());
            let crossed = standing.thresholds.iter().filter(|(_, crossed)| *crossed);
            let severity = crossed.map(|(threshold, _)| severity_of(threshold.action));
            (
                Cause::Changed,
                state,
                previous.map_or(state, state_of),
                severity.max().unwrap_or(Severity::Info),
            )
        }
    };
    Transition {
        cause,
        state,
        previous,
        severity,
        since_us: decision.span.start_us,
    }
}

/// How bad a budget is, in the words that the table has for alerts.
fn state_of(status: Status) -> State {
    match status {
        Status::Ok | Status::Removed => State::Ok,
        Status::Warning => State::Warning,
        Status::Exhausted => State::Alert,
    }
}

fn severity_of(action: Enforcement) -> Severity {
    match action {
        Enforcement::NotifyTeam => Severity::Info,
        Enforcement::NotifyFinance | Enforcement::SwitchToCheaperModel => Severity::Warning,
        Enforcement::BlockRequests => Severity::Critical,
    }
}

/// The amount at which a threshold is reached.
pub fn amount_of(threshold: Threshold, limit: Money) -> Money {
    let hundredfold = limit.0.saturating_mul(i128::from(threshold.percent));
    Money(hundredfold / 100 + i128::from(hundredfold % 100 != 0))
}

/// Hundredths of a per cent as a number of per cent.
fn percent(basis_points: i64) -> Value {
    json!(basis_points as f64 / 100.0)
}

fn thresholds(standing: &Standing) -> Value {
    let told = standing.thresholds.iter().map(|(threshold, crossed)| {
        json!({"percent": threshold.percent, "action": threshold.action.as_str(), "crossed": crossed})
    });
    Value::Array(told.collect())
}

fn tables(tables: &[(String, i64)]) -> Value {
    let pairs = tables.iter();
    Value::Object(
        pairs
            .map(|(name, version)| (name.clone(), json!(version)))
            .collect(),
    )
}

/// The query that gives what was spent in a period.
pub fn sql(budget: &Budget, segment: &Segment, span: Span) -> String {
    let mut conditions = format!(
        "window_start >= TIMESTAMP '{}' AND window_start < TIMESTAMP '{}' AND currency = {}",
        rfc3339(span.start_us),
        rfc3339(span.end_us),
        quoted_text(&budget.currency),
    );
    for (name, value) in &budget.scope {
        let (name, value) = (quoted_name(name), quoted_text(value));
        conditions.extend([" AND ", &name, " = ", &value]);
    }
    conditions.push_str(&segment.to_sql(&budget.by_names()));
    let parts = budget.source.reads().iter().map(|(job, partials)| {
        let sums = partials
            .iter()
            .map(|partial| format!("coalesce(sum({partial}), 0)"));
        let sums = sums.collect::<Vec<_>>().join(" + ");
        format!("(SELECT {sums} FROM {job} WHERE {conditions})")
    });
    format!("SELECT {} AS value", parts.collect::<Vec<_>>().join(" + "))
}

/// What a row of the table says of a budget.
pub(crate) struct Told {
    pub span: Span,
    pub revision: i64,
    pub currency: String,
    /// `None`: that the budget is no more.
    pub said: Option<Said>,
    pub is_state: bool,
    pub payload: Value,
}

/// Reads a row of the table.
pub(crate) fn told(action: &Action) -> Result<Told, TriggerError> {
    let unknown =
        |what: &str| TriggerError::Actions(format!("action {} has {what}", action.action_id));
    let body: Value =
        serde_json::from_str(&action.body).map_err(|error| unknown(&error.to_string()))?;
    let payload = &body["payload"];
    let text = |name: &str| {
        let text = payload[name].as_str();
        text.ok_or_else(|| unknown(&format!("no `{name}`")))
    };
    let money = |name: &str| {
        text(name)?
            .parse::<Money>()
            .map_err(|error| unknown(&error))
    };
    let mut thresholds = Vec::new();
    for one in payload["thresholds"].as_array().into_iter().flatten() {
        let threshold = threshold_of(&one["percent"], &one["action"]);
        let threshold = threshold.ok_or_else(|| unknown("a threshold that is not known"))?;
        thresholds.push((threshold, one["crossed"] == json!(true)));
    }
    let standing = Standing {
        limit: money("limit")?,
        used: money("used")?,
        thresholds,
    };
    let what = text("type")?;
    let said = match what {
        "threshold" => {
            let threshold = threshold_of(&payload["threshold_percent"], &payload["action"]);
            Some(Said::Threshold {
                threshold: threshold.ok_or_else(|| unknown("a threshold that is not known"))?,
                withdrawn: action.transition.cause == Cause::Withdrawn,
                standing,
            })
        }
        "state" if text("status")? == Status::Removed.as_str() => None,
        "state" => Some(Said::State(standing)),
        "statement" => Some(Said::Statement(standing)),
        other => return Err(unknown(&format!("the type `{other}`"))),
    };
    Ok(Told {
        span: Span {
            start_us: action.window_us,
            end_us: action.window_end_us,
        },
        revision: action.revision,
        currency: text("currency")?.to_owned(),
        said,
        is_state: what == "state",
        payload: payload.clone(),
    })
}

fn threshold_of(percent: &Value, action: &Value) -> Option<Threshold> {
    Some(Threshold {
        percent: u32::try_from(percent.as_u64()?).ok()?,
        action: Enforcement::parse(action.as_str()?)?,
    })
}

/// The segment that a scope of the table is of a budget; `None` where it is none of its.
pub(crate) fn segment_of(budget: &Budget, scope: &str) -> Option<Segment> {
    let written: Value = serde_json::from_str(scope).ok()?;
    let segment = match &budget.by {
        None => Segment(Vec::new()),
        Some(by) => {
            let place = if budget.tags.contains(by) {
                &written["tags"]
            } else {
                &written
            };
            Segment(vec![match place.get(by)? {
                Value::Null => None,
                value => Some(value.as_str()?.to_owned()),
            }])
        }
    };
    (budget.scope_json(&segment) == written).then_some(segment)
}
