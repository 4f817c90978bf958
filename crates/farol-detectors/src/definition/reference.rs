//! What a window of columns of events is compared with.

use chrono::{DateTime, Utc};
use farol_jobs::suggestion;
use farol_stats::watch::Span;

use super::check::Check;
use super::file::DetectorFile;

const SAME_HOUR: &str = "same_hour";
const TRAILING: &str = "trailing";

/// Days that a time which does not move has, at the least: with fewer it is not known how days differ by themselves.
const DAYS_MIN: i64 = 3;
/// And at the most, as all of them are remembered.
const DAYS_MAX: i64 = 92;
const DAY_US: i64 = 86_400_000_000;

/// What a window is compared with: windows at the same time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// Of days of the same kind, up to two weeks back.
    SameHour,
    /// Of all days, up to two weeks back.
    Trailing,
    /// Of the days of a time that does not move.
    Pinned(Span),
}

impl Check<'_> {
    /// The reference of a file.
    pub(super) fn reference(&mut self, written: &DetectorFile) -> Option<Reference> {
        let Some(word) = &written.reference else {
            return Some(Reference::SameHour);
        };
        let known = known(&word.value);
        if known.is_none() {
            let message = format!("`{}` is no reference", word.value);
            let help = format!(
                "{}; or write a time of {DAYS_MIN} to {DAYS_MAX} days: 2026-11-02T00:00:00Z/2026-11-09T00:00:00Z",
                suggestion(&word.value, [SAME_HOUR, TRAILING])
            );
            self.say(word, message, Some(help));
        }
        known
    }
}

fn known(text: &str) -> Option<Reference> {
    match text {
        SAME_HOUR => Some(Reference::SameHour),
        TRAILING => Some(Reference::Trailing),
        _ => {
            let (from, to) = text.split_once('/')?;
            let span = Span {
                start_us: time_us(from)?,
                end_us: time_us(to)?,
            };
            let fits = DAYS_MIN * DAY_US..=DAYS_MAX * DAY_US;
            let length_us = span.end_us.checked_sub(span.start_us)?;
            fits.contains(&length_us).then_some(Reference::Pinned(span))
        }
    }
}

/// A time in RFC 3339, in microseconds; `None` where it is none.
fn time_us(text: &str) -> Option<i64> {
    let time: Result<DateTime<Utc>, _> = text.trim().parse();
    time.map(|time| time.timestamp_micros()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_word_or_a_time_from_and_to() {
        assert_eq!(known("same_hour"), Some(Reference::SameHour));
        assert_eq!(known("trailing"), Some(Reference::Trailing));
        let pinned = Reference::Pinned(Span {
            start_us: 0,
            end_us: 3 * DAY_US,
        });
        assert_eq!(
            known("1970-01-01T00:00:00Z/1970-01-04T01:00:00+01:00"),
            Some(pinned)
        );
        for wrong in [
            "1970-01-04T00:00:00Z/1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00Z/1970-01-03T23:00:00Z",
            "1970-01-01T00:00:00Z/1970-06-01T00:00:00Z",
            "1970-01-01T00:00:00Z/soon",
            "1970-01-01T00:00:00Z",
            "hour",
        ] {
            assert_eq!(known(wrong), None, "{wrong}");
        }
    }
}
