//! The bootstrap of a distance between two means.
//!
//! ```text
//! reference's rows ──n of them──▶ mean ─┐
//!                  ──m of them──▶ mean ─┴──▶ distance       (with replacement, rounds times)
//! ```
//!
//! Both sides are drawn anew, since the reference's own mean is uncertain too. Source: B. Efron, "Bootstrap methods: another
//! look at the jackknife", Ann. Stat. 7 (1979). Duplicates make the draws a little less varied than fresh samples, by a
//! factor of 1 − 1/n for the reference's n, so it asks for some tens of rows.

use rand::Rng;

use crate::drift::resampling::{Null, Resampling};
use crate::drift::rows::{Rows, add};

/// The null of a distance between the mean of the reference and that of a window of `window` rows.
pub(super) fn null_of_means(
    reference: Rows,
    window: usize,
    resampling: Resampling,
    distance: impl Fn(&[f64], &[f64]) -> f64,
) -> Null {
    let rows: Vec<&[f64]> = reference.each().collect();
    resampling.draw(|generator| {
        let mut mean = |count: usize| {
            let mut sum = vec![0.0; reference.width()];
            for _ in 0..count {
                add(&mut sum, rows[generator.random_range(0..rows.len())]);
            }
            sum.iter_mut().for_each(|sum| *sum /= count as f64);
            sum
        };
        distance(&mean(rows.len()), &mean(window))
    })
}
