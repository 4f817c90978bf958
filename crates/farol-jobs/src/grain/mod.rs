//! How time is cut into windows: any length, and the calendar's days, weeks, months and years in any time zone.
//!
//! ```text
//! '15 minutes' ───────────────┐
//! '1 month in Europe/London' ─┴▶ Grain ──▶ the window that a time is in: [start, end)
//!                                  ├──▶ window_start(time, '…'), window_end(time, '…')
//!                                  └──▶ measures(job, '…')
//! ```
//!
//! Seconds, minutes and hours are of true length and counted from the epoch, unless a zone is named. Days and what is
//! longer are those of a zone: the named one, else `jobs.time_zone`. A window of a zone begins at the first instant at
//! which the zone's clock reads its beginning or later, and ends where the next begins. So a day has 23, 24 or 25
//! hours when the clock is changed, a midnight that is skipped begins the day at 01:00, one that is repeated begins it
//! the first time, and every instant is in exactly one window.

mod function;
mod length;
mod zone;

use std::fmt;

use chrono_tz::Tz;

pub(crate) use function::{Edge, edge_of};
use length::Length;
pub use zone::TimeZone;

use crate::definition::Width;

/// Times further from the epoch than this many seconds are in no window: the years 0 to 9999 are.
const SECONDS_MAX: i64 = 253_402_300_800;

const MICROS: i64 = 1_000_000;

/// How time is cut into windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grain {
    length: Length,
    zone: Option<TimeZone>,
    /// Seconds from the epoch to the beginning of some window, where all windows have the same length.
    phase: Option<i64>,
}

impl Grain {
    /// Reads `15 minutes`, `1 day`, `3 months in America/Sao_Paulo`. Days and longer without a zone are those of
    /// `default_zone`.
    ///
    /// # Errors
    /// Says what may be written instead.
    pub fn parse(text: &str, default_zone: TimeZone) -> Result<Self, String> {
        let (length, zone) = match split_at_in(text) {
            Some((length, zone)) => (length, Some(zone.trim().parse::<TimeZone>()?)),
            None => (text, None),
        };
        let length = Length::parse(length)?;
        let zone = match length {
            Length::Seconds(_) => zone,
            _ => zone.or(Some(default_zone)),
        };
        Ok(Self::new(length, zone.filter(|zone| !zone.is_utc())))
    }

    fn new(length: Length, zone: Option<TimeZone>) -> Self {
        let phase = match (length.seconds(), zone) {
            (Some(_), None) => Some(length.first_second()),
            // An hour goes on through a change of the clock, where that is by whole hours.
            (Some(seconds), Some(zone)) if 3_600 % seconds == 0 => zone.phase(seconds),
            _ => None,
        };
        Self {
            length,
            zone,
            phase,
        }
    }

    /// The window that a time is in, both in microseconds since the epoch, its end not included. `None` beyond the
    /// years 0 to 9999.
    pub fn window_of(&self, time_us: i64) -> Option<(i64, i64)> {
        let second = time_us.div_euclid(MICROS);
        if second.abs() >= SECONDS_MAX {
            return None;
        }
        let (start, end) = match (self.length.seconds(), self.phase) {
            (Some(seconds), Some(phase)) => {
                let start = second - (second - phase).rem_euclid(seconds);
                (start, start + seconds)
            }
            _ => self.by_the_clock(second)?,
        };
        Some((start * MICROS, end * MICROS))
    }

    /// Whether every window is made of whole windows of a job, and why not.
    ///
    /// # Errors
    /// Says what does not fit and what would.
    pub fn check_made_of(&self, base: Width) -> Result<(), String> {
        let whole = match self.length {
            Length::Seconds(seconds) => seconds % base.seconds() == 0,
            // A job's own window divides a day.
            _ => true,
        };
        if !whole {
            return Err(format!(
                "windows of {self} are not made of whole windows of {base}, the job's own"
            ));
        }
        match self.zone {
            Some(zone) if zone.phase(base.seconds()) != Some(0) => Err(format!(
                "windows of {self} do not begin with a window of {base}, the job's own: the clock of {zone} differs \
                 from UTC by a part of it; name a zone that is whole windows of {base} away, such as UTC, or give the \
                 job a window of 15 minutes or less"
            )),
            _ => Ok(()),
        }
    }

    /// The same windows as a width has, counted from the epoch.
    pub(crate) fn of_width(width: Width) -> Self {
        Self::new(Length::Seconds(width.seconds()), None)
    }

    fn by_the_clock(&self, second: i64) -> Option<(i64, i64)> {
        let local = match self.zone {
            Some(zone) => second + zone.offset_at(second)?,
            None => second,
        };
        let mut index = self.length.index_of(local)?;
        let mut start = self.begin(index)?;
        // Where the clock was put back over a beginning, the window that has begun already goes on.
        loop {
            let end = self.begin(index + 1)?;
            if end > second {
                return Some((start, end));
            }
            (index, start) = (index + 1, end);
        }
    }

    /// The first instant at which the clock reads the beginning of a window or later.
    fn begin(&self, index: i64) -> Option<i64> {
        let local = self.length.beginning_of(index)?;
        match self.zone {
            Some(zone) => zone.first_reading(local),
            None => Some(local),
        }
    }
}

impl fmt::Display for Grain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.length)?;
        match self.zone {
            Some(zone) => write!(f, " in {zone}"),
            None if !matches!(self.length, Length::Seconds(_)) => write!(f, " in {}", Tz::UTC),
            None => Ok(()),
        }
    }
}

/// The parts before and after the word `in`.
fn split_at_in(text: &str) -> Option<(&str, &str)> {
    let lower = text.to_ascii_lowercase();
    let at = lower.find(" in ")?;
    Some((&text[..at], &text[at + 4..]))
}
