//! The wall clock, in the one unit that tables and marks use.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds in a day.
const DAY_US: i64 = 86_400_000_000;

/// Now, in microseconds since the epoch.
pub fn now_us() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
}

/// The UTC day of a time in microseconds: days since the epoch, as `event_date` holds it.
pub fn day_of(time_us: i64) -> i32 {
    time_us.div_euclid(DAY_US) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_utc_before_the_epoch_too() {
        assert_eq!(
            (day_of(0), day_of(DAY_US - 1), day_of(DAY_US), day_of(-1)),
            (0, 0, 1, -1)
        );
    }
}
