//! Periods: which one a time is in, and how they follow each other.
//!
//! Calendar periods are windows of a [`Grain`](farol_jobs::Grain), so a day has 23 or 25 hours when the clock is changed. A
//! rolling period is known by its end, a whole number of steps since the epoch; it holds the time before that end.

use super::definition::{Budget, Period};
use farol_jobs::time::floor;

/// A period: its start, and its end, which is not in it. Microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The start.
    pub start_us: i64,
    /// The end.
    pub end_us: i64,
}

impl Budget {
    /// The period that is open at a time; `None` beyond the years 0 to 9999.
    pub fn period_at(&self, time_us: i64) -> Option<Span> {
        match self.period {
            Period::Calendar(grain) => {
                let (start_us, end_us) = grain.window_of(time_us)?;
                Some(Span { start_us, end_us })
            }
            Period::Rolling { length_us, step_us } => {
                let end_us = floor(time_us, step_us).checked_add(step_us)?;
                let start_us = end_us.checked_sub(length_us)?;
                Some(Span { start_us, end_us })
            }
        }
    }

    /// The period after one.
    pub fn period_after(&self, span: Span) -> Option<Span> {
        self.period_at(span.end_us)
    }

    /// The period before one.
    pub fn period_before(&self, span: Span) -> Option<Span> {
        match self.period {
            Period::Calendar(_) => self.period_at(span.start_us.checked_sub(1)?),
            Period::Rolling { step_us, .. } => {
                let move_back = |time_us: i64| time_us.checked_sub(step_us);
                Some(Span {
                    start_us: move_back(span.start_us)?,
                    end_us: move_back(span.end_us)?,
                })
            }
        }
    }

    /// The bucket in which spend of a time is added up: the period itself, or a step of a rolling one.
    pub fn bucket_of(&self, time_us: i64) -> Option<i64> {
        match self.period {
            Period::Calendar(grain) => Some(grain.window_of(time_us)?.0),
            Period::Rolling { step_us, .. } => Some(floor(time_us, step_us)),
        }
    }

    /// Whether its periods roll.
    pub fn is_rolling(&self) -> bool {
        matches!(self.period, Period::Rolling { .. })
    }
}
