//! The alert lifecycle of one rule and one segment: a pure function over its windows.
//!
//! ```text
//! what was published (facts) ──┐
//! windows: what each says ─────┴──▶ decide ──▶ what is to be published, with revisions
//! ```
//!
//! There is no state beside the windows and what was published. [`decide`] runs the machine over the windows, in
//! order, and compares the transitions it finds with those that are published. Windows before the *horizon* are
//! history: there the published transitions are taken as they are. From the horizon on, the first window that
//! differs, and everything after it, goes out again as a higher revision. So the same windows and the same facts
//! give the same actions, whoever asks, and however often; and after they are published, none.

mod machine;

use std::collections::{BTreeMap, BTreeSet};

use crate::rule::{Judgement, Severity};

pub use machine::{Machine, Terms};

/// What a segment is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing is wrong.
    Ok,
    /// The rule fires, and its severity is less than critical.
    Warning,
    /// The rule fires, and it is critical.
    Alert,
    /// There are no rows.
    NoData,
    /// It has fired, and does not any more.
    Recovered,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Ok,
        Self::Warning,
        Self::Alert,
        Self::NoData,
        Self::Recovered,
    ];

    /// The word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Alert => "alert",
            Self::NoData => "no_data",
            Self::Recovered => "recovered",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// Whether the rule fires.
    pub fn fires(self) -> bool {
        matches!(self, Self::Warning | Self::Alert)
    }

    /// Whether somebody is told of it: it fires, or data are missing that should be there.
    pub fn tells(self) -> bool {
        self.fires() || self == Self::NoData
    }

    /// The state of a rule that fires with this severity.
    pub fn firing(severity: Severity) -> Self {
        match severity {
            Severity::Critical => Self::Alert,
            Severity::Info | Severity::Warning => Self::Warning,
        }
    }
}

/// Why an action goes out at a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The state or the severity changed.
    Changed,
    /// It still fires, and that is said again.
    Renotified,
    /// Late data: what was published of this window does not hold any more.
    Withdrawn,
    /// An operator closed the alert by hand.
    Resolved,
    /// Nobody is to be notified of it any more: a silence begins, or the alert of a rule that mutes it fires.
    Muted,
    /// It still fires, and what muted it is over.
    Unmuted,
    /// An operator sees to it.
    Acknowledged,
    /// It has fired for so long, and nobody sees to it.
    Escalated,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 8] = [
        Self::Changed,
        Self::Renotified,
        Self::Withdrawn,
        Self::Resolved,
        Self::Muted,
        Self::Unmuted,
        Self::Acknowledged,
        Self::Escalated,
    ];

    /// The word in the `actions` table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Renotified => "renotified",
            Self::Withdrawn => "withdrawn",
            Self::Resolved => "resolved",
            Self::Muted => "muted",
            Self::Unmuted => "unmuted",
            Self::Acknowledged => "acknowledged",
            Self::Escalated => "escalated",
        }
    }

    /// Whether the lifecycle says it, and so takes it as a fact. The others are about who is to be disturbed, and change
    /// no state.
    pub fn is_of_lifecycle(self) -> bool {
        match self {
            Self::Changed | Self::Renotified | Self::Withdrawn | Self::Resolved => true,
            Self::Muted | Self::Unmuted | Self::Acknowledged | Self::Escalated => false,
        }
    }

    /// The cause of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// What happens to a segment at a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Why.
    pub cause: Cause,
    /// The state from this window on.
    pub state: State,
    /// The state before it.
    pub previous: State,
    /// How bad it is, or was.
    pub severity: Severity,
    /// The first window of the state, in microseconds.
    pub since_us: i64,
}

/// A transition that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// What was said.
    pub transition: Transition,
    /// How often it was said anew.
    pub revision: i64,
}

/// What a window says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It has no rows.
    Nothing,
    /// It has rows, and this is what the rule says of them.
    Data(Judgement),
}

/// Something to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// The window's start, in microseconds.
    pub window_us: i64,
    /// What happens at it.
    pub transition: Transition,
    /// 0 at first; each time what was said of a segment from some window on is said anew, one higher.
    pub revision: i64,
}

/// The windows to look at, by their starts in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first one, whose rows count towards `for`.
    pub start_us: i64,
    /// The first one that is not history.
    pub horizon_us: i64,
    /// The end: the first one that is not closed.
    pub closed_us: i64,
}

/// What operators said of an alert: the windows from which on it counts.
#[derive(Debug, Clone, Default)]
pub struct Interventions {
    /// It is seen to: no need to say again that it fires, until it recovers.
    pub acknowledged: BTreeSet<i64>,
    /// It is closed, and fires again only after its condition did not hold.
    pub resolved: BTreeSet<i64>,
}

/// Decides what is to be published, in order.
///
/// `before` is the machine as the facts before the range leave it, `facts` are those in the range, the highest
/// revision of each window; `seen` says what each window shows.
pub fn decide(
    terms: &Terms,
    before: &Machine,
    facts: &BTreeMap<i64, Fact>,
    range: Range,
    interventions: &Interventions,
    mut seen: impl FnMut(i64) -> Seen,
) -> Vec<Decided> {
    let mut machine = before.clone();
    let mut found: BTreeMap<i64, Transition> = BTreeMap::new();
    // The state that each window with a fact ends in now, for what has to be withdrawn.
    let mut ends: BTreeMap<i64, (State, Severity, i64)> = BTreeMap::new();
    let mut window_us = range.start_us;
    while window_us < range.closed_us {
        let shown = seen(window_us);
        if window_us < range.horizon_us {
            machine.pass(terms, window_us, shown);
            if let Some(fact) = facts.get(&window_us) {
                machine.take(terms, window_us, &fact.transition);
            }
        } else {
            if let Some(transition) = machine.step(terms, window_us, shown, interventions) {
                found.insert(window_us, transition);
            }
            if facts.contains_key(&window_us) {
                ends.insert(window_us, machine.standing());
            }
        }
        window_us += terms.window_us;
    }
    differences(range.horizon_us, &found, facts, &ends)
}

/// From the first window on that differs, everything, as a higher revision: the last message is then always the
/// present state.
fn differences(
    horizon_us: i64,
    found: &BTreeMap<i64, Transition>,
    facts: &BTreeMap<i64, Fact>,
    ends: &BTreeMap<i64, (State, Severity, i64)>,
) -> Vec<Decided> {
    let published = |window: &i64| facts.get(window).map(|fact| fact.transition);
    let stands =
        |window: &i64| published(window).filter(|transition| transition.cause != Cause::Withdrawn);
    let mut windows: Vec<i64> = found.keys().copied().collect();
    windows.extend(facts.range(horizon_us..).map(|(window, _)| *window));
    windows.sort_unstable();
    windows.dedup();
    let differs = |window: &i64| found.get(window).copied() != stands(window);
    let Some(first) = windows.iter().position(differs) else {
        return Vec::new();
    };
    let said = windows[first..]
        .iter()
        .filter_map(|window| facts.get(window));
    let revision = said.map(|fact| fact.revision + 1).max().unwrap_or(0);
    let again = windows[first..].iter().filter_map(|window| {
        let transition = if let Some(transition) = found.get(window) {
            *transition
        } else {
            let (state, severity, since_us) = *ends.get(window)?;
            Transition {
                cause: Cause::Withdrawn,
                state,
                previous: published(window)?.state,
                severity,
                since_us,
            }
        };
        Some(Decided {
            window_us: *window,
            transition,
            revision,
        })
    });
    again.collect()
}

#[cfg(test)]
mod tests;
