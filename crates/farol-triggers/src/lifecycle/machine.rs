//! The machine: what one window after the other makes of a segment's state.

use std::collections::VecDeque;

use super::{Cause, Interventions, Seen, State, Transition};
use crate::rule::{Judgement, NoData, Rule, Severity};

/// What a rule says about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The width of a window, in microseconds.
    pub window_us: i64,
    /// Windows in a row that must hold before it fires.
    pub hold_windows: u32,
    /// How long after a recovery it does not fire, in microseconds.
    pub cooldown_us: i64,
    /// What a window without rows means.
    pub no_data: NoData,
    /// How often it says again that it fires, in microseconds.
    pub renotify_us: Option<i64>,
    /// How bad it is that there are no rows.
    pub no_data_severity: Severity,
}

impl Terms {
    /// How long a window that held counts: twice as long as it must hold. So the state at a window depends on no
    /// window that is further back, but through what was published; and what was published stays right when the
    /// windows that led to it are no longer read.
    pub fn memory_us(&self) -> i64 {
        i64::from(self.hold_windows)
            .saturating_mul(2)
            .saturating_mul(self.window_us)
    }
}

impl From<&Rule> for Terms {
    fn from(rule: &Rule) -> Self {
        Self {
            window_us: rule.window_us,
            hold_windows: rule.hold_windows,
            cooldown_us: rule.cooldown_us,
            no_data: rule.no_data,
            renotify_us: rule.renotify_us,
            no_data_severity: rule.least_severity(),
        }
    }
}

/// A segment's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    state: State,
    severity: Severity,
    since_us: i64,
    /// The last windows that held, as many as must; none did not hold in between. A window that is not known
    /// leaves them as they are, but none is remembered for longer than [`Terms::memory_us`].
    held: VecDeque<i64>,
    /// Windows in a row without rows.
    absent: u32,
    /// The window at which it was last said that it fires.
    notified_us: i64,
    /// The window at which it recovered.
    recovered_us: Option<i64>,
    /// The window at which it began to fire.
    fired_us: i64,
    /// It was resolved by hand, and its condition has held ever since.
    held_off: bool,
}

impl Machine {
    /// A segment of which nothing was ever said.
    pub fn new() -> Self {
        Self {
            state: State::Ok,
            severity: Severity::Info,
            since_us: 0,
            held: VecDeque::new(),
            absent: 0,
            notified_us: 0,
            recovered_us: None,
            fired_us: 0,
            held_off: false,
        }
    }

    /// The state, how bad it is, and since which window.
    pub fn standing(&self) -> (State, Severity, i64) {
        (self.state, self.severity, self.since_us)
    }

    /// Takes over what was published of a window.
    pub fn take(&mut self, terms: &Terms, window_us: i64, fact: &Transition) {
        if fact.state.fires() && !self.state.fires() {
            self.fired_us = window_us;
        }
        self.state = fact.state;
        self.severity = fact.severity;
        self.since_us = fact.since_us;
        if fact.cause != Cause::Withdrawn {
            self.held_off = fact.cause == Cause::Resolved;
        }
        match (fact.cause, fact.state) {
            (Cause::Withdrawn, _) | (_, State::Ok) => {}
            (_, State::Alert | State::Warning) => self.notified_us = window_us,
            (_, State::Recovered) => self.recovered_us = Some(window_us),
            (_, State::NoData) => self.absent = self.absent.max(terms.hold_windows),
        }
    }

    /// Counts a window of history: nothing follows from it but what was published.
    pub fn pass(&mut self, terms: &Terms, window_us: i64, seen: Seen) {
        if let Some(judgement) = self.judged(terms, seen) {
            self.count(terms, window_us, judgement.holds);
        }
    }

    /// Takes a window; says what happens at it.
    pub fn step(
        &mut self,
        terms: &Terms,
        window_us: i64,
        seen: Seen,
        interventions: &Interventions,
    ) -> Option<Transition> {
        let found = self.look(terms, window_us, seen, interventions);
        if found.is_some_and(|to| to.state.fires() && !to.previous.fires()) {
            self.fired_us = window_us;
        }
        if !self.state.fires() || !interventions.resolved.contains(&window_us) {
            return found;
        }
        self.recovered_us = Some(window_us);
        let closed = self.go(State::Recovered, self.severity, window_us);
        self.held_off = true;
        Some(Transition {
            cause: Cause::Resolved,
            ..closed
        })
    }

