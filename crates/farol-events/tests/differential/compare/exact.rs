//! Decimal numbers as their digits, of any length: slow, and obviously right.

/// A decimal number: `digits` times ten to the power of `exponent`. Neither the first nor the last
/// digit is zero; zero has no digits.
pub struct Exact {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Exact {
    /// Reads a sign, digits with an optional point, an optional exponent.
    pub fn read(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (rest, 0),
        };
        let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let written = format!("{before}{after}");
        if written.is_empty() || !written.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = written.trim_end_matches('0');
        let zeros = (written.len() - digits.len()) as i64;
        Some(Self {
            negative,
            digits: digits.trim_start_matches('0').to_owned(),
            exponent: exponent + zeros - after.len() as i64,
        })
    }

    /// The number times ten to the power of `scale`, if that is an integer of at most
    /// `digits_max` digits.
    pub fn scaled(&self, scale: i64, digits_max: usize) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let zeros = usize::try_from(self.exponent + scale).ok()?;
        if zeros > digits_max || self.digits.len() + zeros > digits_max {
            return None;
        }
        let magnitude: i128 = format!("{}{}", self.digits, "0".repeat(zeros))
            .parse()
            .ok()?;
        Some(if self.negative { -magnitude } else { magnitude })
    }
}

/// An exponent, clamped to far beyond the length of any payload.
fn read_exponent(text: &str) -> Option<i64> {
    const FAR: i64 = 1 << 40;
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let magnitude = digits.parse().unwrap_or(FAR).min(FAR);
    Some(if negative { -magnitude } else { magnitude })
}
