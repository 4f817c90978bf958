//! Which roles this process plays, and what keeps each from being ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// The roles of this process; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Vec<String>>>>);

/// A role's handle to say whether it is ready.
#[derive(Debug, Clone)]
pub struct RoleState {
    readiness: Readiness,
    name: &'static str,
}

/// What `/readyz` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Every role is ready.
    pub(crate) ready: bool,
    roles: Vec<RoleReport>,
}

#[derive(Debug, Serialize)]
struct RoleReport {
    name: &'static str,
    ready: bool,
    reasons: Vec<String>,
}

impl Readiness {
    /// Adds a role. It is not ready until it says so.
    pub fn register(&self, name: &'static str) -> RoleState {
        self.roles().insert(name, vec!["it is starting".to_owned()]);
        RoleState {
            readiness: self.clone(),
            name,
        }
    }

    pub(crate) fn report(&self) -> Report {
        let role = |(name, reasons): (&&'static str, &Vec<String>)| RoleReport {
            name,
            ready: reasons.is_empty(),
            reasons: reasons.clone(),
        };
        let roles: Vec<_> = self.roles().iter().map(role).collect();
        Report {
            ready: roles.iter().all(|role| role.ready),
            roles,
        }
    }

    // A role that panicked with the lock in hand left a whole map: inserting is all that happens under it.
    fn roles(&self) -> MutexGuard<'_, BTreeMap<&'static str, Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RoleState {
    /// Says what keeps the role from being ready; nothing, when it is.
    pub fn set(&self, reasons: &[String]) {
        self.readiness.roles().insert(self.name, reasons.to_vec());
    }
}
