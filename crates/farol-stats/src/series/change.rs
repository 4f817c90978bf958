//! Whether what raised an alarm was a spike or a shift of level, said a little later.
//!
//! ```text
//! last 16 before ──▶ median, mean deviation
//!                                  │
//! alarm's and next 12 ──▶ median ──┴─▶ away by 3 deviations, and half as far as the farthest? ──yes──▶ shift of level
//!                                                                                  └──no───▶ spike
//! ```

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

const BEFORE: usize = 16;
const AFTER: usize = 12;
/// How many deviations the medians must be apart for a shift.
const APART: f64 = 3.0;
/// What share of the farthest that the series went it must stay away for a shift.
const STAYS: f64 = 0.5;

/// What kind of change an alarm was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The series was back at its old level after 12 values.
    Spike,
    /// The series has stayed away from its old level.
    LevelShift,
}

/// Watches a series around its alarms. An alarm while an earlier one is being watched is not watched itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ChangeWatch {
    before: VecDeque<f32>,
    after: Vec<f32>,
    watching: bool,
}

impl ChangeWatch {
    /// Takes the next value, and whether it raised an alarm; says what kind of change it was 12 values after the alarm's.
    pub fn observe(&mut self, value: f64, alarm: bool) -> Option<Change> {
        self.watching |= alarm && self.before.len() == BEFORE;
        if !self.watching {
            self.push_before(value as f32);
            return None;
        }
        self.after.push(value as f32);
        if self.after.len() <= AFTER {
            return None;
        }
        let change = self.judge();
        self.watching = false;
        for value in std::mem::take(&mut self.after) {
            self.push_before(value);
        }
        change
    }

    fn judge(&self) -> Option<Change> {
        let before: Vec<f64> = self.before.iter().map(|value| f64::from(*value)).collect();
        let after: Vec<f64> = self.after.iter().map(|value| f64::from(*value)).collect();
        let (old, new) = (median(&before)?, median(&after)?);
        let deviation = before.iter().map(|value| (value - old).abs()).sum::<f64>() / BEFORE as f64;
        let farthest = after
            .iter()
            .map(|value| (value - old).abs())
            .fold(0.0, f64::max);
        let stays = (APART * deviation + 1e-6 * old.abs()).max(STAYS * farthest);
        Some(if (new - old).abs() > stays {
            Change::LevelShift
        } else {
            Change::Spike
        })
    }

    fn push_before(&mut self, value: f32) {
        if self.before.len() == BEFORE {
            self.before.pop_front();
        }
        self.before.push_back(value);
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let high = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(high);
    }
    Some(0.5 * (high + sorted.get(middle.checked_sub(1)?)?))
}
