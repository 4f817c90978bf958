//! Whether ingest is keeping up, for `/readyz` and whoever else asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Records behind which ingest is not called caught up.
const CAUGHT_UP_RECORDS: i64 = 100_000;

#[derive(Debug, Default)]
struct State {
    assigned: bool,
    partitions: usize,
    lag_records: i64,
    stopped: Vec<String>,
    failing: BTreeMap<&'static str, String>,
}

/// A handle on ingest's health; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<State>>);

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn commit(&self, table: &'static str, failure: Option<&str>) {
        match failure {
            Some(reason) => self.state().failing.insert(table, reason.to_owned()),
            None => self.state().failing.remove(table),
        };
    }

    pub(crate) fn partitions(&self, partitions: usize, lag_records: i64, stopped: Vec<String>) {
        let mut state = self.state();
        (state.partitions, state.lag_records, state.stopped) = (partitions, lag_records, stopped);
        state.assigned = true;
    }

    /// What keeps ingest from being ready; empty when it is. An instance without partitions is ready: it
    /// stands by.
    pub fn reasons(&self) -> Vec<String> {
        let state = self.state();
        let mut reasons = state.stopped.clone();
        if !state.assigned {
            reasons.push("Kafka has not handed out partitions yet".to_owned());
        }
        if state.lag_records > CAUGHT_UP_RECORDS {
            reasons.push(format!("{} records behind", state.lag_records));
        }
        for (table, reason) in &state.failing {
            reasons.push(format!("commits to `{table}` fail: {reason}"));
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_nothing_speaks_against_it() {
        let health = Health::default();
        assert_eq!(health.reasons().len(), 1);
        health.partitions(4, 0, Vec::new());
        assert_eq!(health.reasons(), [""; 0]);
        health.commit("traces", Some("the store answered 500"));
        health.partitions(
            4,
            CAUGHT_UP_RECORDS + 1,
            vec!["partition 1 is stopped".to_owned()],
        );
        assert_eq!(health.reasons().len(), 3);
        health.commit("traces", None);
        assert_eq!(health.reasons().len(), 2);
    }
}
