//! What Farol itself tells of its own parts: which fail, since long enough, and what was said of them.
//!
//! ```text
//! part, fails or not ──lasts──▶ decide (pure) ──▶ an alert that fires and recovers
//!                 what was published ──┘
//! ```
//!
//! The clock decides only when to look, and that a failure must last; an alert's window is the one that the part has come to.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::action::Action;
use crate::lifecycle::{Cause, Decided, Fact, State, Transition};
use crate::rule::Severity;

/// Which parts of one kind fail.
pub(crate) struct Failing {
    /// How long a part must fail, or be well again, before that is told.
    lasts: Duration,
    /// Since when each part fails, or does not.
    seen: BTreeMap<String, (bool, Instant)>,
    /// What was last published of each part, with its window.
    told: BTreeMap<String, (i64, Fact)>,
}

impl Failing {
    /// Nothing is known to fail.
    pub fn new(lasts: Duration) -> Self {
        Self {
            lasts,
            seen: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// Takes over what was published of a part.
    pub fn take(&mut self, part: &str, action: &Action) {
        let fact = Fact {
            transition: action.transition,
            revision: action.revision,
        };
        self.told.insert(part.to_owned(), (action.window_us, fact));
    }

    /// Whether a part has failed, or not failed, for long enough.
    pub fn lasts(&mut self, part: &str, fails: bool, now: Instant) -> bool {
        let seen = self.seen.entry(part.to_owned()).or_insert((fails, now));
        if seen.0 != fails {
            *seen = (fails, now);
        }
        now - seen.1 >= self.lasts
    }

    /// Whether it was told that a part fails, and not that it is well again. What an operator closed while it failed is
    /// waited for too.
    pub fn is_told(&self, part: &str) -> bool {
        let told = self.told.get(part);
        told.is_some_and(|(_, fact)| fact.transition.state.fires() || is_held_off(fact))
    }

    /// What is to be said of a part that fails, or does not, and has come to a window.
    pub fn decide(&self, part: &str, fails: bool, at_us: i64) -> Option<Decided> {
        decide(self.told.get(part).copied(), fails, at_us)
    }
}

/// Whether it was resolved by hand: it fires again only after it was well.
fn is_held_off(fact: &Fact) -> bool {
    fact.transition.cause == Cause::Resolved
}

/// What is to be said of a part that fails, or does not, and has come to a window.
fn decide(told: Option<(i64, Fact)>, fails: bool, at_us: i64) -> Option<Decided> {
    let previous = told.map_or(State::Ok, |(_, fact)| fact.transition.state);
    let held_off = told.is_some_and(|(_, fact)| is_held_off(&fact));
    let state = match (previous.fires(), fails) {
        (_, true) if held_off => return None,
        (_, false) if held_off => State::Ok,
        (false, true) => State::Alert,
        (true, false) => State::Recovered,
        _ => return None,
    };
    // A replacement of all its past can take a part's watermark back; what is told goes on.
    let window_us = told.map_or(at_us, |(window_us, _)| window_us.max(at_us));
    let revision = match told {
        Some((known_us, fact)) if known_us == window_us => fact.revision + 1,
        _ => 0,
    };
    Some(Decided {
        window_us,
        transition: Transition {
            cause: Cause::Changed,
            state,
            previous,
            severity: Severity::Critical,
            since_us: window_us,
        },
        revision,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_and_its_end_are_told_once_each_and_no_two_alike() {
        let mut told = None;
        let mut said = Vec::new();
        for (fails, at_us) in [
            (false, 0),
            (true, 60),
            (true, 60),
            (false, 60),
            (false, 120),
            (true, 120),
            (false, 30),
        ] {
            if let Some(decided) = decide(told, fails, at_us) {
                let Decided {
                    window_us,
                    transition,
                    revision,
                } = decided;
                told = Some((
                    window_us,
                    Fact {
                        transition,
                        revision,
                    },
                ));
                said.push((window_us, revision, transition.previous, transition.state));
            }
        }
        assert_eq!(
            said,
            [
                (60, 0, State::Ok, State::Alert),
                (60, 1, State::Alert, State::Recovered),
                (120, 0, State::Recovered, State::Alert),
                (120, 1, State::Alert, State::Recovered),
            ]
        );
    }

    #[test]
    fn what_does_not_last_is_not_told() {
        let mut failing = Failing::new(Duration::from_secs(10));
        let start = Instant::now();
        let mut at =
            |seconds, fails| failing.lasts("spend", fails, start + Duration::from_secs(seconds));
        assert!(!at(0, true));
        assert!(!at(9, true));
        assert!(!at(10, false), "it went on well in between");
        assert!(!at(12, true));
        assert!(!at(21, true));
        assert!(at(22, true));
    }
}
