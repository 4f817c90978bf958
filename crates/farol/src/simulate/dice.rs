//! Chance with a seed. Streams of ChaCha numbers, each drawn in a fixed order, decide everything, so
//! that the same seed makes the same events on every machine.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// A seeded source of chance.
#[derive(Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The dice of a seed.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// The dice of several numbers together: each of them changes everything. Streams of the same
    /// numbers are independent of each other: how much is drawn from one changes no other.
    pub fn of(numbers: [u64; 4], stream: u64) -> Self {
        let mut seed = [0; 32];
        for (bytes, number) in seed.chunks_exact_mut(8).zip(numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        let mut random = ChaCha8Rng::from_seed(seed);
        random.set_stream(stream);
        Self(random)
    }

    /// `true` with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.0.random::<f64>() < probability
    }

    /// A number from `low` up to, not including, `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.random::<f64>()
    }

    /// A whole number from `low` up to, not including, `high`.
    pub fn whole(&mut self, low: u64, high: u64) -> u64 {
        self.0.random_range(low..high)
    }

    /// One of them, each as likely. The list must not be empty.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.0.random_range(0..from.len() as u64) as usize]
    }

    /// One of them by weight. The list must not be empty.
    pub fn weighted<'a, T>(&mut self, from: &'a [(T, f64)]) -> &'a T {
        let total: f64 = from.iter().map(|(_, weight)| weight).sum();
        let mut at = self.between(0.0, total);
        for (item, weight) in from {
            at -= weight;
            if at < 0.0 {
                return item;
            }
        }
        &from[from.len() - 1].0
    }

    /// A log-normal quantity by its median and the spread of its logarithm.
    pub fn around(&mut self, median: f64, spread: f64) -> f64 {
        median * (spread * self.0.sample::<f64, _>(StandardNormal)).exp()
    }

    /// A waiting time with this mean.
    pub fn waiting(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.0.random::<f64>()).ln()
    }

    /// A share between 0 and 1 around `mean`.
    pub fn share(&mut self, mean: f64, spread: f64) -> f64 {
        (mean + spread * self.0.sample::<f64, _>(StandardNormal)).clamp(0.0, 1.0)
    }

    /// An id of so many hexadecimal digits, up to 32.
    pub fn hex(&mut self, digits: usize) -> String {
        let mut id = format!("{:032x}", self.0.random::<u128>());
        id.truncate(digits);
        id
    }
}
