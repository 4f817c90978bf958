//! Times as messages have them.

use chrono::{DateTime, SecondsFormat, Utc};

/// A time in microseconds as RFC 3339, in UTC and whole seconds where it is.
pub fn rfc3339(time_us: i64) -> String {
    let format = if time_us % 1_000_000 == 0 {
        SecondsFormat::Secs
    } else {
        SecondsFormat::Micros
    };
    DateTime::<Utc>::from_timestamp_micros(time_us).map_or_else(
        || time_us.to_string(),
        |time| time.to_rfc3339_opts(format, true),
    )
}

/// The clock, in microseconds. Decisions of rules and detectors use it for nothing but how old a window is.
pub fn now_us() -> i64 {
    Utc::now().timestamp_micros()
}

/// The start of the window that a time is in.
pub fn floor(time_us: i64, window_us: i64) -> i64 {
    time_us - time_us.rem_euclid(window_us.max(1))
}
