//! Numbers in JSON: their grammar, and their values as integers and as floating point.

use crate::scan::{Flaw, ScanError, Scanned};

/// A well-formed number of the payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number<'p> {
    /// The number as it is in the payload.
    pub(crate) text: &'p [u8],
    shape: Shape,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Without point and exponent, and within 64 bits.
    Integer(i64),
    /// Any other.
    Other,
}

impl Number<'_> {
    /// The number, if it is written as an integer and fits 64 bits with a sign.
    #[inline]
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self.shape {
            Shape::Integer(value) => Some(value),
            Shape::Other => None,
        }
    }

    /// The nearest floating-point number.
    #[inline]
    pub(crate) fn as_double(&self) -> f64 {
        const EXACT: i64 = 1 << f64::MANTISSA_DIGITS;
        match self.shape {
            // Zero may be negative, which an integer cannot say.
            Shape::Integer(value) if value != 0 && (-EXACT..=EXACT).contains(&value) => {
                value as f64
            }
            _ => parse_double(self.text),
        }
    }
}

/// Scans the number whose sign or first digit is at `start`.
#[inline]
pub(crate) fn scan(payload: &[u8], start: usize) -> Scanned<Number<'_>> {
    let byte = |at: usize| payload.get(at).copied().unwrap_or(0);
    let negative = byte(start) == b'-';
    let first = start + usize::from(negative);
    let mut at = first;
    let mut magnitude = 0_u64;
    while byte(at).is_ascii_digit() {
        magnitude = magnitude
            .wrapping_mul(10)
            .wrapping_add(u64::from(byte(at) - b'0'));
        at += 1;
    }
    if at == first {
        return Err(error(Flaw::Digit, at));
    }
    if byte(first) == b'0' && at > first + 1 {
        return Err(error(Flaw::LeadingZero, first));
    }
    // Up to 18 digits fit whatever they are; most numbers are that short.
    if at - first > 18 || matches!(byte(at), b'.' | b'e' | b'E') {
        return scan_rest(payload, start, at);
    }
    let value = magnitude as i64;
    let shape = Shape::Integer(if negative { -value } else { value });
    Ok(Number {
        text: &payload[start..at],
        shape,
    })
}

/// Goes on after the integer part, which ends at `at`.
#[inline(never)]
fn scan_rest(payload: &[u8], start: usize, mut at: usize) -> Scanned<Number<'_>> {
    let byte = |at: usize| payload.get(at).copied().unwrap_or(0);
    let integer_end = at;
    if byte(at) == b'.' {
        at = skip_digits(payload, at + 1)?;
    }
    let fraction_end = at;
    if matches!(byte(at), b'e' | b'E') {
        at += 1 + usize::from(matches!(byte(at + 1), b'+' | b'-'));
        at = skip_digits(payload, at)?;
    }
    let text = &payload[start..at];
    // Only an exponent, or more than 308 digits before the point, can lead out of range.
    let may_exceed = at > fraction_end || integer_end - start > 308;
    if may_exceed && parse_double(text).is_infinite() {
        return Err(error(Flaw::Range, start));
    }
    let shape = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .map_or(Shape::Other, Shape::Integer);
    Ok(Number { text, shape })
}

/// The offset after one digit or more.
fn skip_digits(payload: &[u8], at: usize) -> Scanned<usize> {
    let count = payload[at.min(payload.len())..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if count == 0 {
        Err(error(Flaw::Digit, at))
    } else {
        Ok(at + count)
    }
}

/// The nearest floating-point number to a well-formed number's text.
fn parse_double(text: &[u8]) -> f64 {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .expect("JSON's numbers are a subset of those that Rust reads")
}

#[cold]
fn error(flaw: Flaw, at: usize) -> ScanError {
    ScanError {
        flaw,
        at: at as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Number<'_> {
        let number = scan(text.as_bytes(), 0).unwrap();
        assert_eq!(number.text, text.as_bytes());
        number
    }

    #[test]
    fn integers_fit_64_bits_or_are_none() {
        assert_eq!(of("0").as_integer(), Some(0));
        assert_eq!(of("-0").as_integer(), Some(0));
        assert_eq!(of("-17").as_integer(), Some(-17));
        assert_eq!(
            of("999999999999999999").as_integer(),
            Some(999_999_999_999_999_999)
        );
        assert_eq!(of("9223372036854775807").as_integer(), Some(i64::MAX));
        assert_eq!(of("-9223372036854775808").as_integer(), Some(i64::MIN));
        assert_eq!(of("9223372036854775808").as_integer(), None);
        assert_eq!(of("99999999999999999999999").as_integer(), None);
        assert_eq!(of("1.0").as_integer(), None);
        assert_eq!(of("1e0").as_integer(), None);
    }

    #[test]
    fn doubles_are_the_nearest() {
        assert_eq!(of("0.1").as_double().to_bits(), 0.1_f64.to_bits());
        assert_eq!(of("-0").as_double().to_bits(), (-0.0_f64).to_bits());
        assert_eq!(of("-0.0").as_double().to_bits(), (-0.0_f64).to_bits());
        assert_eq!(
            of("9007199254740993").as_double().to_bits(),
            9_007_199_254_740_992_f64.to_bits()
        );
        assert_eq!(
            of("123456789012345678901").as_double().to_bits(),
            123_456_789_012_345_678_901_f64.to_bits()
        );
        assert_eq!(of("5e-324").as_double().to_bits(), 5e-324_f64.to_bits());
        assert_eq!(of("1e-999").as_double().to_bits(), 0);
    }

    #[test]
    fn a_number_ends_where_its_grammar_ends() {
        for (text, len) in [
            ("12,", 2),
            ("1.5}", 3),
            ("1e5 ", 3),
            ("-3]", 2),
            ("7abc", 1),
        ] {
            assert_eq!(scan(text.as_bytes(), 0).unwrap().text.len(), len, "{text}");
        }
    }

    #[test]
    fn malformed_numbers_are_refused() {
        let flaw = |text: &str| scan(text.as_bytes(), 0).unwrap_err().flaw;
        assert_eq!(flaw("-"), Flaw::Digit);
        assert_eq!(flaw("01"), Flaw::LeadingZero);
        assert_eq!(flaw("-00"), Flaw::LeadingZero);
        assert_eq!(flaw("1."), Flaw::Digit);
        assert_eq!(flaw("1.e5"), Flaw::Digit);
        assert_eq!(flaw("1e"), Flaw::Digit);
        assert_eq!(flaw("1e+"), Flaw::Digit);
        assert_eq!(flaw("1e309"), Flaw::Range);
        assert_eq!(flaw(&"9".repeat(310)), Flaw::Range);
    }
}
