//! What a row is about, and which of several operations it is: decisions without any I/O.
//!
//! | a row says | it is about |
//! |---|---|
//! | `trace_id` and `span_id` | that span |
//! | `response_id` | the operation that gave that answer, within `trace_id` where it says one |
//! | `trace_id` alone | the trace's root: the operation that is part of no other |
//!
//! Of several candidates the nearest in time counts ([`Tier`]), of equally near ones the earliest. That order is of the
//! rows alone, and it is also the order in which calls are looked through: so whoever stops where something is found has
//! found what looking through everything would have found.

use arrow::array::{RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::error::ArrowError;

use super::columns::{Origin, Origins, said, texts, times};

const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;
pub(super) const DAY_US: i64 = 24 * HOUR_US;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject<'a> {
    /// One operation of a trace.
    Span { trace_id: &'a str, span_id: &'a str },
    /// The operation that gave an answer.
    Response {
        response_id: &'a str,
        trace_id: Option<&'a str>,
    },
    /// The root of a trace.
    Root { trace_id: &'a str },
    /// It does not say.
    Unknown,
}

/// How far, in time, a call is from what is said about it: the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// Within the hour before. Clocks of two machines may differ by minutes.
    Hour,
    /// Within the days before.
    Days,
    /// At any time.
    Any,
}

impl Tier {
    /// How far before and after a row's time its calls are.
    pub fn reach_us(self) -> (i64, i64) {
        match self {
            Self::Hour => (HOUR_US, 5 * MINUTE_US),
            Self::Days => (3 * DAY_US, DAY_US),
            Self::Any => (i64::MAX, i64::MAX),
        }
    }

    /// How far a call is.
    pub fn of(own_us: i64, call_us: i64) -> Self {
        let within = |tier: &Self| {
            let (before, after) = tier.reach_us();
            (own_us.saturating_sub(before)..=own_us.saturating_add(after)).contains(&call_us)
        };
        let near = [Self::Hour, Self::Days].into_iter().find(within);
        near.unwrap_or(Self::Any)
    }
}

/// Which of several candidates counts: the least.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub tier: Tier,
    /// Of calls far away the newest day first, because that is how they are looked through.
    day_from_end: i64,
    time_us: i64,
    origin: Origin,
}

impl Rank {
    pub fn of(own_us: i64, call_us: i64, origin: Origin) -> Self {
        let tier = Tier::of(own_us, call_us);
        let day_from_end = match tier {
            Tier::Any => -call_us.div_euclid(DAY_US),
            Tier::Hour | Tier::Days => 0,
        };
        Self {
            tier,
            day_from_end,
            time_us: call_us,
            origin,
        }
    }
}

/// The columns of feedback or evaluations that say what they are about.
pub(super) struct Subjects<'a> {
    trace_id: &'a StringArray,
    span_id: &'a StringArray,
    response_id: &'a StringArray,
    time: &'a TimestampMicrosecondArray,
}

impl<'a> Subjects<'a> {
    pub fn of(batch: &'a RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self {
            trace_id: texts(batch, "trace_id")?,
            span_id: texts(batch, "span_id")?,
            response_id: texts(batch, "response_id")?,
            time: times(batch, "event_time")?,
        })
    }

    pub fn get(&self, row: usize) -> Subject<'a> {
        let trace_id = said(self.trace_id, row);
        let span_id = said(self.span_id, row);
        let response_id = said(self.response_id, row);
        match (trace_id, span_id, response_id) {
            (Some(trace_id), Some(span_id), _) => Subject::Span { trace_id, span_id },
            (trace_id, _, Some(response_id)) => Subject::Response {
                response_id,
                trace_id,
            },
            (Some(trace_id), None, None) => Subject::Root { trace_id },
            (None, _, None) => Subject::Unknown,
        }
    }

    /// When it was given.
    pub fn time_us(&self, row: usize) -> i64 {
        self.time.value(row)
    }
}

