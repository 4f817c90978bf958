//! Series that stand still, and what that means.
//!
//! ```text
//! value as the last? ──yes──▶ run + 1 ──▶ run / (longest run that ended before + 1) ──▶ score
//!                    └─no──▶ the run has ended: is it the longest?
//! ```

use serde::{Deserialize, Serialize};

use super::Detector;

/// How long a series has not changed, in lengths of the longest time that it did not change before.
///
/// A series that has been flat for as long before scores about 1, and one that never changed at all scores 0: a flat line
/// is unusual only where there was none.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FlatLine {
    last: Option<f64>,
    run: u32,
    /// Of the runs that ended; `None` before the first change.
    longest: Option<u32>,
}

impl FlatLine {
    /// How many values in a row have been as the one before.
    pub fn run(&self) -> u32 {
        self.run
    }
}

impl Detector for FlatLine {
    /// The run in lengths; `None` for the first value.
    fn score(&mut self, _time: i64, value: f64) -> Option<f64> {
        let last = self.last.replace(value)?;
        // Bit for bit: a measure that is stuck repeats itself exactly.
        if value.to_bits() == last.to_bits() {
            self.run = self.run.saturating_add(1);
        } else {
            self.longest = Some(self.longest.unwrap_or(0).max(self.run));
            self.run = 0;
        }
        let longest = self.longest.map_or(f64::INFINITY, f64::from);
        Some(f64::from(self.run) / (longest + 1.0))
    }
}
