//! How long a window is by the clock on the wall, without regard to zones.

use std::fmt;

use chrono::{DateTime, Datelike as _, NaiveDate};

const DAY: i64 = 86_400;

/// The epoch was a Thursday; weeks begin on Monday, the fifth of January 1970 for one.
const MONDAY: i64 = 4 * DAY;

/// A window's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Length {
    /// Seconds, minutes and hours.
    Seconds(i64),
    Days(i64),
    /// Weeks begin on Monday.
    Weeks(i64),
    /// Months, quarters and years, counted from January of the year 0.
    Months(i64),
}

/// Makes a length of a number of units.
type Make = fn(i64) -> Length;

/// Each unit, largest first: its name, what it may be written as, its constructor, how many of that it is.
const UNITS: [(&str, &[&str], Make, i64); 8] = [
    ("year", &["y", "year", "years"], Length::Months, 12),
    ("quarter", &["q", "quarter", "quarters"], Length::Months, 3),
    ("month", &["month", "months"], Length::Months, 1),
    ("week", &["w", "week", "weeks"], Length::Weeks, 1),
    ("day", &["d", "day", "days"], Length::Days, 1),
    ("hour", &["h", "hour", "hours"], Length::Seconds, 3_600),
    (
        "minute",
        &["m", "min", "minute", "minutes"],
        Length::Seconds,
        60,
    ),
    (
        "second",
        &["s", "sec", "second", "seconds"],
        Length::Seconds,
        1,
    ),
];

/// The longest window, in days: a century.
const DAYS_MAX: i64 = 36_525;

impl Length {
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a width of windows; write such as '1m', '15 minutes', '1 hour', '1 day', \
                 '1 month' or '1 month in Europe/London'"
            )
        };
        let text = text.trim();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim().to_ascii_lowercase();
        let unit = UNITS
            .iter()
            .find(|(_, names, ..)| names.contains(&unit.as_str()));
        let (_, _, make, each) = unit.ok_or_else(wrong)?;
        let number = if number.is_empty() { "1" } else { number };
        let number: i64 = number.parse().map_err(|_| wrong())?;
        let length = number
            .checked_mul(*each)
            .filter(|number| *number > 0)
            .map(make)
            .ok_or_else(wrong)?;
        let days = match length {
            Self::Seconds(seconds) => seconds / DAY,
            Self::Days(days) => days,
            Self::Weeks(weeks) => weeks.saturating_mul(7),
            Self::Months(months) => months.saturating_mul(365) / 12,
        };
        if days > DAYS_MAX {
            return Err(format!("windows of {text} are longer than a century"));
        }
        Ok(length)
    }

    /// How many seconds it has, where they are always as many.
    pub fn seconds(self) -> Option<i64> {
        match self {
            Self::Seconds(seconds) => Some(seconds),
            Self::Days(days) => Some(days * DAY),
            Self::Weeks(weeks) => Some(weeks * 7 * DAY),
            Self::Months(_) => None,
        }
    }

    /// The beginning of some window, in seconds since the epoch.
    pub fn first_second(self) -> i64 {
        match self {
            Self::Weeks(_) => MONDAY,
            _ => 0,
        }
    }

    /// Which window a local time is in: they are numbered in their order.
    pub fn index_of(self, local: i64) -> Option<i64> {
        match (self, self.seconds()) {
            (_, Some(seconds)) => Some((local - self.first_second()).div_euclid(seconds)),
            (Self::Months(months), _) => {
                let date = DateTime::from_timestamp(local, 0)?.date_naive();
                let month = i64::from(date.year()) * 12 + i64::from(date.month0());
                Some(month.div_euclid(months))
            }
            _ => None,
        }
    }

    /// When a window begins, in local seconds since the epoch.
    pub fn beginning_of(self, index: i64) -> Option<i64> {
        match (self, self.seconds()) {
            (_, Some(seconds)) => index.checked_mul(seconds)?.checked_add(self.first_second()),
            (Self::Months(months), _) => {
                let month = index.checked_mul(months)?;
                let year = i32::try_from(month.div_euclid(12)).ok()?;
                let month = u32::try_from(month.rem_euclid(12)).ok()? + 1;
                let date = NaiveDate::from_ymd_opt(year, month, 1)?;
                Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp())
            }
            _ => None,
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let same = |make: &Make, each: i64, number: i64| make(each * number) == *self;
        let counted = match *self {
            Self::Seconds(count) | Self::Days(count) | Self::Weeks(count) | Self::Months(count) => {
                count
            }
        };
        let fitting = UNITS
            .iter()
            .find(|(_, _, make, each)| counted % each == 0 && same(make, *each, counted / each));
        let (name, each) = fitting.map_or(("second", 1), |(name, _, _, each)| (*name, *each));
        let number = counted / each;
        write!(f, "{number} {name}{}", if number == 1 { "" } else { "s" })
    }
}
