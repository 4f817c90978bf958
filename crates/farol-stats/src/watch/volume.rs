//! How many observations come in a week, and from that and a budget of false alarms the threshold of every watch.
//!
//! ```text
//! observations of every window, all streams ──▶ days ──▶ a week's number ──/ false alarms a week──▶ threshold
//! ```
//!
//! A threshold of a window is made of earlier days and of the day so far, so that it is known before the window is judged,
//! which is what the guarantee of the detectors asks for.

use std::collections::VecDeque;

use crate::sequential::alarm_budget::average_run_length;
use serde::{Deserialize, Serialize};

const DAY_US: i64 = 86_400_000_000;
const DAYS: usize = 7;
/// A rate of observations is not believed before so much of it was seen.
const SEEN_US_MIN: i64 = 3_600_000_000;

/// Observations of one kind, by day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    /// The day of the first observation, and when in it.
    first_us: Option<i64>,
    /// The newest days, the last of them under way: their number since the epoch, and their observations.
    days: VecDeque<(i64, u64)>,
}

impl Volume {
    /// Counts the observations of a window.
    pub fn add(&mut self, window_us: i64, observations: u64) {
        if observations == 0 {
            return;
        }
        self.first_us.get_or_insert(window_us);
        let day = window_us.div_euclid(DAY_US);
        match self.days.back_mut() {
            Some((last, count)) if *last >= day => *count += observations,
            _ => self.days.push_back((day, observations)),
        }
        while self
            .days
            .front()
            .is_some_and(|(first, _)| *first <= day - DAYS as i64)
        {
            self.days.pop_front();
        }
    }

    /// The observations of a week, by those of the last seven days, or of as much of them as was seen.
    pub fn a_week(&self, now_us: i64) -> Option<f64> {
        let (first_day, _) = self.days.front()?;
        let begun_us = self.first_us?.max(first_day * DAY_US);
        let seen_us = (now_us - begun_us).max(SEEN_US_MIN);
        let count: u64 = self.days.iter().map(|(_, count)| count).sum();
        Some(count as f64 * (DAYS as i64 * DAY_US) as f64 / seen_us as f64)
    }

    /// The threshold that keeps the expected number of false alarms a week within a budget. Infinite while nothing was
    /// seen: then there is nothing to judge either.
    pub fn threshold(&self, now_us: i64, false_alarms_per_week: f64) -> f64 {
        let run_length = self
            .a_week(now_us)
            .and_then(|observations| average_run_length(false_alarms_per_week, observations));
        run_length.unwrap_or(f64::INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_is_reckoned_from_what_was_seen() {
        let mut volume = Volume::default();
        assert!(volume.threshold(0, 1.0).is_infinite());
        let minute_us = 60_000_000;
        for minute in 0..1440 {
            volume.add(minute * minute_us, 10);
        }
        let week = volume.a_week(DAY_US).unwrap();
        assert!((week - 100_800.0).abs() < 1e-6, "{week}");
        assert!((volume.threshold(DAY_US, 0.5) - 201_600.0).abs() < 1e-6);
        // Twenty days later the first ones are forgotten.
        for minute in 20 * 1440..21 * 1440 {
            volume.add(minute * minute_us, 1);
        }
        let week = volume.a_week(21 * DAY_US).unwrap();
        assert!((week - 10_080.0).abs() < 1e-6, "{week}");
    }
}
