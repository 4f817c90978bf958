//! What a route says, and when: a pure function over the records of one partition and the time.
//!
//! ```text
//!  record ──▶ [`Engine::take`] ──▶ groups: what waits ──▶ [`Engine::step`]: seal one, attempt one, or wait
//!                                     ▲                        │
//!  accepted, failed, given up ────────┴────────────────────────┘
//! ```
//!
//! Time is an argument, in milliseconds since the epoch. What the engine must remember beyond a restart it hands out
//! with [`Engine::take_changes`], to be kept before anything is sent.

mod explained;
mod filter;
mod group;
mod kept;
mod seal;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::alert::{Alert, AlertRecord};
use crate::notification::{Notification, Status};
pub use crate::quiet::QuietHours;
pub use crate::rate::RateLimit;
use crate::rate::Sent;
pub use crate::retry::Verdict;
use crate::retry::{Failure, Retry, millis};
use crate::settings::Filter;

use explained::Explained;
use group::Group;
pub use kept::{Changed, Kept, Position};

/// The key of the group that takes what no further group may be made for.
const OVERFLOW: &str = "overflow";

/// Bytes of waiting alerts from which on no more records are read.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// What a route goes by.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// The route's name.
    pub route: String,
    /// Which alerts it takes.
    pub filter: Filter,
    /// What alerts of one group have in common.
    pub group_by: Vec<String>,
    /// How long a group's first notification waits.
    pub group_wait: Duration,
    /// How long until a group is told of again.
    pub group_interval: Duration,
    /// Groups at once.
    pub max_groups: usize,
    /// Alerts that a notification names.
    pub max_named: usize,
    /// Hours in which it waits.
    pub quiet_hours: Option<QuietHours>,
    /// How many notifications in how long.
    pub rate_limit: RateLimit,
    /// The terms of trying again.
    pub retry: Retry,
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A group's notification is to be made: [`Engine::seal`].
    Seal(String),
    /// A group's notification is to be sent: [`Engine::sealed`].
    Attempt(String),
    /// Nothing before this time; `None`: before a record comes.
    Wait(Option<i64>),
}

/// A route over one partition.
#[derive(Debug)]
pub struct Engine {
    terms: Terms,
    groups: BTreeMap<String, Group>,
    /// The group of each alert that is open or waits.
    owners: HashMap<String, String>,
    /// What each alert explains, by its id.
    explained: Explained,
    sent: Sent,
    /// The receiver asked to be left alone until then.
    paused_ms: i64,
    /// One past the last record read.
    read: i64,
    /// Records before this offset were there before the route was.
    history_end: i64,
    /// Groups that changed since they were kept, and those that are kept.
    changed: BTreeSet<String>,
    kept: BTreeSet<String>,
}

impl Engine {
    /// A route as it was left.
    pub fn new(terms: Terms, kept: Kept) -> Self {
        let owners = kept.groups.iter().flat_map(|(key, group)| {
            let ids = group.open.keys();
            ids.map(|id| (id.clone(), key.clone()))
        });
        Self {
            owners: owners.collect(),
            explained: Explained::default(),
            sent: Sent::restore(kept.groups.values().filter_map(|group| group.last_ms)),
            paused_ms: 0,
            read: kept.position.next,
            history_end: kept.position.history_end,
            changed: BTreeSet::new(),
            kept: kept.groups.keys().cloned().collect(),
            groups: kept.groups,
            terms,
        }
    }

    /// Takes a record; `None` for one that says nothing of an alert.
    pub fn take(&mut self, offset: i64, record: Option<AlertRecord>, now_ms: i64) {
        // Records come in order; one that comes again is taken once.
        if offset < self.read {
            return;
        }
        self.read = offset + 1;
        let Some(AlertRecord { alert, muted }) = record else {
            return;
        };
        let id = alert.alert_id.clone();
        let was_told = self
            .owner(&id)
            .is_some_and(|group| group.open.contains_key(&id));
        self.explained.note(&alert, muted.as_ref());
        if muted.is_some() && (alert.is_active() || !was_told) {
            self.forget(&id);
            return;
        }
        let is_known = self.owner(&id).is_some();
        let begins = alert.is_active() && filter::takes(&self.terms.filter, &alert);
        if !is_known && !begins {
            return;
        }
        let key = self.group_of(&alert);
        let is_history = offset < self.history_end;
        let Some(group) = self.groups.get_mut(&key) else {
            return;
        };
        if offset >= group.settled {
            group.take(alert, offset, now_ms, is_history);
            if group.open.contains_key(&id) || group.pending.contains_key(&id) {
                self.owners.insert(id, key);
            } else {
                self.owners.remove(&id);
            }
        }
    }

    fn owner(&self, alert_id: &str) -> Option<&Group> {
        self.groups.get(self.owners.get(alert_id)?)
    }

    /// What waits of an alert is not told.
    fn forget(&mut self, alert_id: &str) {
        if let Some(group) = self
            .owners
            .get(alert_id)
            .and_then(|key| self.groups.get_mut(key))
        {
            group.forget(alert_id);
            if !group.open.contains_key(alert_id) {
                self.owners.remove(alert_id);
            }
        }
    }

