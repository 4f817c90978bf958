//! How a detector over labelled series is judged: the scoring rule of the Numenta Anomaly Benchmark (NAB).
//!
//! ```text
//! per series: times, scores, label windows ──▶ one Point a row after probation: score, window or none, what an alarm earns
//!                                                  │ all series together
//!                     threshold ──▶ total: each window's best alarm, or −miss; every alarm outside costs up to −false_alarm
//!                                                  │ (total − of no alarm at all) / (perfect − of no alarm at all) · 100
//!                                                  ▼
//!                                            normalized score
//! ```
//!
//! An alarm inside a window earns by a sigmoid that falls from the window's left edge to its right; only the best alarm of
//! a window counts. An alarm outside costs by the same sigmoid, less if it comes soon after a window.
//!
//! Source: A. Lavin, S. Ahmad, "Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark", ICMLA
//! (2015), and the description published with the benchmark.

use std::collections::{HashMap, HashSet};

/// The share of a series' rows that is not scored.
const PROBATION_SHARE: f64 = 0.15;
/// The number of rows beyond which probation does not grow: at most `0.15 · 5000 = 750` rows.
const PROBATION_CAP_ROWS: f64 = 5000.0;

/// What outcomes weigh.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// The profile's name.
    pub name: &'static str,
    /// What a window found at its first row earns.
    pub hit: f64,
    /// What an alarm far from any window costs.
    pub false_alarm: f64,
    /// What a missed window costs.
    pub miss: f64,
}

/// NAB's three application profiles.
pub const PROFILES: [Profile; 3] = [
    Profile {
        name: "standard",
        hit: 1.0,
        false_alarm: 0.11,
        miss: 1.0,
    },
    Profile {
        name: "reward_low_FP_rate",
        hit: 1.0,
        false_alarm: 0.22,
        miss: 1.0,
    },
    Profile {
        name: "reward_low_FN_rate",
        hit: 1.0,
        false_alarm: 0.11,
        miss: 2.0,
    },
];

/// One row after probation: its score, the window that holds it, and the unweighted sigmoid value of an alarm there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The detector's score; an alarm is a score at or above the threshold.
    pub score: f64,
    /// The window that the row lies in, numbered over all series; `None` outside.
    pub window: Option<usize>,
    /// The scaled sigmoid: above 0 in a window, below 0 outside.
    pub position_value: f64,
}

/// What a threshold earns over several series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// The threshold at or above which a score is an alarm.
    pub threshold: f64,
    /// The sum of what all windows and false alarms earn.
    pub total: f64,
    /// The same on the scale on which silence is 0 and every window found at its first row without a false alarm is 100.
    pub normalized: f64,
    /// How many windows hold an alarm.
    pub windows_found: usize,
    /// How many rows outside of windows are alarms.
    pub false_alarms: usize,
}

/// The rows of all series to judge together, and how many windows they hold.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    points: Vec<Point>,
    windows: usize,
}

/// The number of first rows of a series that are not scored.
pub fn probation_rows(rows: usize) -> f64 {
    (PROBATION_SHARE * rows as f64)
        .floor()
        .min(PROBATION_SHARE * PROBATION_CAP_ROWS)
}

/// `2 / (1 + e^{5x}) − 1`: 0.9866 at a window's left edge (`x = −1`), 0 at its right edge, −1 far behind it.
pub fn scaled_sigmoid(position: f64) -> f64 {
    if position > 3.0 {
        return -1.0;
    }
    2.0 / (1.0 + (5.0 * position).exp()) - 1.0
}

