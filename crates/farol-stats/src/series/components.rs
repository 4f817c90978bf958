//! Subsequences that the usual shapes do not explain.
//!
//! ```text
//! last 12 values − running mean ──▶ projected on 2 components ──▶ what is left over ──▶ / scale ──▶ score
//!                                        ▲                           │
//!                                        └── pulled towards each ◀───┘
//! ```

use serde::{Deserialize, Serialize};

use super::Detector;
use super::scale::RobustScale;

/// Principal components of rows that come one at a time.
///
/// Source: J. Weng, Y. Zhang, W.-S. Hwang, "Candid covariance-free incremental principal component analysis", IEEE PAMI
/// 25 (2003).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IncrementalComponents {
    mean: Box<[f64]>,
    /// Each component as a row, as long as its eigenvalue.
    components: Box<[f64]>,
    count: usize,
    seen: u32,
    memory: u32,
}

impl IncrementalComponents {
    /// `count` components of rows of `length` values that remember about `memory` rows.
    pub fn new(length: usize, count: usize, memory: u32) -> Self {
        Self {
            mean: vec![0.0; length].into(),
            components: vec![0.0; length * count].into(),
            count,
            seen: 0,
            memory,
        }
    }

    /// The length of what the components so far leave unexplained of a row; then learns the row.
    pub fn observe(&mut self, row: &[f64]) -> f64 {
        let length = self.mean.len();
        let unexplained = self.unexplained(row);
        self.seen = self.seen.saturating_add(1).min(self.memory);
        let rate = 1.0 / f64::from(self.seen);
        for (mean, value) in self.mean.iter_mut().zip(row) {
            *mean += rate * (value - *mean);
        }
        let mut rest: Vec<f64> = self.centred(row);
        for place in 0..self.count {
            let component = &mut self.components[place * length..(place + 1) * length];
            let norm = norm(component);
            if norm < 1e-12 {
                for (entry, value) in component.iter_mut().zip(&rest) {
                    *entry = *value;
                }
                break;
            }
            let along = dot(component, &rest) / norm;
            for (entry, value) in component.iter_mut().zip(&rest) {
                *entry = (1.0 - rate) * *entry + rate * along * value;
            }
            remove(component, &mut rest);
        }
        unexplained
    }

    /// The components found so far as unit vectors, row by row; the ones not found yet are zero.
    pub fn components(&self) -> Vec<Vec<f64>> {
        let rows = self.components.chunks_exact(self.mean.len());
        rows.map(|row| {
            let norm = norm(row).max(1e-300);
            row.iter().map(|value| value / norm).collect()
        })
        .collect()
    }

    fn unexplained(&self, row: &[f64]) -> f64 {
        let mut rest = self.centred(row);
        for component in self.components.chunks_exact(self.mean.len()) {
            remove(component, &mut rest);
        }
        rest.iter().map(|value| value * value).sum::<f64>().sqrt()
    }

    fn centred(&self, row: &[f64]) -> Vec<f64> {
        let pairs = row.iter().zip(&self.mean);
        pairs.map(|(value, mean)| value - mean).collect()
    }
}

fn dot(component: &[f64], row: &[f64]) -> f64 {
    component.iter().zip(row).map(|(a, b)| a * b).sum()
}

fn norm(component: &[f64]) -> f64 {
    component
        .iter()
        .map(|value| value * value)
        .sum::<f64>()
        .sqrt()
}

/// Takes out of a row what lies along a component.
fn remove(component: &[f64], rest: &mut [f64]) {
    let norm = norm(component);
    if norm < 1e-12 {
        return;
    }
    let along = dot(component, rest) / norm;
    for (value, entry) in rest.iter_mut().zip(component) {
        *value -= along * entry / norm;
    }
}

const LENGTH: usize = 12;

/// What two components leave unexplained of the last 12 values, in robust scales.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubsequenceComponents {
    last: Vec<f32>,
    components: IncrementalComponents,
    scale: RobustScale,
    seen: u32,
}

impl Default for SubsequenceComponents {
    fn default() -> Self {
        Self {
            last: Vec::with_capacity(LENGTH),
            components: IncrementalComponents::new(LENGTH, 2, 1000),
            scale: RobustScale::new(1000),
            seen: 0,
        }
    }
}

impl Detector for SubsequenceComponents {
    /// The unexplained length in scales; `None` for the first 48 values.
    fn score(&mut self, _time: i64, value: f64) -> Option<f64> {
        self.seen = self.seen.saturating_add(1);
        if self.last.len() == LENGTH {
            self.last.remove(0);
        }
        self.last.push(value as f32);
        if self.last.len() < LENGTH {
            return None;
        }
        let row: Vec<f64> = self.last.iter().map(|value| f64::from(*value)).collect();
        let unexplained = self.components.observe(&row);
        let score = self.scale.score(unexplained, value);
        (self.seen > 48).then_some(score)
    }
}
