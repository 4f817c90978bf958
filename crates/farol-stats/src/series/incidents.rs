//! One alarm an incident, and fewer for what has been seen before.
//!
//! ```text
//! score ──▶ − 0.5 · √(earlier incidents that peaked as high) ──▶ at or above the threshold? none in the last 100? ──▶ alarm
//!   └─▶ peak of the incident under way ──100 values without a higher one──▶ the highest 16 peaks
//! ```

use serde::{Deserialize, Serialize};

/// What an incident must reach to be remembered.
const NOTABLE: f64 = 1.2;
const REMEMBERED: usize = 16;

/// How incidents are told apart; the defaults serve all series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct IncidentRules {
    /// The score, less what earlier incidents take off, at or above which there is an alarm.
    pub threshold: f64,
    /// For how many values after an alarm there is no other, unless things get much worse, and after how many values
    /// without a higher score an incident is over.
    pub hold_off: u32,
    /// How much stronger than the last alarm one must be to be raised in spite of the hold-off, so that a false alarm does
    /// not hide what follows it.
    pub worse: f64,
    /// What the square root of the number of earlier incidents of that size takes off a score.
    pub habituation: f64,
    /// The share of a score that an earlier incident must have reached to be of that size.
    pub alike: f64,
}

impl Default for IncidentRules {
    fn default() -> Self {
        Self {
            threshold: 1.5,
            hold_off: 100,
            worse: 1.5,
            habituation: 0.5,
            alike: 0.95,
        }
    }
}

/// Incidents of one series: alarms that are apart, and lose strength as incidents of that size become a habit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Incidents {
    rules: IncidentRules,
    peaks: Vec<f32>,
    peak: f64,
    since_peak: u32,
    since_alarm: Option<u32>,
    /// The strength of the last alarm.
    alarm: f64,
}

impl Incidents {
    /// No incidents yet.
    pub fn new(rules: IncidentRules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// The strength of the alarm that a score raises, if it raises one.
    pub fn observe(&mut self, score: f64) -> Option<f64> {
        self.since_peak = self.since_peak.saturating_add(1);
        self.since_alarm = self.since_alarm.map(|since| since.saturating_add(1));
        if self.peak > 0.0 && self.since_peak > self.rules.hold_off {
            self.remember();
        }
        if score < NOTABLE {
            return None;
        }
        let strength = score - self.rules.habituation * self.earlier(score).sqrt();
        if score > self.peak {
            (self.peak, self.since_peak) = (score, 0);
        }
        let held = self
            .since_alarm
            .is_some_and(|since| since <= self.rules.hold_off);
        if strength < self.rules.threshold || held && strength < self.alarm + self.rules.worse {
            return None;
        }
        self.since_alarm = Some(0);
        self.alarm = strength;
        Some(strength)
    }

    fn earlier(&self, score: f64) -> f64 {
        let size = self.rules.alike * score;
        self.peaks
            .iter()
            .filter(|peak| f64::from(**peak) >= size)
            .count() as f64
    }

    /// Ends the incident under way. Of more than can be remembered, the highest stay.
    fn remember(&mut self) {
        let peak = self.peak as f32;
        self.peak = 0.0;
        if self.peaks.len() < REMEMBERED {
            self.peaks.push(peak);
        } else if let Some(lowest) = self.peaks.iter_mut().min_by(|a, b| a.total_cmp(b)) {
            *lowest = lowest.max(peak);
        }
    }
}
