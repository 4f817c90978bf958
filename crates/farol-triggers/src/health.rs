//! What keeps triggers and the publisher from doing their work, for `/readyz`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The reasons, by who has them. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, String>>>);

impl Health {
    /// The reasons; empty where there are none.
    pub fn reasons(&self) -> Vec<String> {
        let reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reasons
            .iter()
            .map(|(who, reason)| format!("{who}: {reason}"))
            .collect()
    }

    pub(crate) fn set(&self, who: &str, reason: Option<String>) {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => reasons.insert(who.to_owned(), reason),
            None => reasons.remove(who),
        };
    }
}
