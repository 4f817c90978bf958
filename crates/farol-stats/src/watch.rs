//! Watching one series of windows for a change: pure state machines.
//!
//! ```text
//! ones of trials, window by window ──▶ rate::RateWatch ─────┐
//! value or nothing, window by window ▶ series::SeriesWatch ─┴──▶ Change: opened (with its numbers), ended
//! observations a week / alarm budget ▶ volume::Volume ──▶ threshold of both
//! ```
//!
//! A watch has three phases. It *learns* until it knows what is usual; it *watches* until the evidence of a change comes to
//! the threshold and the change is worth having; then an incident is *open* until the series is back, or a day has passed
//! and what it does is taken for its new level, which is learned anew. So an incident is one opening and one end.
//!
//! State is a function of the windows that were seen, in their order, and of nothing else.

pub mod rate;
pub mod series;
pub mod volume;

use serde::{Deserialize, Serialize};

/// An incident that lasts longer than this is the new level.
pub const ADOPTED_AFTER_US: i64 = 86_400_000_000;

/// One window of time, in microseconds; its end is not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub start_us: i64,
    /// Where it ends.
    pub end_us: i64,
}

/// What a watch is held to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// The evidence at which there is an alarm: the average number of observations between false ones.
    pub threshold: f64,
    /// How long it learns, in microseconds.
    pub warm_up_us: i64,
    /// The least change that is worth an alarm: of a rate on the arcsine scale, of a series on the asinh scale, where 0.2 is
    /// about a fifth.
    pub least_effect: f64,
    /// What the clock and the calendar of those whose traffic it is say at the window's start.
    pub local: LocalTime,
}

/// Where a window is in the day and the week of those whose traffic it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LocalTime {
    /// How far their clock is ahead of UTC, in microseconds.
    pub utc_offset_us: i64,
    /// Whether the day is a holiday: it is compared with holidays and not with its weekday.
    pub is_holiday: bool,
}

/// Which change is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Upwards.
    Increase,
    /// Downwards.
    Decrease,
    /// Either.
    Both,
}

impl Direction {
    /// The word in files and findings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Increase => "increase",
            Self::Decrease => "decrease",
            Self::Both => "both",
        }
    }
}

/// The numbers of an alarm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// Where the change most likely began, in microseconds: the start of a window.
    pub since_us: i64,
    /// The detector's value.
    pub value: f64,
    /// What it was compared with.
    pub threshold: f64,
    /// The measure since then.
    pub observed: f64,
    /// What it was expected to be.
    pub reference: f64,
    /// By how much the two differ, in the measure's unit, with the ends of a 95 % interval.
    pub effect: f64,
    /// The lower end.
    pub effect_low: f64,
    /// The upper end.
    pub effect_high: f64,
    /// Where the reference begins and ends.
    pub reference_span: Span,
    /// How many observations the observed value is made of: trials of a rate, windows of a series.
    pub observations: u64,
}

/// What happens at a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// An incident was noticed.
    Opened(Evidence),
    /// It is over, and this is its end; `adopted`: it has lasted so long that it is the new level.
    Ended {
        /// The end of the incident, in microseconds.
        ended_us: i64,
        /// Whether it became the new level.
        adopted: bool,
    },
}
