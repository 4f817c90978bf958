//! Times as text and as microseconds since 1970 UTC.

use chrono::{DateTime, SecondsFormat, Utc};

/// The start given to traces that count their time from zero, unless `--start` says otherwise:
/// a Wednesday, 2025-01-01T00:00:00Z.
pub const DEFAULT_START: &str = "2025-01-01T00:00:00Z";

/// RFC 3339 in UTC with microseconds.
pub fn rfc3339(time_us: i64) -> String {
    match DateTime::<Utc>::from_timestamp_micros(time_us) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Micros, true),
        // Beyond the calendar: the number itself, which ingest reads as an epoch time.
        None => time_us.to_string(),
    }
}

/// Reads RFC 3339. The error says what was expected; clap shows it beside the option.
pub fn parse_rfc3339(text: &str) -> Result<i64, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_micros())
        .map_err(|error| format!("expected a time in RFC 3339, like {DEFAULT_START}: {error}"))
}

/// The wall clock.
pub fn now_us() -> i64 {
    Utc::now().timestamp_micros()
}

/// An event's time as the INTERFACE allows it: RFC 3339 in a string, or an integer since the epoch
/// in seconds, milliseconds, microseconds or nanoseconds, told apart by magnitude. `None`: neither.
pub fn event_time_us(json: &str) -> Option<i64> {
    if let Ok(number) = json.parse::<i64>() {
        return Some(match number.unsigned_abs() {
            0..100_000_000_000 => number.saturating_mul(1_000_000),
            100_000_000_000..100_000_000_000_000 => number.saturating_mul(1_000),
            100_000_000_000_000..100_000_000_000_000_000 => number,
            _ => number / 1_000,
        });
    }
    let text: String = serde_json::from_str(json).ok()?;
    parse_rfc3339(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_time() {
        let expected = Some(1_735_689_600_500_000);
        assert_eq!(event_time_us("\"2025-01-01T00:00:00.5Z\""), expected);
        assert_eq!(event_time_us("\"2025-01-01T01:00:00.5+01:00\""), expected);
        assert_eq!(event_time_us("1735689600500"), expected);
        assert_eq!(event_time_us("1735689600500000"), expected);
        assert_eq!(event_time_us("1735689600500000123"), expected);
        assert_eq!(event_time_us("1735689600"), Some(1_735_689_600_000_000));
        assert_eq!(event_time_us("\"yesterday\""), None);
        assert_eq!(event_time_us("1.5"), None);
        assert_eq!(
            rfc3339(1_735_689_600_500_000),
            "2025-01-01T00:00:00.500000Z"
        );
    }
}
