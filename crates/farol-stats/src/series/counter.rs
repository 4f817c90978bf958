//! Counters as rates: a counter only grows, and starts again from 0 when its process does.
//!
//! ```text
//! count now − count before, or count now if it is less (it was reset) ──▶ / seconds between ──▶ rate ──▶ any detector
//! ```

use serde::{Deserialize, Serialize};

use super::usable;

/// The rate of a counter, a second.
///
/// A count below the last is a reset: the counter has counted at least what it shows now. So a reset is no drop, and a gap
/// gives the mean rate over it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CounterRate {
    last: Option<(i64, f64)>,
}

impl CounterRate {
    /// The mean rate since the last count; `None` for the first, for a missing one, and if no time has passed.
    pub fn observe(&mut self, time: i64, count: Option<f64>) -> Option<f64> {
        let count = usable(count).filter(|count| *count >= 0.0)?;
        let Some((before, last)) = self.last else {
            self.last = Some((time, count));
            return None;
        };
        if time <= before {
            return None;
        }
        self.last = Some((time, count));
        let grown = if count < last { count } else { count - last };
        Some(grown / (time - before) as f64)
    }
}
