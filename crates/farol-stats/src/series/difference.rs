//! What changed since the same time yesterday.
//!
//! ```text
//! value ──▶ − mean of the same half hour a day ago ──▶ / robust scale ──▶ score
//!   └─▶ mean of this half hour: 48 a day, each kept until it comes round again
//! ```

use serde::{Deserialize, Serialize};

use super::Detector;
use super::scale::RobustScale;

const DAY_SECONDS: i64 = 86_400;
const BINS: usize = 48;
/// No mean yet: a number that JSON has, and that no mean of usable values reaches.
const NONE: f32 = f32::MAX;

/// The seasonal difference in robust scales: value minus the mean of the same half hour one day earlier.
///
/// Source: seasonal differencing, G. E. P. Box, G. M. Jenkins, "Time Series Analysis: Forecasting and Control" (1970).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SeasonalDifference {
    /// The last full mean of each bin, or [`NONE`].
    means: Box<[f32]>,
    bin: usize,
    day: i64,
    sum: f64,
    count: u32,
    scale: RobustScale,
}

impl Default for SeasonalDifference {
    fn default() -> Self {
        Self {
            means: vec![NONE; BINS].into(),
            bin: 0,
            day: i64::MIN,
            sum: 0.0,
            count: 0,
            scale: RobustScale::new(1000),
        }
    }
}

impl Detector for SeasonalDifference {
    /// The difference in scales; `None` while the time of day has not been seen before.
    fn score(&mut self, time: i64, value: f64) -> Option<f64> {
        let bin = time.rem_euclid(DAY_SECONDS) as usize * BINS / DAY_SECONDS as usize;
        let day = time.div_euclid(DAY_SECONDS);
        if (bin, day) != (self.bin, self.day) {
            if self.count > 0 {
                self.means[self.bin] = (self.sum / f64::from(self.count)) as f32;
            }
            (self.bin, self.day, self.sum, self.count) = (bin, day, 0.0, 0);
        }
        self.sum += value;
        self.count += 1;
        let before = Some(self.means[bin]).filter(|mean| *mean < NONE)?;
        let before = f64::from(before);
        Some(self.scale.score(value - before, before))
    }
}
