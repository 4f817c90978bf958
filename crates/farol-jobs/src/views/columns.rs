//! The columns of jobs' measures, found once: to find them a plan is optimized, and they do not change with what is stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::common::Result;

/// How many are kept; beyond that all are found again.
const KEPT_MAX: usize = 1_000;

/// A job, its windows, its segments, and whether a rollup is read: what a plan's columns depend on.
pub(super) type Asked = (String, String, Vec<String>, bool);

/// Columns that were found. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct KnownColumns(Arc<Mutex<HashMap<Asked, SchemaRef>>>);

impl KnownColumns {
    /// The columns of what is asked, which are looked for where they are not known yet.
    pub(super) fn of(
        &self,
        asked: Asked,
        find: impl FnOnce() -> Result<SchemaRef>,
    ) -> Result<SchemaRef> {
        if let Some(known) = self.known().get(&asked) {
            return Ok(known.clone());
        }
        let found = find()?;
        let mut known = self.known();
        if known.len() >= KEPT_MAX {
            known.clear();
        }
        known.insert(asked, found.clone());
        Ok(found)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Asked, SchemaRef>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
