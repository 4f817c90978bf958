//! Decimals with 38 digits, 12 of them after the point, read from text and never through binary
//! floating point. A decimal is held as an `i128` that counts millionths of a millionth.

/// How many digits a decimal has.
pub const PRECISION: u8 = 38;
/// How many of a decimal's digits are after the point.
pub const SCALE: i8 = 12;
/// One, as a decimal is held.
pub const ONE: i128 = 1_000_000_000_000;

/// The smallest magnitude that does not fit.
const LIMIT: u128 = 10_u128.pow(PRECISION as u32);

/// Why a text is not a decimal(38,12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// It is not a number in decimal notation.
    #[error("expected a decimal number")]
    NotANumber,
    /// It has digits other than zero beyond the twelfth after the point.
    #[error("expected at most 12 digits after the decimal point")]
    TooPrecise,
    /// It has more than 26 digits before the point.
    #[error("expected at most 26 digits before the decimal point")]
    TooLarge,
}

/// Reads a decimal: a sign, digits with an optional point, an optional exponent. Zeros beyond the
/// twelfth place after the point change nothing and are accepted.
///
/// ```
/// # use farol_events::decimal::{self, DecimalError};
/// assert_eq!(decimal::parse(b"0.0025"), Ok(2_500_000_000));
/// assert_eq!(decimal::parse(b"-1e-12"), Ok(-1));
/// assert_eq!(decimal::parse(b"1e-13"), Err(DecimalError::TooPrecise));
/// ```
pub fn parse(text: &[u8]) -> Result<i128, DecimalError> {
    match parse_short(text) {
        Some(value) => Ok(value),
        None => parse_long(text),
    }
}

/// The everyday case: up to 18 digits, at most 12 after the point, no exponent. `None` says only
/// that the text is not such a case.
fn parse_short(text: &[u8]) -> Option<i128> {
    const POWERS: [u64; 13] = {
        let mut powers = [1; 13];
        let mut i = 1;
        while i < powers.len() {
            powers[i] = powers[i - 1] * 10;
            i += 1;
        }
        powers
    };
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.len() > 19 {
        return None;
    }
    let mut mantissa = 0_u64;
    let mut point = None;
    for (i, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if *byte == b'.' && point.is_none() {
            point = Some(i);
        } else {
            return None;
        }
    }
    let after_point = point.map_or(0, |i| digits.len() - 1 - i);
    let has_digits = digits.len() > usize::from(point.is_some());
    if !has_digits || after_point > SCALE as usize || (point.is_none() && digits.len() > 18) {
        return None;
    }
    let magnitude = i128::from(mantissa) * i128::from(POWERS[SCALE as usize - after_point]);
    Some(if negative { -magnitude } else { magnitude })
}

/// Every case: any number of digits, zeros and exponent.
fn parse_long(text: &[u8]) -> Result<i128, DecimalError> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (digits, exponent) = split_exponent(rest)?;
    let mantissa = read_mantissa(digits)?;
    if mantissa.significant == Some(0) {
        return Ok(0);
    }
    let shift = mantissa
        .exponent
        .saturating_add(exponent)
        .saturating_add(i64::from(SCALE));
    if shift < 0 {
        return Err(DecimalError::TooPrecise);
    }
    let magnitude = mantissa
        .significant
        .zip(
            u32::try_from(shift)
                .ok()
                .and_then(|shift| 10_u128.checked_pow(shift)),
        )
        .and_then(|(significant, power)| significant.checked_mul(power))
        .filter(|magnitude| *magnitude < LIMIT)
        .ok_or(DecimalError::TooLarge)? as i128;
    Ok(if negative { -magnitude } else { magnitude })
}

/// Digits up to the last that is not zero, and the power of ten that they are to be multiplied by.
struct Mantissa {
    /// `None` if they exceed 128 bits.
    significant: Option<u128>,
    exponent: i64,
}

fn read_mantissa(digits: &[u8]) -> Result<Mantissa, DecimalError> {
    let mut significant = Some(0_u128);
    let mut zeros_pending = 0_u32;
    let mut after_point = None;
    let mut count = 0_usize;
    for byte in digits {
        match byte {
            b'0' => zeros_pending = zeros_pending.saturating_add(1),
            b'1'..=b'9' => {
                let digit = u128::from(byte - b'0');
                significant = significant.and_then(|value| append(value, zeros_pending, digit));
                zeros_pending = 0;
            }
            b'.' if after_point.is_none() => {
                after_point = Some(0_i64);
                continue;
            }
            _ => return Err(DecimalError::NotANumber),
        }
        count += 1;
        after_point = after_point.map(|places| places + 1);
    }
    if count == 0 {
        return Err(DecimalError::NotANumber);
    }
    let exponent = i64::from(zeros_pending) - after_point.unwrap_or(0);
    Ok(Mantissa {
        significant,
        exponent,
    })
}

