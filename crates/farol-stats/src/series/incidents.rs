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
/// What is left of a remembered peak with each value: it is no longer alike after some 25,000, so habits fade.
const KEPT: f32 = 1.0 - 2e-6;

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
        let strength = self.follow(score)?;
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

    /// Remembers the incidents of scores as [`Incidents::observe`] does, but raises no alarm and holds none off. Gives the
    /// score less what earlier incidents take off; `None` if it is too low to be one.
    pub fn follow(&mut self, score: f64) -> Option<f64> {
        self.since_peak = self.since_peak.saturating_add(1);
        self.since_alarm = self.since_alarm.map(|since| since.saturating_add(1));
        self.peaks.iter_mut().for_each(|peak| *peak *= KEPT);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows with an alarm, of scores that are 0 but for some rows.
    fn alarms(rules: IncidentRules, rows: usize, scores: &[(usize, f64)]) -> Vec<usize> {
        let mut incidents = Incidents::new(rules);
        let score = |row| {
            scores
                .iter()
                .find(|(at, _)| *at == row)
                .map_or(0.0, |(_, score)| *score)
        };
        (0..rows)
            .filter(|row| incidents.observe(score(*row)).is_some())
            .collect()
    }

    #[test]
    fn an_incident_is_one_alarm_unless_it_gets_much_worse() {
        let rules = IncidentRules::default();
        let scores = [(10, 2.0), (11, 2.5), (50, 3.4), (60, 3.6), (61, 4.0)];
        assert_eq!(alarms(rules, 100, &scores), [10, 60]);
        assert_eq!(alarms(rules, 100, &[(10, 1.4)]), Vec::<usize>::new());
        assert_eq!(
            alarms(rules, 300, &[(10, 2.0), (110, 2.0), (211, 2.5)]),
            [10, 211]
        );
    }

    #[test]
    fn what_recurs_becomes_a_habit_and_habits_fade() {
        let rules = IncidentRules::default();
        // 2 − 0.5 · √n reaches no 1.5 once two incidents of that size have been.
        let every: Vec<_> = (0..6).map(|time| (10 + 500 * time, 2.0)).collect();
        assert_eq!(alarms(rules, 3000, &every), [10, 510]);
        // A higher one is no habit.
        let mut higher = every.clone();
        higher.push((2800, 3.0));
        assert_eq!(alarms(rules, 3000, &higher), [10, 510, 2800]);
        let mut later = every;
        later.push((40_000, 2.0));
        assert_eq!(alarms(rules, 40_100, &later), [10, 510, 40_000]);
    }
}
