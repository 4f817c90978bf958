//! A notification: what is said at once of one group. Plain data, so that it can be kept and sent again.

use std::fmt::Write as _;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::alert::{Alert, Severity};

/// What a notification says of its group as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Something of the group is wrong.
    Firing,
    /// It is wrong still, and people have said that they are at it.
    Acknowledged,
    /// All of it is over.
    Resolved,
}

impl Status {
    /// The word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

/// How many alerts a notification is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Those that began.
    pub new: usize,
    /// Those that are told of again: another severity, an acknowledgement, a reminder.
    pub updated: usize,
    /// Those that are over.
    pub resolved: usize,
    /// Those of the group that are open after it, as far as they are remembered: 10,000.
    pub open: usize,
    /// Those that it does not name, for there are too many.
    pub unnamed: usize,
}

/// What is said at once of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Its id: the same whenever it is sent again, so that a receiver can drop it.
    pub id: String,
    /// The route that it is sent by.
    pub route: String,
    /// What its alerts have in common.
    pub group: BTreeMap<String, String>,
    /// What receivers know the group's alerts by, from the first one until all are over: the id of the alert that led
    /// the first notification.
    pub incident: String,
    /// What it says as a whole.
    pub status: Status,
    /// The worst severity in it.
    pub severity: Severity,
    /// Whether it is the first of its incident.
    pub is_first: bool,
    /// How many alerts it is about.
    pub counts: Counts,
    /// The alerts that it names, the worst first.
    pub alerts: Vec<Alert>,
    /// When it was made, in milliseconds since the epoch.
    pub sealed_ms: i64,
    /// Whether it is a test, asked for by a person.
    #[serde(default)]
    pub is_test: bool,
}

/// The id of a notification: of the route, the group, and the transitions that it tells.
pub(crate) fn id<'a>(route: &str, group: &str, actions: impl Iterator<Item = &'a str>) -> String {
    let mut actions: Vec<&str> = actions.collect();
    actions.sort_unstable();
    let mut hash = Sha256::new();
    for part in [route, group].into_iter().chain(actions) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize()[..16])
}

/// Bytes as an id is written.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_of_what_is_told_in_whatever_order() {
        let one = id("r", "g", ["a", "b"].into_iter());
        assert_eq!(one, id("r", "g", ["b", "a"].into_iter()));
        assert_eq!(one.len(), 32);
        assert_ne!(one, id("r", "g", ["ab"].into_iter()));
        assert_ne!(one, id("r", "h", ["a", "b"].into_iter()));
    }
}
