//! How a rule did on simulated incidents: what it found, how soon, and what it said besides.

use serde_json::{Value, json};

/// What a rule did in one trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The trial's seed.
    pub seed: u64,
    /// From the incident's begin to the end of the first window that told it, in microseconds.
    pub delay_us: Option<i64>,
    /// Alerts of the incident.
    pub right: usize,
    /// Alerts of nothing.
    pub false_alarms: usize,
}

/// An alert that began: the end of the window that fired, and whether it is about what was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    pub at_us: i64,
    pub is_about_hit: bool,
}

impl Outcome {
    /// Judges the alerts of one trial. Right is what begins between the incident's begin and `late_us`, and is about what was hit.
    pub fn of(seed: u64, alerts: &[Begun], from_us: i64, late_us: i64) -> Self {
        let is_right =
            |alert: &&Begun| alert.is_about_hit && (from_us..=late_us).contains(&alert.at_us);
        let right: Vec<_> = alerts.iter().filter(is_right).collect();
        let first_us = right.iter().map(|alert| alert.at_us).min();
        Self {
            seed,
            delay_us: first_us.map(|at_us| at_us - from_us),
            right: right.len(),
            false_alarms: alerts.len() - right.len(),
        }
    }
}

/// What all trials come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    outcomes: Vec<Outcome>,
    /// Delays of what was found, the shortest first, in minutes.
    delays_minutes: Vec<f64>,
}

impl Score {
    /// Adds trials up.
    pub fn of(outcomes: Vec<Outcome>) -> Self {
        let delays = outcomes.iter().filter_map(|outcome| outcome.delay_us);
        let mut delays_minutes: Vec<_> = delays.map(|delay_us| delay_us as f64 / 60e6).collect();
        delays_minutes.sort_by(f64::total_cmp);
        Self {
            outcomes,
            delays_minutes,
        }
    }

    fn found(&self) -> usize {
        self.delays_minutes.len()
    }

    /// The share of incidents that were found; `None` of no incident.
    fn recall(&self) -> Option<f64> {
        let runs = self.outcomes.len();
        (runs > 0).then(|| self.found() as f64 / runs as f64)
    }

    /// The share of alerts that were of an incident; `None` where there was no alert.
    fn precision(&self) -> Option<f64> {
        let right: usize = self.outcomes.iter().map(|outcome| outcome.right).sum();
        let all = right + self.false_alarms();
        (all > 0).then(|| right as f64 / all as f64)
    }

    fn false_alarms(&self) -> usize {
        let outcomes = self.outcomes.iter();
        outcomes.map(|outcome| outcome.false_alarms).sum()
    }

    /// The delay that this share of what was found did not exceed; `None` where nothing was.
    fn delay_minutes(&self, share: f64) -> Option<f64> {
        let place = (self.found() as f64 * share) as usize;
        let last = self.found().checked_sub(1)?;
        self.delays_minutes.get(place.min(last)).copied()
    }

    fn missed(&self) -> Vec<u64> {
        let missed = self.outcomes.iter();
        let missed = missed.filter(|outcome| outcome.delay_us.is_none());
        missed.map(|outcome| outcome.seed).collect()
    }

    /// As an object.
    pub fn to_json(&self, rule: &str, kind: &str) -> Value {
        let seeds: Vec<_> = self.outcomes.iter().map(|outcome| outcome.seed).collect();
        json!({
            "rule": rule, "incident": kind, "runs": self.outcomes.len(), "found": self.found(),
            "recall": self.recall(), "precision": self.precision(),
            "delay_p50_minutes": self.delay_minutes(0.5), "delay_p90_minutes": self.delay_minutes(0.9),
            "false_alarms": self.false_alarms(), "seeds": seeds, "missed_seeds": self.missed(),
        })
    }

    /// For people.
    pub fn told(&self, rule: &str, kind: &str) -> String {
        let number = |value: Option<f64>, digits| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        let (first, last) = (self.outcomes.first(), self.outcomes.last());
        let seeds = first.zip(last).map_or_else(String::new, |(first, last)| {
            format!("{} to {}", first.seed, last.seed)
        });
        let mut text = format!(
            "{rule} on {kind}: found {} of {} (recall {}), median delay {} min, 90 of 100 within {} min; precision {}, {} false alarms; seeds {seeds}",
            self.found(),
            self.outcomes.len(),
            number(self.recall(), 3),
            number(self.delay_minutes(0.5), 1),
            number(self.delay_minutes(0.9), 1),
            number(self.precision(), 3),
            self.false_alarms(),
        );
        let missed = self.missed();
        if !missed.is_empty() {
            let missed: Vec<_> = missed.iter().map(ToString::to_string).collect();
            text.push_str("\nmissed: seeds ");
            text.push_str(&missed.join(", "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_US: i64 = 60_000_000;

    fn begun(minute: i64, is_about_hit: bool) -> Begun {
        Begun {
            at_us: minute * MINUTE_US,
            is_about_hit,
        }
    }

    #[test]
    fn alerts_are_right_in_their_time_and_place() {
        let outcome = |alerts: &[Begun]| Outcome::of(7, alerts, 10 * MINUTE_US, 40 * MINUTE_US);
        let nothing = outcome(&[]);
        assert_eq!(
            (nothing.delay_us, nothing.right, nothing.false_alarms),
            (None, 0, 0)
        );
        let several = outcome(&[
            begun(9, true),
            begun(30, true),
            begun(14, true),
            begun(20, false),
            begun(41, true),
        ]);
        assert_eq!(several.delay_us, Some(4 * MINUTE_US));
        assert_eq!((several.right, several.false_alarms), (2, 3));
    }

    #[test]
    fn a_score_adds_up() {
        let outcome = |seed, delay: Option<i64>, right, false_alarms| Outcome {
            seed,
            delay_us: delay.map(|minutes| minutes * MINUTE_US),
            right,
            false_alarms,
        };
        let score = Score::of(vec![
            outcome(0, Some(6), 1, 0),
            outcome(1, None, 0, 1),
            outcome(2, Some(2), 1, 0),
            outcome(3, Some(4), 1, 0),
        ]);
        let told = score.to_json("r", "k");
        assert_eq!(told["found"], 3);
        assert_eq!(told["recall"], 0.75);
        assert_eq!(told["precision"], 0.75);
        assert_eq!(told["delay_p50_minutes"], 4.0);
        assert_eq!(told["delay_p90_minutes"], 6.0);
        assert_eq!(told["missed_seeds"], json!([1]));
        let none = Score::of(vec![outcome(0, None, 0, 0)]).to_json("r", "k");
        assert_eq!(
            (&none["precision"], &none["recall"]),
            (&Value::Null, &json!(0.0))
        );
        assert_eq!(none["delay_p50_minutes"], Value::Null);
    }
}
