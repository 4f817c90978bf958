//! How far the latest subsequence is from the ones like it.
//!
//! ```text
//! value ──▶ ring of the last 96 ──▶ latest 6 against each earlier 6 ──▶ distance to the 3rd nearest ──▶ / scale ──▶ score
//! ```

use serde::{Deserialize, Serialize};

use super::Detector;
use super::scale::RobustScale;

const KEPT: usize = 96;
const LENGTH: usize = 6;
const NEIGHBOURS: usize = 3;
/// How many values come before the first distance.
const WARM_UP: usize = 48;

/// The distance from the latest subsequence to its third nearest earlier one, in robust scales of such distances.
///
/// Subsequences that overlap the latest are no neighbours.
///
/// Source: S. Ramaswamy et al., "Efficient algorithms for mining outliers from large data sets" (2000); for series, E.
/// Burnaev, V. Ishimtsev, "Conformalized density- and distance-based anomaly detection in time-series data" (2016).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NearestSubsequences {
    values: Vec<f32>,
    next: usize,
    scale: Option<RobustScale>,
}

impl NearestSubsequences {
    /// The distance of the latest six values to the third nearest earlier six; `None` until 48 values have come.
    pub fn distance(&self) -> Option<f64> {
        let count = self.values.len();
        if count < WARM_UP {
            return None;
        }
        // Places count back from the latest value: 0 is the latest.
        let at = |back: usize| f64::from(self.values[(self.next + KEPT - 1 - back) % KEPT]);
        let mut latest = [0.0; LENGTH];
        for (back, value) in latest.iter_mut().enumerate() {
            *value = at(back);
        }
        let mut nearest = [f64::INFINITY; NEIGHBOURS];
        for start in LENGTH..=count - LENGTH {
            let mut distance = 0.0;
            for (back, value) in latest.iter().enumerate() {
                let difference = value - at(start + back);
                distance += difference * difference;
            }
            insert(&mut nearest, distance);
        }
        Some(nearest[NEIGHBOURS - 1].sqrt())
    }
}

impl Detector for NearestSubsequences {
    /// The distance in scales; `None` until 48 values have come.
    fn score(&mut self, _time: i64, value: f64) -> Option<f64> {
        if self.values.len() < KEPT {
            // All at once: a vector that grows by doubling would take a third more.
            self.values.reserve_exact(KEPT - self.values.len());
            self.values.push(value as f32);
        } else {
            self.values[self.next] = value as f32;
        }
        self.next = (self.next + 1) % KEPT;
        let distance = self.distance()?;
        let scale = self.scale.get_or_insert_with(|| RobustScale::new(1000));
        Some(scale.score(distance, value))
    }
}

/// Keeps the smallest values, in order.
fn insert(smallest: &mut [f64; NEIGHBOURS], value: f64) {
    let mut value = value;
    for kept in smallest {
        if value < *kept {
            std::mem::swap(kept, &mut value);
        }
    }
}
