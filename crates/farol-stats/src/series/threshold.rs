//! Limits that a stream exceeds with a stated probability: SPOT, and DSPOT for streams that drift.
//!
//! ```text
//! first values ──▶ 98 % quantile ──▶ excesses ──▶ generalized Pareto ──▶ limit of risk q
//!                                        ▲                                 │
//! value ──(DSPOT: − mean of last d)──▶ above the quantile: excess, refit    ▼
//!                                    └─▶ above the limit: alarm, learned as if it were at the limit
//! ```

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::extremes::GeneralizedPareto;

/// The share of the first values below the threshold of excesses.
const INITIAL_SHARE: f64 = 0.98;
/// How many excesses are kept; older ones go.
const KEPT: usize = 256;

/// What a stream's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extremity {
    /// Below the threshold of excesses.
    Normal,
    /// In the tail, but at or below the limit.
    Tail,
    /// Above the limit.
    Alarm,
}

/// Streaming peaks over threshold: a limit that a value exceeds with probability `risk` if the stream stays as it is.
///
/// Assumes values that are independent and of one distribution. The newest 256 excesses are kept, so memory is bounded. With
/// 2,000 first values the limit is uncertain, and alarms come more often than stated: on exponential noise about twice as
/// often at a risk of 0.001.
///
/// Source: A. Siffer, P.-A. Fouque, A. Termier, C. Largouët, "Anomaly Detection in Streams with Extreme Value Theory", KDD
/// (2017), algorithm SPOT. There, alarms are not learned at all; the tail that is learned is then cut off, the limit sinks,
/// and three times as many alarms come. Here an alarm is learned as far as the limit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spot {
    risk: f64,
    threshold: f64,
    excesses: VecDeque<f64>,
    /// How many values were seen, and how many of them exceeded the threshold.
    seen: u64,
    exceeded: u64,
    limit: f64,
}

impl Spot {
    /// A limit of `risk` in (0, 0.02) from first values. `None` if a value is not finite or the tail of the first values
    /// cannot be fit: there must be two different values above their 98 % quantile, so at least about 100.
    pub fn new(first: &[f64], risk: f64) -> Option<Self> {
        let finite = first.iter().all(|value| value.is_finite());
        if !(finite && risk > 0.0 && risk < 1.0 - INITIAL_SHARE) {
            return None;
        }
        let threshold = quantile(first, INITIAL_SHARE)?;
        let excesses: VecDeque<f64> = first
            .iter()
            .map(|value| value - threshold)
            .filter(|excess| *excess > 0.0)
            .collect();
        let mut spot = Self {
            risk,
            threshold,
            seen: first.len() as u64,
            exceeded: excesses.len() as u64,
            excesses,
            limit: f64::INFINITY,
        };
        spot.fit().then_some(spot)
    }

    /// Judges a value, and learns it as far as the limit. `None` for a value that is not finite.
    pub fn observe(&mut self, value: f64) -> Option<Extremity> {
        if !value.is_finite() {
            return None;
        }
        self.seen += 1;
        if value <= self.threshold {
            return Some(Extremity::Normal);
        }
        self.exceeded += 1;
        if self.excesses.len() >= KEPT {
            self.excesses.pop_front();
        }
        let alarm = value > self.limit;
        self.excesses
            .push_back(value.min(self.limit) - self.threshold);
        self.fit();
        Some(if alarm {
            Extremity::Alarm
        } else {
            Extremity::Tail
        })
    }

    /// The limit at present.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// Sets the limit anew; false, and the limit stays, if the excesses cannot be fit.
    fn fit(&mut self) -> bool {
        let Some(tail) = GeneralizedPareto::maximum_likelihood(self.excesses.make_contiguous())
        else {
            return false;
        };
        let share = self.exceeded as f64 / self.seen as f64;
        self.limit = self.threshold + tail.level((self.risk / share).min(1.0));
        true
    }
}

/// SPOT on what a value differs from the mean of the last values.
///
/// Source: as [`Spot`], algorithm DSPOT. Alarms do not enter the mean.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DriftSpot {
    spot: Spot,
    window: VecDeque<f64>,
}

impl DriftSpot {
    /// A limit of `risk` around the mean of the last `depth` values. `None` without more first values than that, or as for
    /// [`Spot::new`].
    pub fn new(first: &[f64], depth: usize, risk: f64) -> Option<Self> {
        if depth == 0 || first.len() <= depth {
            return None;
        }
        let differences: Vec<f64> = (depth..first.len())
            .map(|place| first[place] - mean(first[place - depth..place].iter()))
            .collect();
        Some(Self {
            spot: Spot::new(&differences, risk)?,
            window: first[first.len() - depth..].iter().copied().collect(),
        })
    }

    /// Judges a value, and learns it unless it is an alarm. `None` for a value that is not finite.
    pub fn observe(&mut self, value: f64) -> Option<Extremity> {
        let extremity = self.spot.observe(value - mean(self.window.iter()))?;
        if extremity != Extremity::Alarm {
            self.window.pop_front();
            self.window.push_back(value);
        }
        Some(extremity)
    }

    /// The limit of the next value.
    pub fn limit(&self) -> f64 {
        self.spot.limit + mean(self.window.iter())
    }
}

fn mean<'a>(values: impl ExactSizeIterator<Item = &'a f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// The quantile by linear interpolation between order statistics.
fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * sorted.len().checked_sub(1)? as f64;
    let low = *sorted.get(place.floor() as usize)?;
    let high = *sorted.get(place.ceil() as usize)?;
    Some(low + (high - low) * place.fract())
}
