//! What a quantile sketch keeps of values: how many are in each bin, and no more.
//!
//! ```text
//! values ──logarithm──▶ bin ──counted──▶ (bin's value, values up to it), … ──▶ Distribution
//! ```
//!
//! The mapping is DDSketch's at a relative accuracy of 0.01, so examples see what a detector over sketches sees, without a
//! dependency on one implementation of them.

use farol_stats::drift::distribution::Distribution;

/// γ = (1 + α)/(1 − α) at α = 0.01.
const GAMMA: f64 = 1.01 / 0.99;
/// Values up to this count as zero.
const LEAST: f64 = 1e-9;

/// The distribution of the bins of values that are zero or above. `None` without values.
pub fn sketched(values: &[f64]) -> Option<Distribution> {
    let (to_bins, least) = (GAMMA.ln().recip(), LEAST.ln());
    let mut counts: Vec<u64> = Vec::new();
    for value in values {
        let bin = if *value > LEAST {
            ((value.ln() - least) * to_bins).ceil() as usize
        } else {
            0
        };
        if bin >= counts.len() {
            counts.resize(bin + 1, 0);
        }
        counts[bin] += 1;
    }
    let mut all = 0;
    let steps: Vec<(f64, u64)> = counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(bin, count)| {
            all += count;
            (value_of(bin), all)
        })
        .collect();
    Distribution::from_cumulative(&steps)
}

fn value_of(bin: usize) -> f64 {
    if bin == 0 {
        0.0
    } else {
        LEAST * GAMMA.powi(bin as i32) * 2.0 / (GAMMA + 1.0)
    }
}
