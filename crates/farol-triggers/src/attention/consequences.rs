//! Consequences: an alert that mutes others names them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::alert::is_open;
use super::attend::Layer;
use crate::action::{ALERT, Action};

/// The most alerts that a message names as the consequences of its own.
const CONSEQUENCES_MAX: usize = 100;

impl Layer<'_> {
    /// Names, in the messages of this step, what each alert mutes as of the message's window.
    pub(super) fn name_consequences(&mut self) {
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
                if by == Some(id.as_str()) {
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
