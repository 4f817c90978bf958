//! Which alerts follow from which: what a notification names as consequences.

use std::collections::{BTreeMap, BTreeSet};

use crate::alert::{Alert, CONSEQUENCES_MAX, Consequence, Muted};

/// Alerts whose consequences are remembered.
const ALERTS_MAX: usize = 1_000;

/// What each alert explains, by its id, as it was heard on the topic.
#[derive(Debug, Default)]
pub(super) struct Explained(BTreeMap<String, BTreeMap<String, Consequence>>);

impl Explained {
    /// Takes a transition: the alert follows from another one, or not any more.
    pub fn note(&mut self, alert: &Alert, muted: Option<&Muted>) {
        let cause = match muted {
            Some(Muted::ByAlert(cause)) if alert.is_active() => Some(cause),
            _ => None,
        };
        self.0.retain(|known, consequences| {
            if Some(known) != cause {
                consequences.remove(&alert.alert_id);
            }
            !consequences.is_empty()
        });
        let Some(cause) = cause else { return };
        if self.0.len() >= ALERTS_MAX && !self.0.contains_key(cause) {
            return;
        }
        let consequences = self.0.entry(cause.clone()).or_default();
        if consequences.len() < 2 * CONSEQUENCES_MAX {
            let consequence = Consequence {
                rule: alert.rule.clone(),
                segment: alert.segment.clone(),
                alert_id: alert.alert_id.clone(),
            };
            consequences.insert(alert.alert_id.clone(), consequence);
        }
    }

    /// Adds to what an alert says itself what was heard.
    pub fn add_to(&self, alert: &mut Alert) {
        let said = alert.consequences.iter();
        let said: BTreeSet<&str> = said.map(|known| known.alert_id.as_str()).collect();
        let heard = self.0.get(&alert.alert_id);
        let more: Vec<Consequence> = heard
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter(|heard| !said.contains(heard.alert_id.as_str()))
            .cloned()
            .collect();
        alert.consequences.extend(more);
        let excess = alert.consequences.len().saturating_sub(CONSEQUENCES_MAX);
        alert.consequences_unnamed += excess;
        alert.consequences.truncate(CONSEQUENCES_MAX);
    }
}
