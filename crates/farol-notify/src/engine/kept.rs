//! What an engine remembers beyond a restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::group::Group;

/// How far a route is in a partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The first offset that is not done with: told, dead or of no concern.
    pub next: i64,
    /// The partition's end when the route began. Of what lies before it, only what is still wrong is told.
    pub history_end: i64,
}

/// A route in a partition, as it was left.
#[derive(Debug, Default)]
pub struct Kept {
    /// How far.
    pub position: Position,
    pub(super) groups: BTreeMap<String, Group>,
}

impl Kept {
    /// Puts a group back.
    ///
    /// # Errors
    /// Where the bytes are not those of a group.
    pub fn restore(&mut self, key: &str, bytes: &[u8]) -> Result<(), String> {
        let group = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        self.groups.insert(key.to_owned(), group);
        Ok(())
    }

    /// The topic is another one now: what is open stays so, and offsets mean nothing.
    pub(crate) fn forget_offsets(&mut self) {
        for group in self.groups.values_mut() {
            group.settled = 0;
            group.keep_until = 0;
            if let Some(sealed) = &mut group.sealed {
                sealed.from = 0;
            }
        }
    }

    /// The notifications that are on their way, and how many alerts are open, group by group.
    pub fn groups(&self) -> impl Iterator<Item = (&str, usize, Option<&crate::Notification>)> {
        self.groups.iter().map(|(key, group)| {
            let sealed = group.sealed.as_ref();
            (
                key.as_str(),
                group.open.len(),
                sealed.map(|sealed| &sealed.notification),
            )
        })
    }
}

/// A group that changed: its key, and what is to be kept of it; `None`: nothing any more.
pub type Changed = (String, Option<Vec<u8>>);

impl Engine {
    /// How far the route is.
    pub fn position(&self) -> Position {
        let unfinished = self.groups.values().filter_map(Group::unfinished);
        Position {
            next: unfinished.min().unwrap_or(self.read).min(self.read),
            history_end: self.history_end,
        }
    }

    /// What is to be kept, now that it changed. Groups of which there is nothing left to know are dropped.
    ///
    /// # Errors
    /// Where a group cannot be written down.
    pub fn take_changes(&mut self) -> Result<Vec<Changed>, String> {
        let done = self.position().next;
        let over: Vec<String> = self
            .groups
            .iter()
            .filter(|(_, group)| group.is_over(done))
            .map(|(key, _)| key.clone())
            .collect();
        let mut changes = Vec::new();
        for key in over {
            self.groups.remove(&key);
            self.changed.remove(&key);
            if self.kept.remove(&key) {
                changes.push((key, None));
            }
        }
        for key in std::mem::take(&mut self.changed) {
            if let Some(group) = self.groups.get(&key) {
                let bytes = serde_json::to_vec(group).map_err(|error| error.to_string())?;
                changes.push((key.clone(), Some(bytes)));
                self.kept.insert(key);
            }
        }
        Ok(changes)
    }
}
