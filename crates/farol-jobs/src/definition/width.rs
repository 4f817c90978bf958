//! How long a window is.

use std::fmt;

/// A window's width, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Width {
    seconds: i64,
}

const UNITS: [(&str, &[&str], i64); 5] = [
    ("week", &["w", "week", "weeks"], 7 * 86_400),
    ("day", &["d", "day", "days"], 86_400),
    ("hour", &["h", "hour", "hours"], 3_600),
    ("minute", &["m", "min", "minute", "minutes"], 60),
    ("second", &["s", "sec", "second", "seconds"], 1),
];

impl Width {
    /// An hour.
    pub const HOUR: Self = Self { seconds: 3_600 };
    /// A day of UTC.
    pub const DAY: Self = Self { seconds: 86_400 };

    /// Reads `1m`, `5 minutes`, `1 hour`, `1 day`.
    ///
    /// # Errors
    /// Says what may be written instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a width of windows; write such as '1m', '15 minutes', '1 hour' or '1 day'"
            )
        };
        let text = text.trim();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim().to_ascii_lowercase();
        let unit = UNITS
            .iter()
            .find(|(_, names, _)| names.contains(&unit.as_str()));
        let (_, _, seconds) = unit.ok_or_else(wrong)?;
        let number = if number.is_empty() { "1" } else { number };
        let number: i64 = number.parse().map_err(|_| wrong())?;
        let seconds = number
            .checked_mul(*seconds)
            .filter(|seconds| (1..=366 * 86_400).contains(seconds))
            .ok_or_else(wrong)?;
        Ok(Self { seconds })
    }

    /// The width in seconds.
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// The width in microseconds.
    pub fn micros(self) -> i64 {
        self.seconds * 1_000_000
    }

    /// The start of the window that a time, in microseconds, is in.
    pub fn start_of(self, time_us: i64) -> i64 {
        time_us - time_us.rem_euclid(self.micros())
    }

    /// Whether windows of this width are made of whole windows of `base`.
    pub fn is_multiple_of(self, base: Self) -> bool {
        self.seconds % base.seconds == 0
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = UNITS
            .iter()
            .find(|(_, _, seconds)| self.seconds % seconds == 0);
        let (name, _, seconds) = fitting.unwrap_or(&UNITS[4]);
        let number = self.seconds / seconds;
        write!(f, "{number} {name}{}", if number == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_read_and_told() {
        for (text, seconds, told) in [
            ("1m", 60, "1 minute"),
            ("1 hour", 3_600, "1 hour"),
            ("15 minutes", 900, "15 minutes"),
            ("day", 86_400, "1 day"),
            ("90s", 90, "90 seconds"),
            ("14 days", 14 * 86_400, "2 weeks"),
        ] {
            let width = Width::parse(text).unwrap();
            assert_eq!(
                (width.seconds(), width.to_string().as_str()),
                (seconds, told)
            );
        }
        for wrong in [
            "",
            "0m",
            "m5",
            "1 fortnight",
            "-1m",
            "99999999999999999999d",
            "10000 days",
        ] {
            assert!(
                Width::parse(wrong).unwrap_err().contains("15 minutes"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn windows_begin_at_multiples_before_the_epoch_too() {
        let minute = Width::parse("1m").unwrap();
        assert_eq!(minute.start_of(61_000_000), 60_000_000);
        assert_eq!(minute.start_of(60_000_000), 60_000_000);
        assert_eq!(minute.start_of(-1), -60_000_000);
    }
}
