//! The distribution of Kolmogorov's statistic D of n values against a continuous distribution: P(D ≥ x).
//!
//! ```text
//! (n, x) ──which of the ways is exact enough and cheap──▶ closed form at both ends
//!                                                         one-sided sum      in the upper tail
//!                                                         matrix power       in the body, small n
//!                                                         Pelz–Good series   in the body, large n
//! ```
//!
//! Source of the choice: R. Simard, P. L'Ecuyer, "Computing the two-sided Kolmogorov–Smirnov distribution", J. Stat.
//! Softw. 39 (2011). Where it asks for Pomeranz's recursion, the matrix, which is as exact, stands in.

use std::f64::consts::PI;

use statrs::function::gamma::ln_gamma;

/// Above this many values the one-sided sum is replaced by its asymptotic form, whose relative error falls as 1/n.
const SUM_AT_MOST: u64 = 100_000;

/// P(D ≥ x) for n values, n ≥ 1. Up to n = 140 the absolute error is that of rounding. Beyond, in the body, it is that of
/// the series: below 2e-6, falling as 1/n². In the tail beyond n = 100,000 the relative error is below 1e-3 down to 1e-13.
pub(super) fn survival(n: u64, x: f64) -> f64 {
    let count = n as f64;
    let scaled = count * x;
    let square = scaled * x;
    let probability = if x >= 1.0 {
        0.0
    } else if scaled <= 0.5 {
        1.0
    } else if scaled <= 1.0 {
        1.0 - (ln_factorial_over_power(n) + count * (2.0 * scaled - 1.0).ln()).exp()
    } else if scaled >= count - 1.0 {
        2.0 * (1.0 - x).powf(count)
    } else if x >= 0.5 {
        2.0 * one_sided(n, x)
    } else if n <= 140 {
        if square <= 4.0 {
            1.0 - matrix(n, x)
        } else {
            2.0 * one_sided(n, x)
        }
    } else if square >= 370.0 {
        0.0
    } else if square >= 2.2 {
        2.0 * one_sided(n, x)
    } else if n <= SUM_AT_MOST && count * x.powf(1.5) <= 1.4 {
        1.0 - matrix(n, x)
    } else {
        1.0 - pelz_good(count, count.sqrt() * x)
    };
    probability.clamp(0.0, 1.0)
}

/// ln(n! / nⁿ).
fn ln_factorial_over_power(n: u64) -> f64 {
    let count = n as f64;
    ln_gamma(count + 1.0) - count * count.ln()
}

/// P(D⁺ ≥ x), the one-sided statistic, by the sum of Birnbaum and Tingey (1951); for very large n by S. Maag, G. Dicaire,
/// "On Kolmogorov–Smirnov type one-sample statistics", Biometrika 58 (1971).
///
/// Twice this is P(D ≥ x) exactly where x ≥ 1/2, and to within rounding in the tail where it is used (L. Miller, 1956).
fn one_sided(n: u64, x: f64) -> f64 {
    let count = n as f64;
    if n > SUM_AT_MOST {
        return (-(6.0 * count * x + 1.0).powi(2) / (18.0 * count)).exp();
    }
    let last = (count * (1.0 - x)).floor() as u64;
    let mut ln_choose = 0.0;
    let mut sum = 0.0;
    for j in 0..=last {
        let share = j as f64 / count;
        let rest = 1.0 - x - share;
        if rest > 0.0 {
            let ln_term = ln_choose
                + (j as f64 - 1.0) * (x + share).ln()
                + (count - j as f64) * (-(x + share)).ln_1p();
            sum += ln_term.exp();
        }
        ln_choose += ((count - j as f64) / (j as f64 + 1.0)).ln();
    }
    x * sum
}

/// A square matrix with its own power of ten, which high powers of it need.
#[derive(Clone)]
struct Scaled {
    width: usize,
    entries: Vec<f64>,
    exponent: i32,
}

impl Scaled {
    fn times(&self, other: &Self) -> Self {
        let width = self.width;
        let mut entries = vec![0.0; width * width];
        for (row, out) in entries.chunks_mut(width).enumerate() {
            for middle in 0..width {
                let factor = self.entries[row * width + middle];
                let line = &other.entries[middle * width..(middle + 1) * width];
                for (sum, entry) in out.iter_mut().zip(line) {
                    *sum += factor * entry;
                }
            }
        }
        let mut exponent = self.exponent + other.exponent;
        // The centre is among the largest entries; it tells of overflow early enough.
        if entries[(width / 2) * width + width / 2] > 1e140 {
            entries.iter_mut().for_each(|entry| *entry *= 1e-140);
            exponent += 140;
        }
        Self {
            width,
            entries,
            exponent,
        }
    }
}

