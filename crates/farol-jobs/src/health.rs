//! What keeps jobs from being level, for `/readyz`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The reasons why jobs are not level, by job. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, String>>>);

impl Health {
    /// The reasons; empty where every job is level.
    pub fn reasons(&self) -> Vec<String> {
        let reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reasons
            .iter()
            .map(|(job, reason)| format!("job {job}: {reason}"))
            .collect()
    }

    pub(crate) fn set(&self, job: &str, reason: Option<String>) {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => reasons.insert(job.to_owned(), reason),
            None => reasons.remove(job),
        };
    }
}
