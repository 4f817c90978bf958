//! Instants as applications write them, to microseconds since 1970-01-01T00:00:00Z: RFC 3339 text,
//! read at fixed positions, and integer epochs, whose unit their magnitude tells.

/// What is expected where an instant cannot be read.
pub const EXPECTED: &str = "expected RFC 3339 text (2026-01-31T08:15:30.250Z) or an integer epoch \
     in seconds, milliseconds, microseconds or nanoseconds";

const MICROSECONDS: i64 = 1_000_000;

/// Microseconds since 1970 of an integer epoch: below 10^11 it counts seconds (until the year
/// 5138), below 10^14 milliseconds, below 10^17 microseconds, else nanoseconds.
///
/// ```
/// # use farol_events::time_text::from_epoch;
/// assert_eq!(from_epoch(1_767_225_600), 1_767_225_600_000_000);
/// assert_eq!(from_epoch(1_767_225_600_000), 1_767_225_600_000_000);
/// assert_eq!(from_epoch(1_767_225_600_000_000_000), 1_767_225_600_000_000);
/// ```
pub const fn from_epoch(epoch: i64) -> i64 {
    match epoch.unsigned_abs() {
        0..100_000_000_000 => epoch * MICROSECONDS,
        100_000_000_000..100_000_000_000_000 => epoch * 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => epoch,
        _ => epoch.div_euclid(1_000),
    }
}

/// Microseconds since 1970 of an RFC 3339 text, or `None` where it is not one. Digits beyond the
/// microsecond are dropped; a leap second is the first second of the next minute.
///
/// ```
/// # use farol_events::time_text::parse_rfc3339;
/// assert_eq!(parse_rfc3339(b"2026-01-01T01:00:00.5+01:00"), Some(1_767_225_600_500_000));
/// assert_eq!(parse_rfc3339(b"2026-01-01T00:00:00"), None);
/// ```
pub fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let day = days_since_epoch(date_time)?;
    let second = second_of_day(date_time)?;
    let (fraction_us, zone) = match rest {
        [b'.', rest @ ..] => split_fraction(rest)?,
        _ => (0, rest),
    };
    let offset_s = zone_offset_s(zone)?;
    Some((day * 86_400 + second - offset_s) * MICROSECONDS + fraction_us)
}

/// The RFC 3339 text of an instant, in UTC and to the microsecond.
///
/// ```
/// # use farol_events::time_text::format_rfc3339;
/// assert_eq!(format_rfc3339(1_767_225_600_250_000), "2026-01-01T00:00:00.250000Z");
/// ```
pub fn format_rfc3339(instant_us: i64) -> String {
    let seconds = instant_us.div_euclid(MICROSECONDS);
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60,
        instant_us.rem_euclid(MICROSECONDS)
    )
}

/// Days from 1970-01-01 to the date at the text's beginning.
fn days_since_epoch(text: &[u8; 19]) -> Option<i64> {
    if text[4] != b'-' || text[7] != b'-' || !matches!(text[10], b'T' | b't' | b' ') {
        return None;
    }
    let year = two_digits(text[0], text[1])? * 100 + two_digits(text[2], text[3])?;
    let month = two_digits(text[5], text[6])?;
    let day = two_digits(text[8], text[9])?;
    if day == 0 || day > days_in_month(year, month) {
        return None;
    }
    Some(days_from_civil(year, month, day))
}

/// Seconds from midnight to the time at the text's end.
fn second_of_day(text: &[u8; 19]) -> Option<i64> {
    if text[13] != b':' || text[16] != b':' {
        return None;
    }
    let hour = two_digits(text[11], text[12])?;
    let minute = two_digits(text[14], text[15])?;
    let second = two_digits(text[17], text[18])?;
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3_600 + minute * 60 + second)
}

/// The digits after the point, as microseconds, and what follows them.
fn split_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let mut microseconds = 0;
    let mut unit = 100_000;
    let mut count = 0;
    for byte in text.iter().take_while(|byte| byte.is_ascii_digit()) {
        microseconds += i64::from(byte - b'0') * unit;
        unit /= 10;
        count += 1;
    }
    (count > 0).then(|| (microseconds, &text[count..]))
}