/// P(D < x) by the power of a matrix. Source: G. Marsaglia, W. Tsang, J. Wang, "Evaluating Kolmogorov's distribution",
/// J. Stat. Softw. 8 (2003), after J. Durbin (1973).
fn matrix(n: u64, x: f64) -> f64 {
    let scaled = n as f64 * x;
    let k = scaled.floor() as usize + 1;
    let mut base = durbin(k, k as f64 - scaled);
    let mut power: Option<Scaled> = None;
    let mut left = n;
    while left > 0 {
        if left % 2 == 1 {
            power = Some(power.map_or_else(|| base.clone(), |power| power.times(&base)));
        }
        left /= 2;
        if left > 0 {
            base = base.times(&base);
        }
    }
    let Some(power) = power else { return 0.0 };
    let centre = power.entries[(k - 1) * power.width + k - 1];
    let ln = centre.ln() + f64::from(power.exponent) * std::f64::consts::LN_10;
    (ln + ln_factorial_over_power(n)).exp()
}

/// Durbin's matrix of order 2k − 1 for the boundary k − h.
fn durbin(k: usize, h: f64) -> Scaled {
    let width = 2 * k - 1;
    let mut factorials = vec![1.0; width + 1];
    for place in 1..=width {
        factorials[place] = factorials[place - 1] * place as f64;
    }
    let mut entries = vec![0.0; width * width];
    for row in 0..width {
        for column in 0..=(row + 1).min(width - 1) {
            let order = row + 1 - column;
            let mut entry = 1.0;
            if column == 0 {
                entry -= h.powi(row as i32 + 1);
            }
            if row == width - 1 {
                entry -= h.powi((width - column) as i32);
            }
            if column == 0 && row == width - 1 {
                entry += (2.0 * h - 1.0).max(0.0).powi(width as i32);
            }
            entries[row * width + column] = entry / factorials[order];
        }
    }
    Scaled {
        width,
        entries,
        exponent: 0,
    }
}

/// P(√n D < z) by four terms. Source: W. Pelz, I. Good, "Approximating the lower tail-areas of the Kolmogorov–Smirnov
/// one-sample statistic", J. R. Stat. Soc. B 38 (1976), as set out by Simard and L'Ecuyer.
fn pelz_good(count: f64, z: f64) -> f64 {
    let half = (PI / 2.0).sqrt();
    let [z2, z4, z6, z8] = [2, 4, 6, 8].map(|power| z.powi(power));
    let (mut k0, mut k1, mut k2, mut k3) = (0.0, 0.0, 0.0, 0.0);
    // Beyond this the exponentials are below 1e-18 for every z that comes here.
    let terms = 3 + (2.0 * z * 45.0_f64.sqrt() / PI).ceil() as u32;
    for k in 0..=terms {
        // Each sum over all integers is twice that over half of them.
        let middle = (PI * (f64::from(k) + 0.5)).powi(2);
        let weight = 2.0 * (-middle / (2.0 * z2)).exp();
        k0 += weight;
        k1 += (middle - z2) * weight;
        k2 += ((6.0 * z6 + 2.0 * z4)
            + middle * (2.0 * z4 - 5.0 * z2)
            + middle.powi(2) * (1.0 - 2.0 * z2))
            * weight;
        k3 += (middle.powi(3) * (5.0 - 30.0 * z2)
            + middle.powi(2) * (212.0 * z4 - 60.0 * z2)
            + middle * (135.0 * z4 - 96.0 * z6)
            - (30.0 * z6 + 90.0 * z8))
            * weight;
    }
    let (mut k2_whole, mut k3_whole) = (0.0, 0.0);
    for k in 1..=terms {
        let whole = (PI * f64::from(k)).powi(2);
        let weight = 2.0 * (-whole / (2.0 * z2)).exp();
        k2_whole += whole * weight;
        k3_whole += (3.0 * whole * z2 - whole.powi(2)) * weight;
    }
    let first = (2.0 * PI).sqrt() / z * k0 / 2.0;
    let second = half * k1 / (6.0 * z4);
    let third = half * (k2 / (72.0 * z.powi(7)) - k2_whole / (36.0 * z.powi(3)));
    let fourth = half * (k3 / (6480.0 * z.powi(10)) + k3_whole / (216.0 * z6));
    first + second / count.sqrt() + third / count + fourth / count.powf(1.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_agree_where_they_meet() {
        // The series against the matrix, and the sum against the matrix, at sizes where each is used.
        for (n, x) in [(1_000_u64, 0.03), (1_000, 0.02), (500, 0.04)] {
            let series = pelz_good(n as f64, (n as f64).sqrt() * x);
            assert!((series - matrix(n, x)).abs() < 1e-6, "{n} {x}");
        }
        for (n, x) in [(100_u64, 0.2), (140, 0.17), (200, 0.15)] {
            let sum = 1.0 - 2.0 * one_sided(n, x);
            assert!((sum - matrix(n, x)).abs() < 1e-7, "{n} {x}");
        }
    }

    #[test]
    fn it_falls_from_one_to_zero() {
        for n in [1, 2, 10, 141, 5_000, 200_000] {
            let mut last = 1.0;
            for step in 0..=1_000 {
                let found = survival(n, f64::from(step) / 1_000.0);
                assert!(found <= last + 2e-6, "{n} {step}: {found} after {last}");
                last = found;
            }
            assert!(last.abs() < 1e-300);
        }
    }
}
