//! Messages: those of the rules annotated, and those that say an alert again.

use serde_json::{Value, json};

use super::acknowledgement::{Acknowledgement, Said};
use super::alert::{Alert, is_open};
use super::attend::Layer;
use super::due::{Again, Place};
use crate::action::{ALERT, Action, action_id};
use crate::lifecycle::{Cause, State, Transition};
use crate::rule::Severity;

impl Layer<'_> {
    /// Says what holds at a decision's window.
    pub(super) fn annotate(&self, before: &Alert, action: &mut Action) {
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
    pub(super) fn resolved(&self, alert: &Alert, window_us: i64) -> Option<Value> {
        let said = self.terms.notes.acknowledgements.of(&alert.alert_id).iter();
        let mut said = said.filter(|one| one.said == Said::Resolved && one.window_us == window_us);
        said.next().map(Acknowledgement::to_json)
    }

    /// How bad an alert is at a level of its escalation.
    pub(super) fn escalated(&self, rule: &str, level: usize, severity: Severity) -> Severity {
        let levels = self.terms.settings.get(rule);
        let levels = levels.into_iter().flat_map(|one| &one.escalate);
        let severities = levels.take(level).filter_map(|one| one.severity);
        severities.fold(severity, Severity::max)
    }

    /// The message that says an alert again: the last one, with what changed.
    pub(super) fn make(&self, alert: &Alert, place: Place, again: &Again) -> Action {
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
}
