//! What was spent, segment by segment, in buckets that periods are made of. A cache of what partials say: sums, so that
//! the order in which they arrive does not matter.

use std::collections::{BTreeMap, BTreeSet};

use farol_jobs::Segment;

use super::definition::{Budget, Period};
use super::money::Money;
use super::period::Span;

/// Segments that a budget may keep apart.
pub const SEGMENTS_MAX: usize = 10_000;

/// Some spend: when, of whom, how much. Amounts may be negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The start of its window, in microseconds.
    pub time_us: i64,
    /// The value of the column that the budget is kept by.
    pub segment: Segment,
    /// How much.
    pub amount: Money,
}

/// Which rolling periods to sum: their length and step, and the first and the last end. Microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Roll {
    /// How long each is.
    pub length_us: i64,
    /// How far apart their ends are.
    pub step_us: i64,
    /// The first end.
    pub first_us: i64,
    /// The last end.
    pub last_us: i64,
}

/// One budget's spend.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    segments: BTreeMap<Segment, BTreeMap<i64, Money>>,
    /// Segments whose sums changed since they were last asked for.
    touched: BTreeSet<Segment>,
    /// The newest bucket that has spend.
    newest_us: Option<i64>,
}

impl Usage {
    /// Adds spend. `false`: there are more segments than a budget may keep apart, and it was not added.
    pub fn add(&mut self, budget: &Budget, entry: Entry) -> bool {
        let Some(bucket_us) = budget.bucket_of(entry.time_us) else {
            return true;
        };
        if !self.segments.contains_key(&entry.segment) && self.segments.len() >= SEGMENTS_MAX {
            return false;
        }
        let buckets = self.segments.entry(entry.segment.clone()).or_default();
        let sum = buckets.entry(bucket_us).or_default();
        *sum = sum.plus(entry.amount);
        self.newest_us = self.newest_us.max(Some(entry.time_us));
        self.touched.insert(entry.segment);
        true
    }

    /// What a segment spent in a period.
    pub fn of(&self, budget: &Budget, segment: &Segment, span: Span) -> Money {
        let Some(buckets) = self.segments.get(segment) else {
            return Money::ZERO;
        };
        match budget.period {
            Period::Calendar(_) => buckets.get(&span.start_us).copied().unwrap_or_default(),
            Period::Rolling { .. } => buckets
                .range(span.start_us..span.end_us)
                .fold(Money::ZERO, |sum, (_, amount)| sum.plus(*amount)),
        }
    }

    /// The sums of a rolling period of some length, by its ends: those from one to another, a step apart. One walk.
    pub fn rolling(&self, segment: &Segment, roll: Roll) -> Vec<(i64, Money)> {
        let Roll {
            length_us,
            step_us,
            first_us,
            last_us,
        } = roll;
        let nothing = BTreeMap::new();
        let buckets = self.segments.get(segment).unwrap_or(&nothing);
        let at = |time_us: i64| buckets.get(&time_us).copied().unwrap_or_default();
        let within = buckets.range(first_us - length_us..first_us);
        let mut sum = within.fold(Money::ZERO, |sum, (_, amount)| sum.plus(*amount));
        let mut sums = Vec::new();
        let mut end_us = first_us;
        while end_us <= last_us {
            sums.push((end_us, sum));
            sum = sum.plus(at(end_us)).minus(at(end_us - length_us));
            end_us += step_us;
        }
        sums
    }

    /// The segments that have spend.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.keys()
    }

    /// The newest window that has spend.
    pub fn newest_us(&self) -> Option<i64> {
        self.newest_us
    }

    /// The segments whose sums changed since this was last asked.
    pub fn take_touched(&mut self) -> BTreeSet<Segment> {
        std::mem::take(&mut self.touched)
    }

    /// Forgets everything; it is read again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets buckets before a time.
    pub fn forget_before(&mut self, time_us: i64) {
        for buckets in self.segments.values_mut() {
            *buckets = buckets.split_off(&time_us);
        }
    }
}