    /// The group of an alert, made where there is none.
    fn group_of(&mut self, alert: &Alert) -> String {
        if let Some(key) = self.owners.get(&alert.alert_id)
            && self.groups.contains_key(key)
        {
            return key.clone();
        }
        let labels = filter::labels(&self.terms.group_by, alert);
        let parts: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name:?}={value:?}"))
            .collect();
        let key = parts.join(",");
        if self.groups.contains_key(&key) {
            return key;
        }
        let overflows = self.groups.contains_key(OVERFLOW);
        if !overflows && self.groups.len() < self.terms.max_groups {
            let group = Group {
                labels,
                ..Group::default()
            };
            self.groups.insert(key.clone(), group);
            return key;
        }
        if !overflows {
            // From now on which group an alert belongs to depends on which groups there are, so they are kept.
            for (key, group) in &mut self.groups {
                group.keep_until = self.read;
                self.changed.insert(key.clone());
            }
            let labels = [("group".to_owned(), "all further ones".to_owned())].into();
            let group = Group {
                labels,
                ..Group::default()
            };
            self.groups.insert(OVERFLOW.to_owned(), group);
        }
        OVERFLOW.to_owned()
    }

    /// What is to be done at this time.
    pub fn step(&self, now_ms: i64) -> Step {
        let mut wake: Option<i64> = None;
        let mut later = |at_ms: i64| wake = Some(wake.map_or(at_ms, |known| known.min(at_ms)));
        let attempts = self.groups.iter().filter_map(|(key, group)| {
            let sealed = group.sealed.as_ref()?;
            Some((sealed.due_ms.max(self.paused_ms), key))
        });
        if let Some((due_ms, key)) = attempts.min() {
            if due_ms <= now_ms {
                return Step::Attempt(key.clone());
            }
            later(due_ms);
        }
        let free_ms = self.sent.free_ms(self.terms.rate_limit, now_ms);
        let mut ready = None;
        for (key, group) in &self.groups {
            let Some(due_ms) = self.due_ms(group, now_ms) else {
                continue;
            };
            let due_ms = due_ms.max(free_ms);
            if due_ms > now_ms {
                later(due_ms);
                continue;
            }
            // The worst first, then who has waited longest.
            let place = (std::cmp::Reverse(group.worst_pending()), group.waits);
            if ready.as_ref().is_none_or(|(best, _)| place < *best) {
                ready = Some((place, key));
            }
        }
        ready.map_or(Step::Wait(wake), |(_, key)| Step::Seal(key.clone()))
    }

    /// When a group's next notification is due, without the rate limit.
    fn due_ms(&self, group: &Group, now_ms: i64) -> Option<i64> {
        let (_, since_ms) = group.waits?;
        if group.sealed.is_some() {
            return None;
        }
        let due_ms = match group.last_ms {
            Some(last_ms) if group.incident.is_some() => {
                since_ms.max(last_ms.saturating_add(millis(self.terms.group_interval)))
            }
            _ => since_ms.saturating_add(millis(self.terms.group_wait)),
        };
        let quiet = self.terms.quiet_hours.as_ref().filter(|_| due_ms <= now_ms);
        let until_ms = quiet.and_then(|quiet| quiet.until_ms(now_ms, group.worst_pending()));
        Some(until_ms.unwrap_or(due_ms))
    }

    /// The notification of a group that is on its way, and the thread that it belongs to.
    pub fn sealed(&self, key: &str) -> Option<(&Notification, Option<&str>)> {
        let group = self.groups.get(key)?;
        let sealed = group.sealed.as_ref()?;
        Some((&sealed.notification, group.thread.as_deref()))
    }

    /// The receiver has accepted a group's notification, or it is a dead letter. `thread` is what the receiver calls the
    /// message.
    pub fn settle(&mut self, key: &str, thread: Option<String>) {
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        let Some(sealed) = group.sealed.take() else {
            return;
        };
        if sealed.notification.status == Status::Resolved {
            group.thread = None;
        } else if group.thread.is_none() {
            group.thread = thread;
        }
        self.changed.insert(key.to_owned());
    }

    /// An attempt failed: when it is made again, or why it is not.
    pub fn failed(&mut self, key: &str, now_ms: i64, failure: &Failure) -> Verdict {
        let Some(sealed) = self
            .groups
            .get_mut(key)
            .and_then(|group| group.sealed.as_mut())
        else {
            return Verdict::Again(now_ms);
        };
        sealed.attempts += 1;
        let (id, sealed_ms) = (&sealed.notification.id, sealed.notification.sealed_ms);
        let retry = self.terms.retry;
        let verdict = retry.verdict(id, sealed.attempts, sealed_ms, now_ms, failure);
        if let Verdict::Again(due_ms) = verdict {
            sealed.due_ms = due_ms;
            if matches!(failure, Failure::Temporary { after: Some(_), .. }) {
                self.paused_ms = self.paused_ms.max(due_ms);
            }
        }
        verdict
    }

    /// Failed attempts of a group's notification.
    pub fn attempts(&self, key: &str) -> u32 {
        let sealed = self.groups.get(key).and_then(|group| group.sealed.as_ref());
        sealed.map_or(0, |sealed| sealed.attempts)
    }

    /// Whether so much waits that no more records are to be read.
    pub fn is_full(&self) -> bool {
        self.groups.values().map(Group::bytes).sum::<usize>() >= WAITING_BYTES_MAX
    }

    /// Whether nothing waits and nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.groups
            .values()
            .all(|group| group.unfinished().is_none())
    }

    /// The next record in the order of the topic; what lies before it was read.
    pub fn read(&self) -> i64 {
        self.read
    }

    /// Records up to a partition's end hold nothing more, though their offsets are not all taken.
    pub fn read_to(&mut self, end: i64) {
        self.read = self.read.max(end);
    }
}

#[cfg(test)]
mod tests;
