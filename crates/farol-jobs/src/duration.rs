//! Spans of time as rules and detectors write them: `2m`, `10m`, `'7 days'`, `1 hour`.

/// Microseconds of the units, by every name they go by.
const UNITS: [(&[&str], i64); 5] = [
    (&["s", "sec", "second", "seconds"], 1_000_000),
    (&["m", "min", "minute", "minutes"], 60_000_000),
    (&["h", "hour", "hours"], 3_600_000_000),
    (&["d", "day", "days"], 86_400_000_000),
    (&["w", "week", "weeks"], 604_800_000_000),
];

/// The longest span that can be named: ten years.
const LONGEST_US: i64 = 3_650 * 86_400_000_000;

/// Reads a span of time, in microseconds: a whole number and a unit.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn parse_us(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let help = || {
        format!(
            "`{text}` is not a span of time; write a whole number and a unit, such as 30s, 2m, 1h or '7 days'"
        )
    };
    let number: i64 = number.parse().map_err(|_| help())?;
    let per_unit = UNITS
        .iter()
        .find(|(names, _)| names.contains(&unit.as_str()))
        .map(|(_, per_unit)| *per_unit)
        .ok_or_else(help)?;
    number
        .checked_mul(per_unit)
        .filter(|us| *us <= LONGEST_US)
        .ok_or_else(|| format!("`{text}` is too long; ten years are the most"))
}

/// A span in the words of SQL's `measures`: `5 minutes`.
pub fn words(us: i64) -> String {
    let unit = UNITS
        .iter()
        .rev()
        .find(|(_, per_unit)| us % per_unit == 0 && us >= *per_unit);
    match unit {
        Some((names, per_unit)) => {
            let count = us / per_unit;
            let name = names[names.len() - usize::from(count != 1) - usize::from(count == 1) * 2];
            format!("{count} {name}")
        }
        None => format!("{us} microseconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        assert_eq!(parse_us("2m"), Ok(120_000_000));
        assert_eq!(parse_us("7 days"), Ok(7 * 86_400_000_000));
        assert_eq!(parse_us("1 hour"), Ok(3_600_000_000));
        assert_eq!(words(60_000_000), "1 minute");
        assert_eq!(words(300_000_000), "5 minutes");
        assert_eq!(words(604_800_000_000), "1 week");
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for wrong in ["", "m", "2", "2 fortnights", "-1m", "1.5h", "99999999999d"] {
            assert!(parse_us(wrong).is_err(), "{wrong}");
        }
    }
}
