//! A group's notification, made of all that waits.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Engine;
use super::group::{Change, Group, OPEN_MAX, Pending, Sealed, Told};
use crate::alert::Alert;
use crate::notification::{self, Counts, Notification, Status};

impl Engine {
    /// Makes a group's notification of all that waits.
    pub fn seal(&mut self, key: &str, now_ms: i64) {
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        let Some((from, _)) = group.waits.take() else {
            return;
        };
        let pending = std::mem::take(&mut group.pending);
        let actions = pending.values().map(|waits| waits.alert.action_id.as_str());
        let id = notification::id(&self.terms.route, key, actions);
        let mut counts = tell(group, &pending);
        for alert_id in pending.keys().filter(|id| !group.open.contains_key(*id)) {
            self.owners.remove(alert_id);
        }
        let mut alerts = worst_first(pending);
        let still_open = group.open.values().map(|told| told.1).max();
        let told = alerts.iter().map(|alert| alert.severity).max();
        let lead = alerts.first().map(|alert| alert.alert_id.clone());
        counts.unnamed = alerts.len().saturating_sub(self.terms.max_named);
        alerts.truncate(self.terms.max_named);
        for alert in &mut alerts {
            self.explained.add_to(alert);
        }
        let is_first = group.incident.is_none();
        let incident = group.incident.take().or(lead).unwrap_or_else(|| id.clone());
        let status = status(group);
        if status != Status::Resolved {
            group.incident = Some(incident.clone());
        }
        group.settled = self.read;
        group.last_ms = Some(now_ms);
        let notification = Notification {
            id,
            route: self.terms.route.clone(),
            group: group.labels.clone(),
            incident,
            status,
            severity: still_open.or(told).unwrap_or_default(),
            is_first,
            counts,
            alerts,
            sealed_ms: now_ms,
            is_test: false,
        };
        group.sealed = Some(Sealed {
            notification,
            from,
            attempts: 0,
            due_ms: now_ms,
        });
        self.sent.note(self.terms.rate_limit, now_ms);
        self.changed.insert(key.to_owned());
    }
}

/// Remembers what is told as told.
fn tell(group: &mut Group, pending: &BTreeMap<String, Pending>) -> Counts {
    let mut counts = Counts::default();
    for (alert_id, Pending { alert, change }) in pending {
        match change {
            Change::New => counts.new += 1,
            Change::Updated => counts.updated += 1,
            Change::Resolved | Change::Passed => counts.resolved += 1,
        }
        if !alert.is_active() {
            group.open.remove(alert_id);
        } else if group.open.len() < OPEN_MAX || group.open.contains_key(alert_id) {
            group.open.insert(alert_id.clone(), Told::of(alert));
        }
    }
    counts.open = group.open.len();
    counts
}

/// What is wrong before what is over, the worst first, then what began first.
fn worst_first(pending: BTreeMap<String, Pending>) -> Vec<Alert> {
    let mut alerts: Vec<Alert> = pending.into_values().map(|waits| waits.alert).collect();
    alerts.sort_by(|one, other| {
        let place = |alert: &Alert| (!alert.is_active(), Reverse(alert.severity));
        let order = place(one).cmp(&place(other));
        order.then_with(|| (&one.since, &one.alert_id).cmp(&(&other.since, &other.alert_id)))
    });
    alerts
}

fn status(group: &Group) -> Status {
    if group.open.is_empty() {
        Status::Resolved
    } else if group.open.values().all(|told| told.2) {
        Status::Acknowledged
    } else {
        Status::Firing
    }
}
