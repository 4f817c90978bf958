//! The layer: what is decided is annotated, and alerts are said again where what matters to people changes.
//!
//! A message about a window is annotated by what holds at the window's end. Between two transitions of an alert, what can
//! change is looked up where it can: where a silence begins or ends, where an alert of a rule that mutes it has a
//! transition, where an escalation is due, where an operator spoke. So the same windows give the same messages, however
//! many of them one step sees.
//!
//! Alerts that no windows lead to (rules on findings, failing jobs) have no grid: they are looked at as of the time that the
//! lake's measures have come to, and what is said again is said of their last window, with a higher revision.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::acknowledgement::Said;
use super::alert::{Alert, is_open};
use super::notes::Notes;
use crate::action::{ALERT, Action, action_id};
use crate::lifecycle::{Cause, State, Transition};
use crate::rule::{Attention, Severity};

/// The most alerts that a message names as the consequences of its own.
const CONSEQUENCES_MAX: usize = 100;

/// Every alert that anything was ever published of.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    all: BTreeMap<String, Alert>,
    by_rule: BTreeMap<String, BTreeSet<String>>,
    open: BTreeSet<String>,
}

impl Alerts {
    /// Takes over a message that was published. Messages come in the order of their sequence.
    pub fn take(&mut self, action: &Action) {
        if action.kind != ALERT {
            return;
        }
        let id = &action.alert_id;
        let known = self.all.entry(id.clone());
        let alert = known.or_insert_with(|| Alert::new(action));
        alert.take(action);
        if alert.is_open() {
            self.open.insert(id.clone());
        } else {
            self.open.remove(id);
        }
        let of_rule = self.by_rule.entry(action.rule.clone()).or_default();
        of_rule.insert(id.clone());
    }

    /// Every alert, by id.
    pub fn into_all(self) -> BTreeMap<String, Alert> {
        self.all
    }
}

/// What the layer goes by, beside alerts.
pub(crate) struct Terms<'a> {
    /// What rules say, by their names.
    pub settings: &'a BTreeMap<String, Attention>,
    /// What operators say.
    pub notes: &'a Notes,
    /// The end of the windows that were evaluated, of each rule that has windows.
    pub closed_us: &'a BTreeMap<String, Option<i64>>,
}

/// Annotates what was decided, in its order, and adds what is to be said again.
pub(crate) fn attend(alerts: &Alerts, terms: &Terms<'_>, decided: Vec<Action>) -> Vec<Action> {
    let mut layer = Layer {
        alerts,
        terms,
        changed: BTreeMap::new(),
        said: Vec::new(),
    };
    // Transitions first: what follows from an alert may be decided before it in one step, by other rules.
    for action in decided.iter().filter(|action| action.kind == ALERT) {
        layer.alert(action).note_transition(action);
    }
    for action in decided {
        layer.pass(action);
    }
    let open = alerts.open.iter().chain(layer.changed.keys());
    let open: BTreeSet<String> = open.cloned().collect();
    for id in open {
        layer.follow(&id, None);
    }
    layer.name_consequences();
    layer.said
}

struct Layer<'a> {
    alerts: &'a Alerts,
    terms: &'a Terms<'a>,
    /// Alerts as this step leaves them.
    changed: BTreeMap<String, Alert>,
    said: Vec<Action>,
}

/// Where an alert is looked at: the window that a message would be about, and the time that counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    window_us: i64,
    at_us: i64,
}

/// What is to be said again.
struct Again {
    cause: Cause,
    muted: Option<Value>,
    acknowledged: Option<Value>,
    resolved: Option<Value>,
    escalation: usize,
}

