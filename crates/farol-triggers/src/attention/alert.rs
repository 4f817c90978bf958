//! One alert, as its messages leave it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::action::Action;
use crate::lifecycle::State;
use crate::rule::Severity;

/// An alert: a rule and a segment, and what was last said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its id.
    pub alert_id: String,
    /// The rule.
    pub rule: String,
    /// The segment, as the `actions` table has it.
    pub segment_text: String,
    /// The segment.
    pub segment: Map<String, Value>,
    /// The window of the last message, in microseconds.
    pub window_us: i64,
    /// That window's end.
    pub end_us: i64,
    /// The state, as it was told.
    pub state: State,
    /// How bad it is, as it was told.
    pub severity: Severity,
    /// The start of the state's first window.
    pub since_us: i64,
    /// What mutes it, if anything.
    pub muted: Option<Value>,
    /// Who sees to it, if anybody does.
    pub acknowledged: Option<Value>,
    /// How often it was escalated since it opened.
    pub escalation: usize,
    /// The window at which it opened.
    pub opened_us: i64,
    /// The end of the first window at which people were to be notified, since it opened.
    pub told_us: Option<i64>,
    /// The last message.
    pub body: String,
    /// Of each window that anything was said of the highest revision.
    pub(super) revisions: BTreeMap<i64, i64>,
    /// Of each window with a transition: its end, and whether the alert fires from then on.
    pub(super) firing: BTreeMap<i64, (i64, bool)>,
    /// The acknowledgements that were told.
    pub(super) used: BTreeSet<String>,
}

/// Whether an alert in this state is one that people should know of.
pub fn is_open(state: State) -> bool {
    state.fires() || state == State::NoData
}

impl Alert {
    /// An alert of which nothing was said yet.
    pub(super) fn new(action: &Action) -> Self {
        Self {
            alert_id: action.alert_id.clone(),
            rule: action.rule.clone(),
            segment_text: action.segment.clone(),
            segment: serde_json::from_str(&action.segment).unwrap_or_default(),
            window_us: action.window_us,
            end_us: action.window_end_us,
            state: State::Ok,
            severity: action.transition.severity,
            since_us: action.transition.since_us,
            muted: None,
            acknowledged: None,
            escalation: 0,
            opened_us: action.window_us,
            told_us: None,
            body: String::new(),
            revisions: BTreeMap::new(),
            firing: BTreeMap::new(),
            used: BTreeSet::new(),
        }
    }

    /// Whether it is one that people should know of.
    pub fn is_open(&self) -> bool {
        is_open(self.state)
    }

    /// The width of its windows.
    pub(super) fn width_us(&self) -> i64 {
        self.end_us.saturating_sub(self.window_us).max(1)
    }

    /// Whether it fires at a time, by the transitions that are known.
    pub(super) fn fires_at(&self, time_us: i64) -> bool {
        let mut newest_first = self.firing.values().rev();
        let at = newest_first.find(|(end_us, _)| *end_us <= time_us);
        at.is_some_and(|(_, fires)| *fires)
    }

    /// Takes over a transition, and nothing else of a message.
    pub(super) fn note_transition(&mut self, action: &Action) {
        if action.transition.cause.is_of_lifecycle() {
            let at = (action.window_end_us, action.transition.state.fires());
            self.firing.insert(action.window_us, at);
        }
    }

    /// Takes over a message. Messages come in the order of their sequence.
    pub(super) fn take(&mut self, action: &Action) {
        self.note_transition(action);
        let body: Value = serde_json::from_str(&action.body).unwrap_or_default();
        let payload = &body["payload"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let was_open = self.is_open();
        self.window_us = action.window_us;
        self.end_us = action.window_end_us;
        self.state = State::parse(&text(&payload["state"])).unwrap_or(action.transition.state);
        self.severity =
            Severity::parse(&text(&body["severity"])).unwrap_or(action.transition.severity);
        self.since_us = action.transition.since_us;
        let present = |value: &Value| (!value.is_null()).then(|| value.clone());
        self.muted = present(&payload["muted"]);
        self.acknowledged = present(&payload["acknowledged"]);
        self.escalation = payload["escalation"].as_u64().unwrap_or(0) as usize;
        let is_open = self.is_open();
        if is_open && !was_open {
            self.opened_us = action.window_us;
            self.told_us = None;
        }
        self.opened_us = self.opened_us.min(action.window_us);
        if is_open && self.muted.is_none() {
            let end_us = action.window_end_us;
            self.told_us = Some(self.told_us.map_or(end_us, |told_us| told_us.min(end_us)));
        }
        for said in [&payload["acknowledged"], &payload["resolved"]] {
            if let Some(id) = said["acknowledgement_id"].as_str() {
                self.used.insert(id.to_owned());
            }
        }
        let revision = self.revisions.entry(action.window_us).or_insert(0);
        *revision = action.revision.max(*revision);
        self.body.clone_from(&action.body);
    }
}
