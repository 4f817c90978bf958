//! A group: the alerts that are told of together, what of them was told, and what waits to be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Severity};
use crate::notification::Notification;

/// Alerts of one group that are remembered as open. Of further ones the recovery is not awaited.
pub(super) const OPEN_MAX: usize = 10_000;

/// Alerts of one group that wait with all that is known of them; further ones only with what names them.
const FULL_MAX: usize = 200;

/// What was told of an alert. A tuple, for a group may hold thousands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told(
    pub String,
    pub Severity,
    /// Whether it was acknowledged.
    pub bool,
    /// How often it was escalated.
    pub u32,
);

impl Told {
    pub fn of(alert: &Alert) -> Self {
        Self(
            alert.state.clone(),
            alert.severity,
            alert.acknowledged_by.is_some(),
            alert.escalation,
        )
    }
}

/// What a waiting alert is to its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It began, and was not told.
    New,
    /// It was told, and there is more to say.
    Updated,
    /// It was told, and is over.
    Resolved,
    /// It began and was over before it could be told.
    Passed,
}

/// An alert that waits to be told.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pending {
    pub alert: Alert,
    pub change: Change,
}

/// A notification that was made and is not accepted yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Sealed {
    /// The notification.
    pub notification: Notification,
    /// The first offset that it tells.
    pub from: i64,
    /// Failed attempts of this process.
    #[serde(skip)]
    pub attempts: u32,
    /// When the next attempt is due.
    #[serde(skip)]
    pub due_ms: i64,
}

/// A group. What is not skipped is kept on the progress topic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    /// What its alerts have in common.
    pub labels: BTreeMap<String, String>,
    /// Records of the group below this offset are told.
    pub settled: i64,
    /// The group is kept until everything below this offset is done with.
    pub keep_until: i64,
    /// What was told and is not over, by alert id.
    pub open: BTreeMap<String, Told>,
    /// What receivers know the open alerts by.
    pub incident: Option<String>,
    /// What the receiver calls the first message, to which the others belong.
    pub thread: Option<String>,
    /// When the last notification was made.
    pub last_ms: Option<i64>,
    /// The notification that is on its way.
    pub sealed: Option<Sealed>,
    /// What waits, by alert id.
    #[serde(skip)]
    pub pending: BTreeMap<String, Pending>,
    /// The first offset that waits, and since when it does.
    #[serde(skip)]
    pub waits: Option<(i64, i64)>,
}

impl Group {
    /// Takes an alert's transition; `is_history`: it was on the topic before there was the route.
    pub fn take(&mut self, mut alert: Alert, offset: i64, now_ms: i64, is_history: bool) {
        let id = alert.alert_id.clone();
        let told = self.open.get(&id);
        let before = self.pending.get(&id).map(|pending| pending.change);
        let change = match (alert.is_active(), told, before) {
            // Over and back again before it could be told is news as well.
            (true, Some(_), Some(Change::Resolved | Change::Updated)) => Some(Change::Updated),
            (true, Some(told), _) => {
                let is_news = *told != Told::of(&alert) || says_again(&alert.cause);
                is_news.then_some(Change::Updated)
            }
            (true, None, _) => Some(Change::New),
            (false, Some(_), _) => Some(Change::Resolved),
            (false, None, Some(_)) => (!is_history).then_some(Change::Passed),
            (false, None, None) => None,
        };
        let Some(change) = change else {
            if before.is_some() {
                self.forget(&id);
            }
            return;
        };
        if self.pending.len() >= FULL_MAX && before.is_none() {
            alert = alert.slim();
        }
        self.waits.get_or_insert((offset, now_ms));
        self.pending.insert(id, Pending { alert, change });
    }

    /// What waits of an alert is not to be told.
    pub fn forget(&mut self, alert_id: &str) {
        self.pending.remove(alert_id);
        if self.pending.is_empty() {
            self.waits = None;
        }
    }

    /// The worst of what waits.
    pub fn worst_pending(&self) -> Severity {
        let severities = self.pending.values().map(|pending| pending.alert.severity);
        severities.max().unwrap_or_default()
    }

    /// The first offset of the group that is not done with.
    pub fn unfinished(&self) -> Option<i64> {
        let waits = self.waits.map(|(offset, _)| offset);
        let sealed = self.sealed.as_ref().map(|sealed| sealed.from);
        waits.into_iter().chain(sealed).min()
    }

    /// Whether there is nothing left to know of it.
    pub fn is_over(&self, done: i64) -> bool {
        self.open.is_empty()
            && self.pending.is_empty()
            && self.sealed.is_none()
            && done >= self.settled.max(self.keep_until)
    }

    /// Bytes that wait in memory.
    pub fn bytes(&self) -> usize {
        self.pending
            .values()
            .map(|pending| pending.alert.bytes())
            .sum()
    }
}

/// A cause that is news by itself: a reminder, an escalation.
fn says_again(cause: &str) -> bool {
    matches!(cause, "renotified" | "escalated" | "acknowledged")
}
