//! The windows that are remembered, and which of them a window is compared with: always those at the same time of day.

use std::collections::{BTreeSet, VecDeque};

use farol_stats::watch::Span;
use serde::{Deserialize, Serialize};

use super::Counts;
use crate::definition::{Calendar, Reference};

const DAY_US: i64 = 86_400_000_000;
/// How far back windows are compared, where the reference moves.
const DAYS: i64 = 14;

/// Counts of windows, in order of time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct History(VecDeque<(i64, Counts)>);

impl History {
    /// Remembers a window that may be compared with later, and forgets those that are too old.
    pub fn push(&mut self, reference: Reference, window_us: i64, counts: Counts, is_usual: bool) {
        let is_wanted = match reference {
            Reference::Pinned(pinned) => is_within(pinned, window_us),
            Reference::SameHour | Reference::Trailing => {
                let is_old = |us: i64| window_us - us > DAYS * DAY_US;
                while self.0.front().is_some_and(|(us, _)| is_old(*us)) {
                    self.0.pop_front();
                }
                is_usual
            }
        };
        if is_wanted {
            self.0.push_back((window_us, counts));
        }
    }

    /// The windows that one is compared with, in order.
    pub fn references(
        &self,
        reference: Reference,
        calendar: &Calendar,
        window_us: i64,
    ) -> Vec<(i64, &Counts)> {
        let times = times(reference, calendar, window_us);
        let known = self.0.iter().filter(|(us, _)| times.contains(us));
        known.map(|(us, counts)| (*us, counts)).collect()
    }
}

/// The starts of the windows that one is compared with: at its time of day, by the clock, of the reference's days.
pub(super) fn times(reference: Reference, calendar: &Calendar, window_us: i64) -> BTreeSet<i64> {
    let days = match reference {
        Reference::SameHour | Reference::Trailing => DAYS,
        // A time is not compared with itself.
        Reference::Pinned(pinned) if is_within(pinned, window_us) => 0,
        Reference::Pinned(pinned) => (window_us - pinned.start_us).div_euclid(DAY_US) + 1,
    };
    let is_of = |us: &i64| match reference {
        Reference::SameHour => calendar.is_day_off(*us) == calendar.is_day_off(window_us),
        Reference::Trailing => true,
        Reference::Pinned(pinned) => is_within(pinned, *us),
    };
    (1..=days)
        .map(|days| calendar.days_before(window_us, days))
        .filter(is_of)
        .collect()
}

fn is_within(span: Span, us: i64) -> bool {
    (span.start_us..span.end_us).contains(&us)
}