impl Judged {
    /// Adds one series: a time and a score a row, in order, and label windows of first and last time, in order. A window
    /// whose ends are no row's time is skipped, but it counts to the perfect score, as NAB counts all labels. A score that is
    /// not a number is never an alarm.
    pub fn add(&mut self, times: &[i64], scores: &[f64], windows: &[(i64, i64)]) {
        let ranges: Vec<(usize, usize)> = windows
            .iter()
            .filter_map(|(start, end)| {
                let first = times.iter().position(|time| time == start)?;
                let last = times.iter().position(|time| time == end)?;
                (first <= last).then_some((first, last))
            })
            .collect();
        let probation = probation_rows(times.len());
        let mut next = 0;
        for (row, &score) in scores.iter().enumerate().take(times.len()) {
            while next < ranges.len() && ranges[next].1 < row {
                next += 1;
            }
            let inside = ranges.get(next).filter(|(first, _)| *first <= row);
            let position_value = match inside {
                Some(&(first, last)) => {
                    scaled_sigmoid(-((last - row + 1) as f64) / (last - first + 1) as f64)
                }
                None => next.checked_sub(1).map_or(-1.0, |past| {
                    let (first, last) = ranges[past];
                    scaled_sigmoid((row - last) as f64 / (last - first) as f64)
                }),
            };
            if row as f64 >= probation {
                self.points.push(Point {
                    score: if score.is_nan() {
                        f64::NEG_INFINITY
                    } else {
                        score
                    },
                    window: inside.map(|_| self.windows + next),
                    position_value,
                });
            }
        }
        self.windows += windows.len();
    }

    /// What a threshold earns.
    pub fn at(&self, profile: &Profile, threshold: f64) -> Outcome {
        let mut best = self.windows_missed(profile);
        let missed = best.values().sum();
        let (mut found, mut cost, mut false_alarms) = (HashSet::new(), 0.0, 0);
        for point in self.points.iter().filter(|point| point.score >= threshold) {
            if let Some(window) = point.window {
                let value = best.entry(window).or_insert(-profile.miss);
                *value = value.max(earned(point, profile));
                found.insert(window);
            } else {
                cost += point.position_value * profile.false_alarm;
                false_alarms += 1;
            }
        }
        let total = best.values().sum::<f64>() + cost;
        Outcome {
            threshold,
            total,
            normalized: self.normalized(profile, total, missed),
            windows_found: found.len(),
            false_alarms,
        }
    }

    /// The threshold that earns the most among all scores there are, as NAB chooses it; `None` without rows.
    pub fn optimum(&self, profile: &Profile) -> Option<Outcome> {
        let mut order: Vec<&Point> = self.points.iter().collect();
        order.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut best = self.windows_missed(profile);
        let mut total: f64 = best.values().sum();
        let mut optimum = (f64::INFINITY, total);
        for (place, point) in order.iter().enumerate() {
            match point.window {
                Some(window) => {
                    let value = best.entry(window).or_insert(-profile.miss);
                    let improved = value.max(earned(point, profile));
                    total += improved - *value;
                    *value = improved;
                }
                None => total += point.position_value * profile.false_alarm,
            }
            let last_of_score = order
                .get(place + 1)
                .is_none_or(|next| next.score < point.score);
            if last_of_score && total > optimum.1 {
                optimum = (point.score, total);
            }
        }
        (!order.is_empty()).then(|| self.at(profile, optimum.0))
    }

    /// How many windows the series hold, those of probation included.
    pub fn windows(&self) -> usize {
        self.windows
    }

    /// Every window with a scored row, as missed.
    fn windows_missed(&self, profile: &Profile) -> HashMap<usize, f64> {
        let windows = self.points.iter().filter_map(|point| point.window);
        windows.map(|window| (window, -profile.miss)).collect()
    }

    fn normalized(&self, profile: &Profile, total: f64, silent: f64) -> f64 {
        let perfect = self.windows as f64 * profile.hit;
        100.0 * (total - silent) / (perfect - silent)
    }
}

/// What an alarm in a window earns: 1 · `hit` at its first row.
fn earned(point: &Point, profile: &Profile) -> f64 {
    point.position_value * profile.hit / scaled_sigmoid(-1.0)
}