/// Seconds that the text's clock is ahead of UTC.
fn zone_offset_s(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = two_digits(h1, h2)?;
            let minutes = two_digits(m1, m2)?;
            let seconds = hours * 3_600 + minutes * 60;
            let valid = hours < 24 && minutes < 60;
            valid.then_some(if sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

#[inline]
fn two_digits(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i64::from(tens) * 10 + i64::from(ones))
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, counted in years that begin
/// in March, so that the leap day is a year's last.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The year, month and day of a day: the inverse of [`days_from_civil`].
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let leaps = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<i64> {
        parse_rfc3339(text.as_bytes())
    }

    #[test]
    fn known_instants() {
        assert_eq!(of("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(of("2026-01-01T00:00:00Z"), Some(1_767_225_600_000_000));
        assert_eq!(
            of("2024-02-29T23:59:59.999999Z"),
            Some(1_709_251_199_999_999)
        );
        assert_eq!(of("1969-12-31T23:59:59.5Z"), Some(-500_000));
        assert_eq!(of("0000-01-01T00:00:00Z"), Some(-62_167_219_200_000_000));
        assert_eq!(of("9999-12-31T23:59:59Z"), Some(253_402_300_799_000_000));
    }

    #[test]
    fn every_day_follows_the_day_before() {
        let mut expected = days_from_civil(1599, 12, 31);
        for year in 1600..2401 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    expected += 1;
                    assert_eq!(days_from_civil(year, month, day), expected);
                    assert_eq!(civil_from_days(expected), (year, month, day));
                }
            }
        }
    }

    #[test]
    fn fractions_and_zones() {
        assert_eq!(of("1970-01-01T00:00:00.1Z"), Some(100_000));
        assert_eq!(of("1970-01-01T00:00:00.123456789Z"), Some(123_456));
        assert_eq!(of("1970-01-01t00:00:00z"), Some(0));
        assert_eq!(of("1970-01-01 00:00:00Z"), Some(0));
        assert_eq!(of("1970-01-01T05:30:00+05:30"), Some(0));
        assert_eq!(of("1969-12-31T16:00:00-08:00"), Some(0));
        assert_eq!(of("1970-01-01T00:00:00-00:00"), Some(0));
        assert_eq!(of("2016-12-31T23:59:60Z"), of("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for instant_us in [
            0,
            -1,
            1_767_225_600_123_456,
            -62_167_219_200_000_000,
            253_402_300_799_999_999,
        ] {
            assert_eq!(of(&format_rfc3339(instant_us)), Some(instant_us));
        }
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00Z ",
            "2026/01/01T00:00:00Z",
            "2026-1-01T00:00:00Z0",
            "+026-01-01T00:00:00Z",
            "2026-01-01T00:00:00,5Z",
            "2026-01-01X00:00:00Z",
        ] {
            assert_eq!(of(text), None, "{text:?}");
        }
    }

    #[test]
    fn epochs_are_told_apart_by_magnitude() {
        let instant = 1_767_225_600_123_456;
        assert_eq!(
            from_epoch(instant / MICROSECONDS),
            instant / MICROSECONDS * MICROSECONDS
        );
        assert_eq!(from_epoch(instant / 1_000), instant / 1_000 * 1_000);
        assert_eq!(from_epoch(instant), instant);
        assert_eq!(from_epoch(instant * 1_000 + 789), instant);
        assert_eq!(from_epoch(-1), -MICROSECONDS);
        assert_eq!(from_epoch(99_999_999_999), 99_999_999_999 * MICROSECONDS);
        assert_eq!(from_epoch(100_000_000_000), 100_000_000_000_000);
        assert_eq!(from_epoch(i64::MIN), i64::MIN.div_euclid(1_000));
        assert_eq!(from_epoch(i64::MAX), i64::MAX / 1_000);
    }
}