/// The columns of calls by which they are found.
pub(super) struct Calls<'a> {
    pub trace_id: &'a StringArray,
    pub span_id: &'a StringArray,
    pub response_id: &'a StringArray,
    pub parent_span_id: &'a StringArray,
    pub time: &'a TimestampMicrosecondArray,
    pub origins: Origins<'a>,
}

impl<'a> Calls<'a> {
    pub fn of(batch: &'a RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self {
            trace_id: texts(batch, "trace_id")?,
            span_id: texts(batch, "span_id")?,
            response_id: texts(batch, "response_id")?,
            parent_span_id: texts(batch, "parent_span_id")?,
            time: times(batch, "event_time")?,
            origins: Origins::of(batch)?,
        })
    }
}

/// The ranges of time in which the calls of rows are, their ends not included; those that touch are one, and there are
/// `most` at the most: the oldest are put together first.
pub(super) fn ranges(
    times_us: impl Iterator<Item = i64>,
    tier: Tier,
    most: usize,
) -> Vec<(i64, i64)> {
    let (before, after) = tier.reach_us();
    let mut times: Vec<_> = times_us.collect();
    times.sort_unstable();
    let mut ranges = Vec::<(i64, i64)>::new();
    for time_us in times {
        let from = time_us.saturating_sub(before);
        let to = time_us.saturating_add(after).saturating_add(1);
        match ranges.last_mut() {
            Some(last) if from <= last.1 => last.1 = to,
            _ => ranges.push((from, to)),
        }
    }
    let beyond = ranges.len().saturating_sub(most.max(1));
    if beyond > 0 {
        let hull = (ranges[0].0, ranges[beyond].1);
        ranges.splice(..=beyond, [hull]);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(offset: i64) -> Origin {
        ("t".to_owned(), 0, offset, 0)
    }

    #[test]
    fn the_nearest_call_counts_and_of_equally_near_ones_the_earliest() {
        let own = 100 * DAY_US;
        let ordered = [
            (own - HOUR_US, 5),
            (own - 1, 6),
            (own + MINUTE_US, 7),
            (own - 2 * DAY_US, 4),
            (own - HOUR_US - 1, 3),
            (own + HOUR_US, 3),
            (own + 30 * DAY_US, 1),
            (own - 50 * DAY_US, 0),
            (own - 60 * DAY_US, 9),
        ];
        let ranks: Vec<_> = ordered
            .iter()
            .map(|(time_us, offset)| Rank::of(own, *time_us, origin(*offset)))
            .collect();
        assert!(ranks.is_sorted(), "{ranks:?}");
        assert!(Rank::of(own, own, origin(1)) < Rank::of(own, own, origin(2)));
    }

    #[test]
    fn times_at_the_ends_of_the_calendar_are_far() {
        assert_eq!(Tier::of(i64::MAX, i64::MIN), Tier::Any);
        assert_eq!(Tier::of(i64::MIN, i64::MIN), Tier::Hour);
    }

    #[test]
    fn ranges_that_touch_are_one_and_the_oldest_are_put_together() {
        let told = |times: &[i64], most| ranges(times.iter().copied(), Tier::Hour, most);
        let (before, after) = (HOUR_US, 5 * MINUTE_US + 1);
        assert_eq!(told(&[], 8), []);
        assert_eq!(told(&[10, 0], 8), [(-before, 10 + after)]);
        let apart = [0, 3 * HOUR_US, 9 * HOUR_US];
        assert_eq!(
            told(&apart, 2),
            [
                (-before, 3 * HOUR_US + after),
                (9 * HOUR_US - before, 9 * HOUR_US + after)
            ]
        );
        assert_eq!(told(&apart, 1), [(-before, 9 * HOUR_US + after)]);
        assert_eq!(told(&apart, 3).len(), 3);
        assert_eq!(told(&[i64::MIN, i64::MAX], 8).len(), 2);
    }
}
