//! Quiet hours: times of day at which a route says nothing but what is too bad to wait.

use chrono::{DateTime, Datelike as _, Days, NaiveTime, TimeZone as _, Utc, Weekday};
use chrono_tz::Tz;

use crate::alert::Severity;

/// Hours in which a route waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietHours {
    /// When they begin.
    pub from: NaiveTime,
    /// When they end; before `from`, on the next day. The same as `from`: the whole day.
    pub to: NaiveTime,
    /// The days on which they begin; none: every day.
    pub days: Vec<Weekday>,
    /// Whose clock it is.
    pub time_zone: Tz,
    /// What is said all the same, and what is worse.
    pub except: Severity,
}

impl QuietHours {
    /// Until when an alert of this severity has to wait, in milliseconds; `None` where it has not.
    pub fn until_ms(&self, now_ms: i64, severity: Severity) -> Option<i64> {
        if severity >= self.except {
            return None;
        }
        let mut until_ms = None;
        let mut at_ms = now_ms;
        // One day's quiet hours may run into the next one's; after a week it begins anew.
        for _ in 0..8 {
            let Some(end_ms) = self.end_ms(at_ms) else {
                break;
            };
            until_ms = Some(end_ms);
            at_ms = end_ms;
        }
        until_ms
    }

    /// The end of the quiet hours that hold at a time.
    fn end_ms(&self, now_ms: i64) -> Option<i64> {
        let now = DateTime::<Utc>::from_timestamp_millis(now_ms)?.with_timezone(&self.time_zone);
        let today = now.date_naive();
        // Those that began today, or yesterday and last beyond midnight.
        [today.checked_sub_days(Days::new(1))?, today]
            .into_iter()
            .filter(|date| self.days.is_empty() || self.days.contains(&date.weekday()))
            .filter_map(|date| {
                let last = if self.to <= self.from {
                    date.checked_add_days(Days::new(1))?
                } else {
                    date
                };
                let start_ms = self.instant_ms(date, self.from)?;
                let end_ms = self.instant_ms(last, self.to)?;
                (start_ms..end_ms).contains(&now_ms).then_some(end_ms)
            })
            .max()
    }

    /// A local time as an instant: the first of two where clocks go back, the first after the gap where they go forward.
    fn instant_ms(&self, date: chrono::NaiveDate, time: NaiveTime) -> Option<i64> {
        let local = date.and_time(time);
        (0..=8_i64)
            .find_map(|quarters| {
                let local = local + chrono::Duration::minutes(15 * quarters);
                self.time_zone.from_local_datetime(&local).earliest()
            })
            .map(|instant| instant.timestamp_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text)
            .unwrap()
            .timestamp_millis()
    }

    fn quiet(from: &str, to: &str, days: &[Weekday]) -> QuietHours {
        QuietHours {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            days: days.to_vec(),
            time_zone: Tz::Europe__Lisbon,
            except: Severity::Critical,
        }
    }

    #[test]
    fn a_night_lasts_until_the_morning() {
        let night = quiet("22:00:00", "07:00:00", &[]);
        let until = |now| night.until_ms(ms(now), Severity::Warning);
        assert_eq!(until("2026-01-10T21:59:59Z"), None);
        assert_eq!(
            until("2026-01-10T22:00:00Z"),
            Some(ms("2026-01-11T07:00:00Z"))
        );
        assert_eq!(
            until("2026-01-11T06:59:59Z"),
            Some(ms("2026-01-11T07:00:00Z"))
        );
        assert_eq!(until("2026-01-11T07:00:00Z"), None);
        assert_eq!(
            night.until_ms(ms("2026-01-11T01:00:00Z"), Severity::Critical),
            None
        );
    }

    #[test]
    fn days_are_those_on_which_it_begins() {
        // A Friday night is quiet until Saturday morning; Saturday night is not.
        let friday = quiet("22:00:00", "07:00:00", &[Weekday::Fri]);
        let until = |now| friday.until_ms(ms(now), Severity::Info);
        assert_eq!(
            until("2026-01-10T03:00:00Z"),
            Some(ms("2026-01-10T07:00:00Z"))
        );
        assert_eq!(until("2026-01-10T23:00:00Z"), None);
        assert_eq!(until("2026-01-09T03:00:00Z"), None);
    }

    #[test]
    fn whole_days_run_together_and_a_whole_week_has_an_end() {
        let weekend = quiet("00:00:00", "00:00:00", &[Weekday::Sat, Weekday::Sun]);
        let until = |now| weekend.until_ms(ms(now), Severity::Info);
        assert_eq!(
            until("2026-01-10T12:00:00Z"),
            Some(ms("2026-01-12T00:00:00Z"))
        );
        let always = quiet("00:00:00", "00:00:00", &[]);
        assert!(
            always
                .until_ms(ms("2026-01-10T12:00:00Z"), Severity::Info)
                .is_some()
        );
    }

    #[test]
    fn clocks_that_change_are_followed() {
        // Lisbon: 01:00 to 02:00 does not exist on 2026-03-29; summer time is UTC+1.
        let night = quiet("01:30:00", "07:00:00", &[]);
        let until = |now| night.until_ms(ms(now), Severity::Info);
        assert_eq!(until("2026-03-29T00:59:00Z"), None);
        assert_eq!(
            until("2026-03-29T01:00:00Z"),
            Some(ms("2026-03-29T06:00:00Z"))
        );
    }
}
