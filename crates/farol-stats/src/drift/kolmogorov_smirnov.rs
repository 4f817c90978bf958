//! Two-sample Kolmogorov–Smirnov: the largest distance between two distribution functions.
//!
//! ```text
//! reference, window ──walk──▶ D = max |F − G| ──sizes──▶ p (asymptotic, or exact while the sizes are small)
//! sketches' bins ────walk──▶ D of the bins ──what a bin may hide──▶ D with its bounds
//! ```
//!
//! Source: N. Smirnov, "Estimate of deviation between empirical distribution functions in two independent samples",
//! Bull. Moscow Univ. 2 (1939). Assumes independent values. With ties (whole numbers, a sketch's bins) the p-values are
//! too large rather than too small, so the level holds.

use super::distribution::{Bounded, Distribution};
use super::kolmogorov_distribution::survival;

/// Up to this product of the sizes the exact p-value is computed; it takes as many steps.
const EXACT_AT_MOST: u64 = 10_000_000;

/// D, from 0 (equal distributions) to 1 (no overlap). Without a unit.
pub fn kolmogorov_smirnov(reference: &Distribution, window: &Distribution) -> f64 {
    let (n, m) = (reference.count() as f64, window.count() as f64);
    reference
        .walk(window)
        .map(|step| (step.reference as f64 / n - step.window as f64 / m).abs())
        .fold(0.0, f64::max)
}

/// P(D ≥ the statistic) under no change for samples of n and m, by Kolmogorov's distribution at the effective size
/// n·m / (n + m), rounded and at least 1. `None` where a size is 0 or the statistic is not within 0 and 1.
///
/// Good for n·m / (n + m) above some tens. Equals `scipy.stats.ks_2samp(method="asymp")`.
pub fn kolmogorov_smirnov_p_value(statistic: f64, n: u64, m: u64) -> Option<f64> {
    if n == 0 || m == 0 || !(0.0..=1.0).contains(&statistic) {
        return None;
    }
    let (n, m) = (n as f64, m as f64);
    let effective = (n * m / (n + m)).round_ties_even().max(1.0) as u64;
    Some(survival(effective, statistic))
}

/// P(D ≥ the statistic) under no change, exactly, for samples of n and m without ties. `None` where a size is 0, n·m is
/// above ten million, or the statistic is not within 0 and 1.
///
/// Every order of the pooled values is equally likely, so the order is a random path on a grid of n by m; this is the
/// chance that the path touches the region where |F − G| ≥ D. Source: J. Hodges, "The significance probability of the
/// Smirnov two-sample test", Arkiv för Matematik 3 (1958). Equals `scipy.stats.ks_2samp(method="exact")`.
pub fn kolmogorov_smirnov_exact_p_value(statistic: f64, n: u64, m: u64) -> Option<f64> {
    let cells = n.checked_mul(m)?;
    if cells == 0 || cells > EXACT_AT_MOST || !(0.0..=1.0).contains(&statistic) {
        return None;
    }
    // On the grid F − G is a multiple of 1 / lcm(n, m); whole numbers keep the boundary exact.
    let divisor = greatest_common_divisor(n, m);
    let boundary = (statistic * (cells / divisor) as f64).round() as u64 * divisor;
    let outside = |i: u64, j: u64| (i * m).abs_diff(j * n) >= boundary;
    // touched[j]: the chance that a random path from the origin to (i, j) has been outside.
    let mut touched = vec![0.0; m as usize + 1];
    for i in 0..=n {
        for j in 0..=m {
            let place = j as usize;
            touched[place] = if outside(i, j) {
                1.0
            } else if i + j == 0 {
                0.0
            } else {
                let from_below = if i > 0 { touched[place] } else { 0.0 };
                let from_left = if j > 0 { touched[place - 1] } else { 0.0 };
                (i as f64 * from_below + j as f64 * from_left) / (i + j) as f64
            };
        }
    }
    touched.last().copied()
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// D from the bins of two sketches of one mapping, so that equal values are equal bins.
///
/// At the bins' edges both distribution functions are exact, so D of the values is at least `value`, which is also
/// `lower`. Within a bin neither function leaves the range from one edge to the other, so D is at most `upper`: the
/// largest distance between one function before a bin and the other after it. For the mass that the bins hold this means
/// `upper − value ≤` the largest share that any bin has in either sketch.
///
/// The p-value of `value` keeps its level: it tests the values as rounded to their bins.
pub fn kolmogorov_smirnov_of_sketches(reference: &Distribution, window: &Distribution) -> Bounded {
    let (n, m) = (reference.count() as f64, window.count() as f64);
    let (mut f_before, mut g_before) = (0.0, 0.0);
    let (mut value, mut upper) = (0.0_f64, 0.0_f64);
    for step in reference.walk(window) {
        let (f, g) = (step.reference as f64 / n, step.window as f64 / m);
        value = value.max((f - g).abs());
        upper = upper.max(f - g_before).max(g - f_before);
        (f_before, g_before) = (f, g);
    }
    Bounded {
        value,
        lower: value,
        upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_apart_is_one_and_equal_is_zero() {
        let low = Distribution::from_samples(&[1.0, 2.0]).unwrap();
        let high = Distribution::from_samples(&[3.0, 4.0, 5.0]).unwrap();
        assert!((kolmogorov_smirnov(&low, &high) - 1.0).abs() < 1e-15);
        assert!(kolmogorov_smirnov(&low, &low).abs() < 1e-15);
        // Of the ten orders of two and three, two are all apart.
        let exact = kolmogorov_smirnov_exact_p_value(1.0, 2, 3).unwrap();
        assert!((exact - 0.2).abs() < 1e-15);
        assert_eq!(kolmogorov_smirnov_exact_p_value(0.0, 2, 3), Some(1.0));
    }

    #[test]
    fn what_cannot_be_asked_has_no_answer() {
        assert_eq!(kolmogorov_smirnov_p_value(0.5, 0, 3), None);
        assert_eq!(kolmogorov_smirnov_p_value(f64::NAN, 3, 3), None);
        assert_eq!(kolmogorov_smirnov_p_value(1.5, 3, 3), None);
        assert_eq!(kolmogorov_smirnov_exact_p_value(0.5, 3, 0), None);
        assert_eq!(
            kolmogorov_smirnov_exact_p_value(0.5, 1 << 40, 1 << 40),
            None
        );
    }
}
