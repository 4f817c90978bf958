//! Robust random cut forest: how much the latest values stand apart from the last few hundred.
//!
//! ```text
//! last 4 values as one point ──▶ into each of 20 trees of the newest 128 points (the oldest leaves)
//!                                        └──▶ mean collusive displacement ──▶ / robust scale ──▶ score
//! ```
//!
//! Memory is bounded, but much more than that of the other detectors: some 460 KiB a series. So it is not part of the
//! ensemble, and is meant for a few series that matter.

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

use super::Detector;
use super::cuts::{CutTree, Leaf};
use super::scale::RobustScale;

/// The width of a point: how many values in a row it holds.
const SHINGLE: usize = 4;

/// A forest over a sliding window of the newest points.
///
/// Random numbers come from ChaCha8 by the seed and the number of the point, so that the state is plain numbers and a
/// replay is the same.
///
/// Source: S. Guha et al., "Robust Random Cut Forest Based Anomaly Detection On Streams", ICML (2016).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CutForest {
    trees: Vec<CutTree>,
    /// The leaves of each point in all trees, oldest point first.
    leaves: VecDeque<Vec<Leaf>>,
    size: usize,
    last: VecDeque<f32>,
    scale: RobustScale,
    seed: u64,
    points: u64,
}

impl CutForest {
    /// A forest of `trees` trees over the newest `size` points, 1 or more each.
    pub fn new(trees: usize, size: usize, seed: u64) -> Self {
        Self {
            trees: vec![CutTree::default(); trees.max(1)],
            leaves: VecDeque::new(),
            size: size.max(1),
            last: VecDeque::with_capacity(SHINGLE),
            scale: RobustScale::new(1000),
            seed,
            points: 0,
        }
    }

    /// Puts a point in, the oldest out if there are too many, and gives the mean collusive displacement of the new one.
    fn displacement(&mut self, point: &[f32]) -> f64 {
        if self.leaves.len() >= self.size
            && let Some(oldest) = self.leaves.pop_front()
        {
            for (tree, leaf) in self.trees.iter_mut().zip(oldest) {
                tree.remove(leaf);
            }
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(self.points);
        self.points += 1;
        let mut uniform = || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let mut leaves = Vec::with_capacity(self.trees.len());
        let mut sum = 0.0;
        for tree in &mut self.trees {
            let leaf = tree.insert(point, &mut uniform);
            sum += tree.displacement(leaf);
            leaves.push(leaf);
        }
        self.leaves.push_back(leaves);
        sum / self.trees.len() as f64
    }
}

impl Default for CutForest {
    fn default() -> Self {
        Self::new(20, 128, 0)
    }
}

impl Detector for CutForest {
    /// The mean collusive displacement in scales of itself; `None` for the first 48 points.
    fn score(&mut self, _time: i64, value: f64) -> Option<f64> {
        if self.last.len() == SHINGLE {
            self.last.pop_front();
        }
        self.last.push_back(value as f32);
        if self.last.len() < SHINGLE {
            return None;
        }
        let point: Vec<f32> = self.last.iter().copied().collect();
        let displacement = self.displacement(&point);
        let score = self.scale.score(displacement, 1.0);
        (self.points > 48).then_some(score)
    }
}