    fn look(
        &mut self,
        terms: &Terms,
        window_us: i64,
        seen: Seen,
        interventions: &Interventions,
    ) -> Option<Transition> {
        let has_rows = seen != Seen::Nothing;
        let Some(judgement) = self.judged(terms, seen) else {
            return self.absence(terms, window_us);
        };
        self.count(terms, window_us, judgement.holds);
        if self.state.fires() {
            return self.firing(terms, window_us, judgement, interventions);
        }
        if self.held_off {
            // That it is over is said: who comes later, and reads fewer windows, must know it too.
            let over = judgement.holds == Some(false);
            return over.then(|| self.go(State::Ok, self.severity, window_us));
        }
        let cooling = |at: i64| window_us < at.saturating_add(terms.cooldown_us);
        let ready = judgement.holds == Some(true) && self.held.len() >= terms.hold_windows as usize;
        if ready && !self.recovered_us.is_some_and(cooling) {
            let since_us = self.held.front().copied().unwrap_or(window_us);
            self.notified_us = window_us;
            return Some(self.go(
                State::firing(judgement.severity),
                judgement.severity,
                since_us,
            ));
        }
        if self.state == State::NoData && has_rows {
            return Some(self.go(State::Ok, self.severity, window_us));
        }
        None
    }

    /// What the window says; `None` where it has no rows and that is no answer.
    fn judged(&mut self, terms: &Terms, seen: Seen) -> Option<Judgement> {
        match seen {
            Seen::Data(judgement) => {
                self.absent = 0;
                Some(judgement)
            }
            Seen::Nothing => {
                self.absent = self.absent.saturating_add(1);
                (terms.no_data == NoData::Ok).then_some(Judgement {
                    holds: Some(false),
                    recovers: Some(true),
                    severity: terms.no_data_severity,
                })
            }
        }
    }

    fn count(&mut self, terms: &Terms, window_us: i64, holds: Option<bool>) {
        let forgotten_us = window_us.saturating_sub(terms.memory_us());
        while self.held.front().is_some_and(|at| *at <= forgotten_us) {
            self.held.pop_front();
        }
        match holds {
            Some(true) => {
                self.held.push_back(window_us);
                if self.held.len() > terms.hold_windows as usize {
                    self.held.pop_front();
                }
            }
            Some(false) => self.held.clear(),
            None => {}
        }
    }

    fn absence(&mut self, terms: &Terms, window_us: i64) -> Option<Transition> {
        let due = terms.no_data == NoData::Alert && self.absent >= terms.hold_windows;
        if !due || self.state == State::NoData {
            return None;
        }
        let before =
            i64::from(terms.hold_windows.saturating_sub(1)).saturating_mul(terms.window_us);
        let since_us = window_us.saturating_sub(before);
        Some(self.go(State::NoData, terms.no_data_severity, since_us))
    }

    fn firing(
        &mut self,
        terms: &Terms,
        window_us: i64,
        judgement: Judgement,
        interventions: &Interventions,
    ) -> Option<Transition> {
        if judgement.recovers == Some(true) && judgement.holds != Some(true) {
            self.recovered_us = Some(window_us);
            return Some(self.go(State::Recovered, self.severity, window_us));
        }
        let since_us = self.since_us;
        if judgement.holds == Some(true) && judgement.severity != self.severity {
            self.notified_us = window_us;
            let state = State::firing(judgement.severity);
            return Some(self.go(state, judgement.severity, since_us));
        }
        let due = |every: i64| window_us.saturating_sub(self.notified_us) >= every;
        // What was said of the window itself when it was acknowledged stays.
        let mut acknowledged = interventions.acknowledged.range(self.fired_us..window_us);
        if terms.renotify_us.is_some_and(due) && acknowledged.next().is_none() {
            self.notified_us = window_us;
            let again = self.go(self.state, self.severity, since_us);
            return Some(Transition {
                cause: Cause::Renotified,
                ..again
            });
        }
        None
    }

    fn go(&mut self, state: State, severity: Severity, since_us: i64) -> Transition {
        let previous = self.state;
        self.state = state;
        self.severity = severity;
        self.since_us = since_us;
        self.held_off = false;
        Transition {
            cause: Cause::Changed,
            state,
            previous,
            severity,
            since_us,
        }
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}
