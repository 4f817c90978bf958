//! What was told of one segment of a budget: the highest revision of everything, as the `actions` table has it.

use std::collections::BTreeMap;

use super::definition::Threshold;
use super::ledger::Said;
use super::period::Span;
use super::standing::Standing;

/// What was told of a segment.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The last revision of each threshold, and whether it stands.
    pub(super) thresholds: BTreeMap<(Span, Threshold), (i64, bool)>,
    /// The last revision of each closed period.
    pub(super) statements: BTreeMap<Span, (i64, Standing)>,
    /// The last revision of the state of each period.
    pub(super) states: BTreeMap<Span, i64>,
    /// The last state, and its period.
    pub(super) state: Option<(Span, Standing)>,
}

impl Facts {
    /// Takes over what was told. In the order in which it was told.
    pub fn take(&mut self, span: Span, revision: i64, said: Said) {
        match said {
            Said::Threshold {
                threshold,
                withdrawn,
                ..
            } => {
                let told = (revision, !withdrawn);
                self.thresholds.insert((span, threshold), told);
            }
            Said::Statement(standing) => {
                self.statements.insert(span, (revision, standing));
            }
            Said::State(standing) => {
                self.states.insert(span, revision);
                self.state = Some((span, standing));
            }
        }
    }

    /// The last state that was told, and its period.
    pub fn state(&self) -> Option<&(Span, Standing)> {
        self.state.as_ref()
    }

    /// Notes that the budget was said to be no more: its state is told anew if it comes back.
    pub fn take_removal(&mut self, span: Span, revision: i64) {
        self.states.insert(span, revision);
        self.state = None;
    }

    /// The revision that the next state of a period has.
    pub fn next_state_revision(&self, span: Span) -> i64 {
        self.states.get(&span).map_or(0, |revision| revision + 1)
    }

    /// Forgets periods that ended before a time: they are judged no more.
    pub fn forget_before(&mut self, time_us: i64) {
        self.thresholds
            .retain(|(span, _), _| span.end_us >= time_us);
        self.statements.retain(|span, _| span.end_us >= time_us);
        self.states.retain(|span, _| span.end_us >= time_us);
    }
}
