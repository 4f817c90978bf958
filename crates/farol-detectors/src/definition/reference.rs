//! What a window of columns of events is compared with.

use chrono::{DateTime, Utc};
use farol_jobs::suggestion;
use farol_stats::watch::Span;

use super::check::Check;
use super::file::DetectorFile;

const SAME_HOUR: &str = "same_hour";
const TRAILING: &str = "trailing";

/// What a window is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// The same time of other days of the same kind, up to two weeks back.
    SameHour,
    /// The days before, whole, up to two weeks back.
    Trailing,
    /// A time that does not move, day by day.
    Pinned(Span),
}

impl Check<'_> {
    /// The reference of a file.
    pub(super) fn reference(&mut self, written: &DetectorFile) -> Option<Reference> {
        let Some(word) = &written.reference else {
            return Some(Reference::SameHour);
        };
        match word.value.as_str() {
            SAME_HOUR => Some(Reference::SameHour),
            TRAILING => Some(Reference::Trailing),
            other => {
                let Some((from, to)) = other.split_once('/') else {
                    let message = format!("`{other}` is no reference");
                    let help = suggestion(other, [SAME_HOUR, TRAILING])
                        + "; or write two times: 2026-11-02T00:00:00Z/2026-11-09T00:00:00Z";
                    self.say(word, message, Some(help));
                    return None;
                };
                let time = |text: &str| {
                    let time: Option<DateTime<Utc>> = text.trim().parse().ok();
                    time.map(|time| time.timestamp_micros())
                };
                match (time(from), time(to)) {
                    (Some(start_us), Some(end_us)) if start_us < end_us => {
                        Some(Reference::Pinned(Span { start_us, end_us }))
                    }
                    _ => {
                        let message = format!("`{other}` is no time from and to");
                        let help = "write 2026-11-02T00:00:00Z/2026-11-09T00:00:00Z".to_owned();
                        self.say(word, message, Some(help));
                        None
                    }
                }
            }
        }
    }
}
