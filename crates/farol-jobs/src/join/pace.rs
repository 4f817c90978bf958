//! How often calls are looked for everywhere.

use std::time::{Duration, Instant};

/// After a look everywhere, so many times as long as it took is left to other work.
const PAUSE_FACTOR: u32 = 4;

/// When calls are looked for everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// As often as it takes a fifth of the time at the most.
    WhenDue,
    /// Now: whoever waits wants an end.
    Now,
}

/// How often calls are looked for everywhere: what it takes grows with the lake, so its share of the time is bounded, and
/// what came in the meantime is looked for together.
#[derive(Debug, Default)]
pub(super) struct Pace {
    not_before: Option<Instant>,
}

impl Pace {
    pub(super) fn is_due(&self, search: Search) -> bool {
        search == Search::Now || self.not_before.is_none_or(|at| Instant::now() >= at)
    }

    pub(super) fn took(&mut self, time: Duration) {
        self.not_before = Instant::now().checked_add(time * PAUSE_FACTOR);
    }
}
