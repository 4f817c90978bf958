//! Money: a whole number of 10⁻¹² units of a currency, as the lake keeps it (`decimal(38, 12)`). Never a float.

use std::fmt;
use std::str::FromStr;

/// Digits after the point.
pub const SCALE: i8 = 12;

/// One unit of a currency.
const UNIT: i128 = 1_000_000_000_000;

/// The largest amount that can be written: a million million units.
const LARGEST: i128 = UNIT * UNIT;

/// An amount of some currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(pub i128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum. At the ends of the range it stays there, which no sum of real amounts reaches.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whether this is at least so many per cent of a limit. Exact.
    pub fn reaches(self, percent: u32, limit: Self) -> bool {
        self.0.saturating_mul(100) >= limit.0.saturating_mul(i128::from(percent))
    }

    /// How many hundredths of a per cent of a limit this is, rounded towards nothing spent: 9,999 is never told as 100 %.
    pub fn basis_points_of(self, limit: Self) -> i64 {
        let points = self.0.saturating_mul(10_000).div_euclid(limit.0.max(1));
        i64::try_from(points).unwrap_or(if points < 0 { i64::MIN } else { i64::MAX })
    }

    /// As a float, for statistics and pictures alone.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / UNIT as f64
    }
}

impl fmt::Display for Money {
    /// All digits that count: `12.5`, `0.000000000001`, `100`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let digits = self.0.unsigned_abs();
        let (whole, part) = (digits / UNIT.unsigned_abs(), digits % UNIT.unsigned_abs());
        if part == 0 {
            return write!(f, "{sign}{whole}");
        }
        let part = format!("{part:012}");
        write!(f, "{sign}{whole}.{}", part.trim_end_matches('0'))
    }
}

impl FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not an amount of money; write a decimal number such as 1000 or 99.50"
            )
        };
        let text = text.trim();
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(part) {
            return Err(wrong());
        }
        if part.len() > SCALE.unsigned_abs().into() {
            return Err(format!(
                "`{text}` has more than {SCALE} digits after the point"
            ));
        }
        let whole: i128 = whole.parse().map_err(|_| wrong())?;
        let part: i128 = format!("{part:0<12}").parse().map_err(|_| wrong())?;
        let amount = whole
            .checked_mul(UNIT)
            .and_then(|whole| whole.checked_add(part))
            .filter(|amount| *amount <= LARGEST)
            .ok_or_else(|| format!("`{text}` is more than a million million"))?;
        Ok(Self(if is_negative { -amount } else { amount }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_to_the_last_digit() {
        for text in [
            "0",
            "1",
            "-3.5",
            "0.000000000001",
            "999999999999.999999999999",
        ] {
            assert_eq!(
                text.parse::<Money>().map(|money| money.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!(
            "1.50".parse::<Money>().map(|money| money.to_string()),
            Ok("1.5".to_owned())
        );
        for text in [
            "",
            ".5",
            "1e3",
            "1,5",
            "0.0000000000001",
            "1000000000001",
            "NaN",
            "--1",
        ] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_threshold_is_reached_exactly() {
        let money = |text: &str| text.parse::<Money>().expect("an amount");
        assert!(money("80").reaches(80, money("100")));
        assert!(!money("79.999999999999").reaches(80, money("100")));
        assert_eq!(
            money("99.999999999999").basis_points_of(money("100")),
            9_999
        );
        assert_eq!(money("-0.01").basis_points_of(money("100")), -1);
    }
}
