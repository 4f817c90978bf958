//! Watching a rate, a bounded score or any other score, observation by observation, with a stated number of false alarms.
//!
//! ```text
//! false alarms per week, observations per week ──alarm_budget──▶ average run length
//!                                                                     │
//!                      baseline, direction ──alternatives──▶ e_detector ◀── value in 0 to 1
//!                                                             ▲   │     ◀── window: k of n
//!                                                          window └──▶ value ≥ threshold: alarm, reset
//! any score ──▶ conformal: rank among those before ──▶ value ≥ threshold: alarm, reset
//! yes or no ──▶ cusum (threshold by the Markov chain in cusum_run_length), for comparison
//! ```
//!
//! A test asked again after each observation rejects sooner or later without any reason. The detectors here count that
//! in: their guarantee is about the mean number of observations until a false alarm, however long they watch.

pub mod alarm_budget;
mod alternatives;
pub mod conformal;
pub mod cusum;
mod cusum_run_length;
pub mod e_detector;
mod window;

use serde::{Deserialize, Serialize};

/// Which change of a mean a detector looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The mean falls below a baseline that it was at or above.
    Decrease,
    /// The mean rises above a baseline that it was at or below.
    Increase,
}
