//! The clock and the calendar of the people whose traffic is looked at: what hour it is for them, and which days are like which.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate};
use farol_jobs::TimeZone;
use farol_stats::series::seasonal::weekday;
use farol_stats::watch::LocalTime;
use serde_saphyr::Spanned;

use super::check::Check;
use super::file::DetectorFile;

const DAY_US: i64 = 86_400_000_000;
/// The first day of the weekend, from Monday on.
const SATURDAY: usize = 5;
/// Holidays that a detector knows, at the most.
const HOLIDAYS_MAX: usize = 1_000;

/// A time zone and its holidays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    zone: TimeZone,
    /// Days since 1970.
    holidays: BTreeSet<i64>,
}

impl Calendar {
    /// What the clock and the calendar say at a time.
    pub fn local(&self, us: i64) -> LocalTime {
        let utc_offset_us = self.offset_us(us);
        LocalTime {
            utc_offset_us,
            is_holiday: self
                .holidays
                .contains(&(us + utc_offset_us).div_euclid(DAY_US)),
        }
    }

    /// Whether people do not work on that day: weekends and holidays.
    pub fn is_day_off(&self, us: i64) -> bool {
        let local = self.local(us);
        let seconds = (us + local.utc_offset_us).div_euclid(1_000_000);
        local.is_holiday || weekday(seconds) >= SATURDAY
    }

    /// The same time by the clock, so many days before.
    pub fn days_before(&self, us: i64, days: i64) -> i64 {
        let before = us - days * DAY_US;
        before + self.offset_us(us) - self.offset_us(before)
    }

    fn offset_us(&self, us: i64) -> i64 {
        let second = us.div_euclid(1_000_000);
        self.zone.offset_at(second).unwrap_or(0) * 1_000_000
    }
}

impl Check<'_> {
    /// The calendar of a file.
    pub(super) fn calendar(&mut self, written: &DetectorFile) -> Option<Calendar> {
        let zone = match &written.time_zone {
            None => TimeZone::UTC,
            Some(name) => match name.value.parse() {
                Ok(zone) => zone,
                Err(message) => {
                    self.say(name, message, None);
                    return None;
                }
            },
        };
        if written.holidays.len() > HOLIDAYS_MAX {
            let message = format!("these are more than {HOLIDAYS_MAX} holidays");
            self.say(&written.name, message, None);
            return None;
        }
        let days = written.holidays.iter().map(|day| self.day(day));
        // All of them are read first, so that every mistake is told.
        let holidays = days
            .collect::<Vec<_>>()
            .into_iter()
            .collect::<Option<_>>()?;
        Some(Calendar { zone, holidays })
    }

    fn day(&mut self, written: &Spanned<String>) -> Option<i64> {
        let found: Result<NaiveDate, _> = written.value.parse();
        let Ok(day) = found else {
            let message = format!("`{}` is not a day", written.value);
            self.say(written, message, Some("write it as 2026-12-25".to_owned()));
            return None;
        };
        Some(
            day.signed_duration_since(DateTime::UNIX_EPOCH.date_naive())
                .num_days(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(text: &str) -> i64 {
        text.parse::<DateTime<chrono::Utc>>()
            .unwrap()
            .timestamp_micros()
    }

    #[test]
    fn days_and_hours_are_those_of_the_zone() {
        let calendar = Calendar {
            zone: "Europe/Berlin".parse().unwrap(),
            holidays: [us("2026-05-01T00:00:00Z") / DAY_US].into(),
        };
        // Half past midnight on the first of May, by their clock.
        assert!(calendar.local(us("2026-04-30T22:30:00Z")).is_holiday);
        assert!(calendar.is_day_off(us("2026-04-30T22:30:00Z")));
        // The next day is a Saturday; Thursday was a workday.
        assert!(calendar.is_day_off(us("2026-05-01T22:30:00Z")));
        assert!(!calendar.local(us("2026-05-01T22:30:00Z")).is_holiday);
        assert!(!calendar.is_day_off(us("2026-04-30T21:30:00Z")));
        // The clock was put forward on 29 March at 01:00 UTC: noon is an hour earlier by UTC after it.
        let noon = us("2026-03-29T10:00:00Z");
        assert_eq!(calendar.days_before(noon, 1), us("2026-03-28T11:00:00Z"));
        assert_eq!(Calendar::default().days_before(noon, 1), noon - DAY_US);
    }
}