/// `value`, then `zeros` zeros, then `digit`.
fn append(value: u128, zeros: u32, digit: u128) -> Option<u128> {
    if value == 0 {
        return Some(digit);
    }
    let power = 10_u128.checked_pow(zeros.checked_add(1)?)?;
    value.checked_mul(power)?.checked_add(digit)
}

/// What is before the exponent, and the exponent, clamped to where it decides anyway.
fn split_exponent(text: &[u8]) -> Result<(&[u8], i64), DecimalError> {
    let Some(at) = memchr::memchr2(b'e', b'E', text) else {
        return Ok((text, 0));
    };
    let (negative, digits) = match &text[at + 1..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DecimalError::NotANumber);
    }
    let magnitude = digits.iter().fold(0_i64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'))
    });
    Ok((&text[..at], if negative { -magnitude } else { magnitude }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<i128, DecimalError> {
        parse(text.as_bytes())
    }

    #[test]
    fn everyday_amounts_are_exact() {
        assert_eq!(of("0"), Ok(0));
        assert_eq!(of("1"), Ok(ONE));
        assert_eq!(of("-1"), Ok(-ONE));
        assert_eq!(of("0.1"), Ok(ONE / 10));
        assert_eq!(of("12.345678"), Ok(12_345_678_000_000));
        assert_eq!(of("0.000000000001"), Ok(1));
        assert_eq!(of("123456789012345678"), Ok(123_456_789_012_345_678 * ONE));
        assert_eq!(of("999999.999999999999"), Ok(999_999_999_999_999_999));
    }

    #[test]
    fn exponents_signs_and_zeros_do_not_matter() {
        assert_eq!(of("1e-12"), Ok(1));
        assert_eq!(of("1.5E+3"), Ok(1_500 * ONE));
        assert_eq!(of("+2"), Ok(2 * ONE));
        assert_eq!(of("007.50"), Ok(7 * ONE + ONE / 2));
        assert_eq!(of("0.10000000000000000000000000"), Ok(ONE / 10));
        assert_eq!(of("0e999999999999999999999"), Ok(0));
        assert_eq!(
            of("0.0000000000000000000000000000000000000000000000001e49"),
            Ok(ONE)
        );
        assert_eq!(of(&format!("1{}e-400", "0".repeat(400))), Ok(ONE));
    }

    #[test]
    fn both_readers_agree() {
        for text in [
            "0",
            "-0.5",
            "1.",
            ".5",
            "123.000000000001",
            "99999999999999999",
            "-7.25",
        ] {
            assert_eq!(
                parse_short(text.as_bytes()),
                parse_long(text.as_bytes()).ok(),
                "{text}"
            );
        }
    }

    #[test]
    fn the_largest_fits_and_the_next_does_not() {
        let nines = "9".repeat(26);
        assert_eq!(
            of(&format!("{nines}.999999999999")),
            Ok(10_i128.pow(38) - 1)
        );
        assert_eq!(
            of(&format!("-{nines}.999999999999")),
            Ok(1 - 10_i128.pow(38))
        );
        assert_eq!(
            of(&format!("1{}", "0".repeat(26))),
            Err(DecimalError::TooLarge)
        );
        assert_eq!(of("1e26"), Err(DecimalError::TooLarge));
        assert_eq!(of("1e999999999999999999999"), Err(DecimalError::TooLarge));
        assert_eq!(of(&"9".repeat(60)), Err(DecimalError::TooLarge));
    }

    #[test]
    fn a_thirteenth_place_is_refused() {
        assert_eq!(of("0.0000000000001"), Err(DecimalError::TooPrecise));
        assert_eq!(
            of("1e-999999999999999999999"),
            Err(DecimalError::TooPrecise)
        );
        assert_eq!(of("0.1234567890123"), Err(DecimalError::TooPrecise));
    }

    #[test]
    fn other_texts_are_not_numbers() {
        for text in [
            "", "-", ".", "1.2.3", "1e", "1e+", "e5", "NaN", "1 ", "0x1", "1,5", "--1", "1e5.0",
        ] {
            assert_eq!(of(text), Err(DecimalError::NotANumber), "{text:?}");
        }
    }
}
