//! The windows that are remembered, and which of them a window is compared with.

use std::collections::{BTreeMap, VecDeque};

use farol_stats::watch::Span;
use serde::{Deserialize, Serialize};

use super::{Counts, sum};
use crate::definition::{Calendar, Reference};

const DAY_US: i64 = 86_400_000_000;
/// How far back windows are compared.
pub(super) const DAYS: i64 = 14;

/// A reference: where it begins, and its counts.
pub(super) type Known = (i64, Counts);

/// Counts of windows, in order of time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct History(VecDeque<(i64, Counts)>);

impl History {
    /// Remembers a window, where it is usual, and forgets those that are not compared with any more.
    pub fn push(&mut self, reference: Reference, window_us: i64, counts: Counts, is_usual: bool) {
        let is_wanted = match reference {
            Reference::Pinned(pinned) => is_within(pinned, window_us),
            _ => is_usual,
        };
        if !matches!(reference, Reference::Pinned(_)) {
            let is_old = |start_us: i64| window_us - start_us > DAYS * DAY_US;
            while self.0.front().is_some_and(|(us, _)| is_old(*us)) {
                self.0.pop_front();
            }
        }
        if is_wanted {
            self.0.push_back((window_us, counts));
        }
    }

    /// What a window is compared with, each with where it begins, in order.
    pub fn references(
        &self,
        reference: Reference,
        calendar: &Calendar,
        window_us: i64,
    ) -> Vec<Known> {
        match reference {
            Reference::SameHour => self.same_hour(calendar, window_us),
            Reference::Trailing => self.by_day(window_us, window_us),
            // A time is not compared with itself.
            Reference::Pinned(pinned) if is_within(pinned, window_us) => Vec::new(),
            Reference::Pinned(pinned) => self.by_day(pinned.end_us, window_us),
        }
    }

    /// The windows at the same time of day, of days of the same kind: workdays, or weekends and holidays.
    fn same_hour(&self, calendar: &Calendar, window_us: i64) -> Vec<Known> {
        let is_day_off = calendar.is_day_off(window_us);
        let times: Vec<i64> = (1..=DAYS)
            .map(|days| calendar.days_before(window_us, days))
            .filter(|us| calendar.is_day_off(*us) == is_day_off)
            .collect();
        let found = self.0.iter().filter(|(us, _)| times.contains(us));
        found.cloned().collect()
    }

    /// Windows before a time, put together day by day, counted back from an end.
    fn by_day(&self, end_us: i64, before_us: i64) -> Vec<Known> {
        let mut days: BTreeMap<i64, Vec<&Counts>> = BTreeMap::new();
        for (us, counts) in self.0.iter().filter(|(us, _)| *us < before_us) {
            let day = (us - end_us).div_euclid(DAY_US);
            days.entry(end_us + day * DAY_US).or_default().push(counts);
        }
        let whole = |(us, of_day): (i64, Vec<&Counts>)| (us, sum(of_day.into_iter()));
        days.into_iter().map(whole).collect()
    }
}

fn is_within(span: Span, us: i64) -> bool {
    (span.start_us..span.end_us).contains(&us)
}