impl Layer<'_> {
    fn get(&self, id: &str) -> Option<&Alert> {
        self.changed.get(id).or_else(|| self.alerts.all.get(id))
    }

    /// The alert of a message, to be changed.
    fn alert(&mut self, action: &Action) -> &mut Alert {
        let known = || self.alerts.all.get(&action.alert_id).cloned();
        self.changed
            .entry(action.alert_id.clone())
            .or_insert_with(|| known().unwrap_or_else(|| Alert::new(action)))
    }

    /// Every alert of a rule.
    fn of_rule<'b>(&'b self, rule: &'b str) -> impl Iterator<Item = &'b Alert> {
        let before = self.alerts.by_rule.get(rule).into_iter().flatten();
        let new = self.changed.values().filter(|alert| alert.rule == rule);
        let ids: BTreeSet<&String> = before.chain(new.map(|alert| &alert.alert_id)).collect();
        ids.into_iter().filter_map(|id| self.get(id))
    }

    /// A decision goes by: what comes before it, and then itself, annotated.
    fn pass(&mut self, mut action: Action) {
        if action.kind != ALERT {
            self.said.push(action);
            return;
        }
        self.follow(&action.alert_id.clone(), Some(action.window_us));
        let before = self.alert(&action).clone();
        self.annotate(&before, &mut action);
        self.say(action);
    }

    fn say(&mut self, action: Action) {
        self.alert(&action).take(&action);
        self.said.push(action);
    }

    /// Says what holds at a decision's window.
    fn annotate(&self, before: &Alert, action: &mut Action) {
        let transition = action.transition;
        if let Some(known) = before.revisions.get(&action.window_us)
            && *known >= action.revision
        {
            action.revision = known + 1;
            let [rule, segment] = [&action.rule, &action.segment];
            let window_us = action.window_us;
            action.action_id = action_id(rule, segment, window_us, &transition, action.revision);
        }
        let goes_on = before.is_open();
        let opens = is_open(transition.state);
        let (mut severity, mut state, mut previous) =
            (transition.severity, transition.state, transition.previous);
        let mut escalation = 0;
        if goes_on && before.escalation > 0 {
            if transition.previous.fires() {
                previous = before.state;
            }
            if transition.state.fires() {
                escalation = before.escalation;
                severity = self.escalated(&before.rule, escalation, severity);
                state = State::firing(severity);
            }
        }
        let muted = if opens {
            self.muted(before, severity, action.window_end_us)
        } else if before.told_us.is_some() || !goes_on {
            // Whoever was told that it fires is told that it does not.
            None
        } else {
            before.muted.clone()
        };
        let acknowledged = before.acknowledged.clone().filter(|_| goes_on && opens);
        let resolved = (transition.cause == Cause::Resolved)
            .then(|| self.resolved(before, action.window_us))
            .flatten();
        let mut body: Value = serde_json::from_str(&action.body).unwrap_or_default();
        body["action_id"] = json!(action.action_id);
        body["revision"] = json!(action.revision);
        body["severity"] = json!(severity.as_str());
        let payload = &mut body["payload"];
        payload["state"] = json!(state.as_str());
        payload["previous_state"] = json!(previous.as_str());
        payload["muted"] = json!(muted);
        payload["acknowledged"] = json!(acknowledged);
        payload["resolved"] = json!(resolved);
        payload["escalation"] = json!(escalation);
        action.body = body.to_string();
    }

    /// Who said that an alert is over from this window on.
    fn resolved(&self, alert: &Alert, window_us: i64) -> Option<Value> {
        let said = self.terms.notes.acknowledgements.of(&alert.alert_id).iter();
        let mut said = said.filter(|one| one.said == Said::Resolved && one.window_us == window_us);
        said.next().map(super::Acknowledgement::to_json)
    }

    /// What mutes an alert at a time: a cause first, so that it can name what follows from it, then a silence.
    fn muted(&self, alert: &Alert, severity: Severity, at_us: i64) -> Option<Value> {
        for cause in self.causes(alert) {
            if cause.fires_at(at_us) {
                let Alert { rule, alert_id, .. } = cause;
                return Some(json!({"by": "rule", "rule": rule, "alert_id": alert_id}));
            }
        }
        let mut silences = self.terms.notes.silences.iter();
        let silence =
            silences.find(|one| one.mutes(&alert.rule, &alert.segment, severity, at_us))?;
        Some(silence.to_muted())
    }

    /// The alerts that mute an alert while they fire: of rules that its own names, where the segments agree on what both
    /// have.
    fn causes<'b>(&'b self, alert: &'b Alert) -> impl Iterator<Item = &'b Alert> {
        let settings = self.terms.settings.get(&alert.rule);
        let rules = settings.into_iter().flat_map(|one| &one.muted_by);
        rules
            .flat_map(|rule| self.of_rule(rule))
            .filter(|cause| agree(cause, alert))
    }

    /// How bad an alert is at a level of its escalation.
    fn escalated(&self, rule: &str, level: usize, severity: Severity) -> Severity {
        let levels = self.terms.settings.get(rule);
        let levels = levels.into_iter().flat_map(|one| &one.escalate);
        let severities = levels.take(level).filter_map(|one| one.severity);
        severities.fold(severity, Severity::max)
    }

    /// Says again what changes while an alert is open: up to the window of its next transition, else as far as its rule was
    /// evaluated.
    fn follow(&mut self, id: &str, before_us: Option<i64>) {
        loop {
            let Some(alert) = self.get(id).filter(|alert| alert.is_open()) else {
                return;
            };
            let mut places = self.places(alert, before_us).into_iter();
            let next = places.find_map(|place| Some((place, self.again(alert, place)?)));
            let Some((place, again)) = next else {
                return;
            };
            let action = self.make(alert, place, &again);
            self.say(action);
        }
    }

    /// Where anything can change for an alert, in order.
    fn places(&self, alert: &Alert, before_us: Option<i64>) -> BTreeSet<Place> {
        let first = Place {
            window_us: alert.window_us,
            at_us: alert.end_us,
        };
        let Some(closed_us) = self.terms.closed_us.get(&alert.rule) else {
            if before_us.is_some() {
                return BTreeSet::new();
            }
            let reached = self.terms.closed_us.values().flatten().max();
            let at_us = reached.map_or(alert.end_us, |at_us| alert.end_us.max(*at_us));
            return [Place { at_us, ..first }].into();
        };
        let end_us = match before_us {
            Some(before_us) => before_us,
            None => closed_us.unwrap_or(alert.end_us).max(alert.end_us),
        };
        let width_us = alert.width_us();
        let place = |time_us: i64| {
            let windows = (time_us - alert.end_us + width_us - 1) / width_us;
            Place {
                window_us: alert.window_us + windows * width_us,
                at_us: alert.end_us + windows * width_us,
            }
        };
        let later = self.changes(alert).into_iter();
        let later = later.filter(|time_us| (alert.end_us + 1..=end_us).contains(time_us));
        let later = later.map(place).filter(|place| match before_us {
            Some(before_us) => place.window_us < before_us,
            None => place.at_us <= end_us,
        });
        std::iter::once(first)
            .filter(|place| before_us.is_none_or(|before_us| place.window_us < before_us))
            .chain(later)
            .collect()
    }

    /// The times at which anything can change for an alert.
    fn changes(&self, alert: &Alert) -> Vec<i64> {
        let mut times = Vec::new();
        let silences = self.terms.notes.silences.iter();
        for one in silences.filter(|one| one.matchers.can_match(&alert.rule, &alert.segment)) {
            times.extend([one.starts_us, one.ends_us]);
        }
        for cause in self.causes(alert) {
            let ends = cause.firing.values().rev().map(|(end_us, _)| *end_us);
            times.extend(ends.take_while(|end_us| *end_us > alert.end_us));
        }
        if let (Some(told_us), Some(settings)) =
            (alert.told_us, self.terms.settings.get(&alert.rule))
        {
            let levels = settings.escalate.iter().skip(alert.escalation);
            times.extend(levels.map(|level| told_us.saturating_add(level.after_us)));
        }
        let said = self.terms.notes.acknowledgements.of(&alert.alert_id).iter();
        times.extend(said.map(|one| one.window_us.saturating_add(alert.width_us())));
        times
    }

    /// What is to be said of an open alert at a place, if anything: the first of what is due.
    fn again(&self, alert: &Alert, place: Place) -> Option<Again> {
        let has_windows = self.terms.closed_us.contains_key(&alert.rule);
        let stays = |cause| Again {
            cause,
            muted: alert.muted.clone(),
            acknowledged: alert.acknowledged.clone(),
            resolved: None,
            escalation: alert.escalation,
        };
        let said = self.terms.notes.acknowledgements.of(&alert.alert_id).iter();
        let said = said.filter(|one| {
            let window_us = one.window_us;
            (alert.opened_us..=place.window_us).contains(&window_us)
                && !alert.used.contains(&one.acknowledgement_id)
        });
        let mut resolved = said.clone().filter(|one| one.said == Said::Resolved);
        // The lifecycle says it of alerts that have windows.
        if let Some(one) = resolved
            .next()
            .filter(|_| !has_windows && alert.state.fires())
        {
            return Some(Again {
                resolved: Some(one.to_json()),
                muted: alert.muted.clone().filter(|_| alert.told_us.is_none()),
                acknowledged: None,
                escalation: 0,
                ..stays(Cause::Resolved)
            });
        }
        let muted = self.muted(alert, alert.severity, place.at_us);
        match (&alert.muted, &muted) {
            // Without windows there is no telling whether a mute that is over comes again.
            (None, Some(_)) if has_windows => {
                return Some(Again {
                    muted,
                    ..stays(Cause::Muted)
                });
            }
            (Some(_), None) => {
                return Some(Again {
                    muted,
                    ..stays(Cause::Unmuted)
                });
            }
            _ => {}
        }
        if alert.acknowledged.is_some() {
            return None;
        }
        let mut acknowledged = said.filter(|one| one.said == Said::Acknowledged);
        if let Some(one) = acknowledged.next() {
            return Some(Again {
                acknowledged: Some(one.to_json()),
                ..stays(Cause::Acknowledged)
            });
        }
        let level = self.level(alert, place.at_us);
        let due = level > alert.escalation && alert.state.fires() && alert.muted.is_none();
        due.then(|| Again {
            escalation: level,
            ..stays(Cause::Escalated)
        })
    }

    /// The level of escalation that an alert has come to.
    fn level(&self, alert: &Alert, at_us: i64) -> usize {
        let Some((told_us, settings)) = alert.told_us.zip(self.terms.settings.get(&alert.rule))
        else {
            return 0;
        };
        let fired_us = at_us.saturating_sub(told_us);
        let levels = settings.escalate.iter();
        levels.take_while(|one| one.after_us <= fired_us).count()
    }

    /// The message that says an alert again: the last one, with what changed.
    fn make(&self, alert: &Alert, place: Place, again: &Again) -> Action {
        let Place { window_us, .. } = place;
        let window_end_us = window_us.saturating_add(alert.width_us());
        let mut severity = alert.severity;
        let mut state = alert.state;
        let mut since_us = alert.since_us;
        if again.cause == Cause::Escalated {
            severity = self.escalated(&alert.rule, again.escalation, severity);
            state = State::firing(severity);
        } else if again.cause == Cause::Resolved {
            state = State::Recovered;
            since_us = window_us;
        }
        let transition = Transition {
            cause: again.cause,
            state,
            previous: alert.state,
            severity,
            since_us,
        };
        let revision = alert.revisions.get(&window_us).map_or(0, |known| known + 1);
        let [rule, segment] = [&alert.rule, &alert.segment_text];
        let action_id = action_id(rule, segment, window_us, &transition, revision);
        let mut body: Value = serde_json::from_str(&alert.body).unwrap_or_default();
        let time = farol_jobs::time::rfc3339;
        body["action_id"] = json!(action_id);
        body["window_start"] = json!(time(window_us));
        body["window_end"] = json!(time(window_end_us));
        body["revision"] = json!(revision);
        body["severity"] = json!(severity.as_str());
        let payload = &mut body["payload"];
        payload["cause"] = json!(again.cause.as_str());
        payload["state"] = json!(state.as_str());
        payload["previous_state"] = json!(alert.state.as_str());
        payload["since"] = json!(time(since_us));
        payload["muted"] = json!(again.muted);
        payload["acknowledged"] = json!(again.acknowledged);
        payload["resolved"] = json!(again.resolved);
        payload["escalation"] = json!(again.escalation);
        payload["consequences"] = json!([]);
        Action {
            sequence: 0,
            action_id,
            kind: ALERT.to_owned(),
            rule: rule.clone(),
            segment: segment.clone(),
            alert_id: alert.alert_id.clone(),
            window_us,
            window_end_us,
            revision,
            transition,
            body: body.to_string(),
        }
    }

    /// Names, in the messages of this step, what each alert mutes as of the message's window.
    fn name_consequences(&mut self) {
        let rules: BTreeSet<&String> = self
            .terms
            .settings
            .values()
            .flat_map(|one| &one.muted_by)
            .collect();
        let is_cause =
            |action: &Action| rules.contains(&action.rule) && action.transition.state.fires();
        if !self.said.iter().any(is_cause) {
            return;
        }
        // Of each message of the step: what mutes its alert from then on.
        let muted: Vec<Option<String>> = self
            .said
            .iter()
            .map(|action| muted_by(&action.body))
            .collect();
        for place in 0..self.said.len() {
            if !is_cause(&self.said[place]) {
                continue;
            }
            let (id, at_us) = (&self.said[place].alert_id, self.said[place].window_end_us);
            let mut follow: BTreeSet<&String> = BTreeSet::new();
            for known in &self.alerts.open {
                let alert = self.alerts.all.get(known);
                let by = alert.filter(|alert| alert.end_us <= at_us);
                let by = by.and_then(|alert| alert.muted.as_ref()?["alert_id"].as_str());
                if by == Some(id) {
                    follow.insert(known);
                }
            }
            for (action, by) in self.said.iter().zip(&muted) {
                if action.kind != ALERT || action.window_end_us > at_us {
                    continue;
                }
                let is_muted = by.as_ref() == Some(id) && is_open(action.transition.state);
                if is_muted {
                    follow.insert(&action.alert_id);
                } else {
                    follow.remove(&action.alert_id);
                }
            }
            let named: Vec<Value> = follow
                .into_iter()
                .take(CONSEQUENCES_MAX)
                .filter_map(|id| self.get(id))
                .map(|alert| {
                    json!({"rule": alert.rule, "segment": alert.segment, "alert_id": alert.alert_id})
                })
                .collect();
            let mut body: Value = serde_json::from_str(&self.said[place].body).unwrap_or_default();
            body["payload"]["consequences"] = json!(named);
            self.said[place].body = body.to_string();
        }
    }
}

/// The alert that mutes the alert of a message.
fn muted_by(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    Some(body["payload"]["muted"]["alert_id"].as_str()?.to_owned())
}

/// Whether two alerts agree on every part of a segment that both have.
fn agree(one: &Alert, other: &Alert) -> bool {
    let same = |(name, value)| other.segment.get(name).is_none_or(|known| known == value);
    one.segment.iter().all(same)
}
