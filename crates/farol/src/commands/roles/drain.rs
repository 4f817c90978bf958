//! The end of a drain, which goes from role to role: each ends when it has done all that the one before it left.

use tokio_util::sync::CancellationToken;

use crate::cli::Role;

/// A token for each role that reads what another wrote.
#[derive(Clone, Default)]
pub(super) struct Drain {
    jobs: CancellationToken,
    detectors: CancellationToken,
    triggers: CancellationToken,
    publisher: CancellationToken,
}

impl Drain {
    /// Cancelled when nothing more will be added to what the role reads.
    pub fn of(&self, role: Role) -> CancellationToken {
        match role {
            Role::Jobs => self.jobs.clone(),
            Role::Detectors => self.detectors.clone(),
            Role::Triggers => self.triggers.clone(),
            _ => self.publisher.clone(),
        }
    }

    /// A role has ended: tells the next one that is played here, or, after the last, everything.
    pub fn next(&self, ended: Option<Role>, played: &[Role], stop: &CancellationToken) {
        let after = ended.and_then(|role| Role::DRAINED.iter().position(|known| *known == role));
        let rest = &Role::DRAINED[after.map_or(0, |place| place + 1)..];
        match rest.iter().find(|role| played.contains(role)) {
            Some(role) => self.of(*role).cancel(),
            None => stop.cancel(),
        }
    }
}
