//! Durations and sizes as operators write them: `2s`, `1h30m`, `64MiB`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};

/// A length of time, written as whole numbers with units (`500ms`, `2s`, `1h30m`, `3650d`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// Units of time in nanoseconds, largest first.
const TIME_UNITS: [(&str, u64); 8] = [
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a duration: write whole numbers with units (w, d, h, m, s, ms, us, ns), such as 500ms or 1h30m"
            )
        };
        let mut rest = text.trim();
        let mut total_ns: u64 = 0;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest
                .find(|letter: char| !letter.is_ascii_digit())
                .ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest
                .find(|letter: char| !letter.is_ascii_alphabetic())
                .unwrap_or(rest.len());
            let unit = &rest[..letters];
            let (_, unit_ns) = TIME_UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(wrong)?;
            total_ns = number
                .checked_mul(*unit_ns)
                .and_then(|part_ns| total_ns.checked_add(part_ns))
                .ok_or_else(|| format!("`{text}` is longer than 580 years"))?;
            rest = &rest[letters..];
        }
        Ok(Self(Duration::from_nanos(total_ns)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.as_nanos();
        if nanoseconds == 0 {
            return f.write_str("0s");
        }
        // One unit reads best: the largest that divides it.
        let whole = TIME_UNITS
            .iter()
            .skip(1)
            .find(|(_, unit)| nanoseconds.is_multiple_of(u128::from(*unit)));
        let (name, unit) = whole.copied().unwrap_or(("ns", 1));
        write!(f, "{}{name}", nanoseconds / u128::from(unit))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// A number of bytes, written with a unit (`64MiB`, `10MB`) or as a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const BYTE_UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl ByteSize {
    /// The size as a count of bytes in memory.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let digits = trimmed
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(trimmed.len());
        let unit = trimmed[digits..].trim_start();
        let factor = BYTE_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| factor);
        match (trimmed[..digits].parse::<u64>(), factor) {
            (Ok(number), Some(factor)) => number
                .checked_mul(*factor)
                .map(Self)
                .ok_or_else(|| format!("`{text}` is more bytes than can be counted")),
            _ => Err(format!(
                "`{text}` is not a size: write a whole number with a unit (B, kB, KiB, MB, MiB, GB, GiB, TiB), such as 64MiB"
            )),
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, unit) in [
            ("TiB", 1_u64 << 40),
            ("GiB", 1 << 30),
            ("MiB", 1 << 20),
            ("KiB", 1 << 10),
        ] {
            if self.0 != 0 && self.0.is_multiple_of(unit) {
                return write!(f, "{}{name}", self.0 / unit);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print() {
        for (text, milliseconds, printed) in [
            ("2s", 2_000, "2s"),
            ("500ms", 500, "500ms"),
            ("1h30m", 5_400_000, "90m"),
            ("3650d", 3_650 * 86_400_000, "3650d"),
            ("2w", 14 * 86_400_000, "14d"),
            ("0s", 0, "0s"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(span.to_string(), printed);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "2",
            "s",
            "2 s",
            "-1s",
            "1.5s",
            "2 minutes",
            "1h 30m",
            "99999999w",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_read_and_print() {
        for (text, bytes, printed) in [
            ("64MiB", 64 << 20, "64MiB"),
            ("1 GiB", 1 << 30, "1GiB"),
            ("10MB", 10_000_000, "10000000B"),
            ("1024", 1_024, "1KiB"),
            ("0", 0, "0B"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(size.to_string(), printed);
        }
        for text in ["", "MiB", "1.5GiB", "-1", "64 mib", "99999999999TiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
