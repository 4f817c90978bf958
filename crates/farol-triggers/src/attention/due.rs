//! What is due: where anything can change for an open alert, and what is to be said of it there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::acknowledgement::Said;
use super::alert::Alert;
use super::attend::Layer;
use crate::lifecycle::Cause;
use crate::rule::Severity;

/// Where an alert is looked at: the window that a message would be about, and the time that counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub window_us: i64,
    pub at_us: i64,
}

/// What is to be said again.
pub(super) struct Again {
    pub cause: Cause,
    pub muted: Option<Value>,
    pub acknowledged: Option<Value>,
    pub resolved: Option<Value>,
    pub escalation: usize,
}

impl Layer<'_> {
    /// What mutes an alert at a time: a cause first, so that it can name what follows from it, then a silence.
    pub(super) fn muted(&self, alert: &Alert, severity: Severity, at_us: i64) -> Option<Value> {
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
    pub(super) fn causes<'b>(&'b self, alert: &'b Alert) -> impl Iterator<Item = &'b Alert> {
        let settings = self.terms.settings.get(&alert.rule);
        let rules = settings.into_iter().flat_map(|one| &one.muted_by);
        rules
            .flat_map(move |rule| self.of_rule(rule))
            .filter(move |cause| agree(cause, alert))
    }

    /// Where anything can change for an alert, in order.
    pub(super) fn places(&self, alert: &Alert, before_us: Option<i64>) -> BTreeSet<Place> {
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
    pub(super) fn changes(&self, alert: &Alert) -> Vec<i64> {
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
    pub(super) fn again(&self, alert: &Alert, place: Place) -> Option<Again> {
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
        match (alert.muted.is_some(), muted.is_some()) {
            // Without windows there is no telling whether a mute that is over comes again.
            (false, true) if has_windows => {
                return Some(Again {
                    muted,
                    ..stays(Cause::Muted)
                });
            }
            (true, false) => {
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
    pub(super) fn level(&self, alert: &Alert, at_us: i64) -> usize {
        let Some((told_us, settings)) = alert.told_us.zip(self.terms.settings.get(&alert.rule))
        else {
            return 0;
        };
        let fired_us = at_us.saturating_sub(told_us);
        let levels = settings.escalate.iter();
        levels.take_while(|one| one.after_us <= fired_us).count()
    }
}

/// Whether two alerts agree on every part of a segment that both have.
fn agree(one: &Alert, other: &Alert) -> bool {
    let same = |(name, value): (&String, &Value)| {
        other.segment.get(name).is_none_or(|known| known == value)
    };
    one.segment.iter().all(same)
}
