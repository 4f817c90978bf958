//! The windows of the last two weeks, and which of them a window is like.

use std::collections::VecDeque;

use farol_stats::series::seasonal::weekday;
use serde::{Deserialize, Serialize};

use super::Counts;

const DAY_US: i64 = 86_400_000_000;
/// How far back windows are compared.
const DAYS: i64 = 14;
/// The first day of the weekend, from Monday on.
const SATURDAY: usize = 5;

/// Counts of windows, in order of time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct History(VecDeque<(i64, Counts)>);

impl History {
    /// Remembers a window, where it is usual, and forgets those that are too old.
    pub fn push(&mut self, window_us: i64, counts: Counts, is_usual: bool) {
        while self
            .0
            .front()
            .is_some_and(|(start_us, _)| window_us - start_us > DAYS * DAY_US)
        {
            self.0.pop_front();
        }
        if is_usual {
            self.0.push_back((window_us, counts));
        }
    }

    /// The windows at the same time of day, of days of the same kind: workdays or weekends.
    pub fn like(&self, window_us: i64) -> Vec<(i64, &Counts)> {
        let is_weekend = |us: i64| weekday(us.div_euclid(1_000_000)) >= SATURDAY;
        self.0
            .iter()
            .filter(|(start_us, _)| {
                (window_us - start_us) % DAY_US == 0
                    && window_us - start_us <= DAYS * DAY_US
                    && is_weekend(*start_us) == is_weekend(window_us)
            })
            .map(|(start_us, counts)| (*start_us, counts))
            .collect()
    }
}
