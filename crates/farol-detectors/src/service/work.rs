//! A unit at work: its watches, how far it is, and which of its findings are open.

use std::collections::HashMap;
use std::sync::Arc;

use farol_lake::Marks;

use crate::definition::Unit;
use crate::finding::{Finding, State};
use crate::unit::Watches;

/// One unit at work.
pub(super) struct Work {
    pub unit: Arc<Unit>,
    pub watches: Watches,
    /// The end of the windows that the watches have seen; `None` before the first.
    pub judged_us: Option<i64>,
    /// The end of the windows whose findings are committed.
    pub told_us: Option<i64>,
    /// What the state in the lake was written at.
    pub stated_us: Option<i64>,
    /// The findings that are open.
    pub open: HashMap<String, Finding>,
}

impl Work {
    /// A unit that has seen nothing, with what the marks say of it.
    pub fn new(unit: Arc<Unit>, marks: &Marks) -> Self {
        let mark = |id: String| marks.get(&id).copied();
        Self {
            watches: Watches::default(),
            judged_us: None,
            told_us: mark(closed_id(&unit)),
            stated_us: mark(state_id(&unit)),
            open: HashMap::new(),
            unit,
        }
    }

    /// Takes over a finding.
    pub fn take(&mut self, finding: &Finding) {
        if finding.state == State::Open {
            self.open
                .insert(finding.finding_id.clone(), finding.clone());
        } else {
            self.open.remove(&finding.finding_id);
        }
    }

    /// Whether so much was judged since state was written that it is to be written again.
    pub fn is_state_due(&self, every_us: i64) -> bool {
        // After a change of definition all is learned anew, behind what was told; marks only grow.
        if self.judged_us < self.told_us {
            return false;
        }
        match (self.judged_us, self.stated_us) {
            (Some(judged_us), Some(stated_us)) => judged_us - stated_us >= every_us,
            (Some(_), None) => true,
            _ => false,
        }
    }

    /// Whether a commit is due without any finding: for state, or at the end for how far it is.
    pub fn is_to_be_told(&self, at_the_end: bool) -> bool {
        let Some(judged_us) = self.judged_us else {
            return false;
        };
        let untold = self.told_us.is_none_or(|told_us| told_us < judged_us);
        untold && (at_the_end || self.is_state_due(super::STATE_EVERY_US))
    }
}

/// The application id of the end of the windows whose findings are committed.
pub(crate) fn closed_id(unit: &Unit) -> String {
    format!("{}#closed_us", unit.app_id())
}

/// The application id of the end of the windows that the state in the lake has seen.
pub(super) fn state_id(unit: &Unit) -> String {
    format!("{}#state_us", unit.app_id())
}
