//! The beta function and the distribution named after it, exact enough for counts of many millions.
//!
//! ```text
//! a, b    ──Stirling's series with its correction──▶ ln B(a, b)
//! a, b, x ──continued fraction──▶ I_x(a, b) ──bisection──▶ x for an asked I_x
//! ```
//!
//! Logarithms of gamma functions lose digits when large ones are subtracted; here the large terms cancel on paper before
//! they are computed.
//!
//! Sources: NIST Digital Library of Mathematical Functions, 5.11.1 (Stirling's series) and 8.17.22 (continued fraction);
//! W. J. Lentz, "Generating Bessel functions in Mie scattering calculations using continued fractions", Applied Optics
//! 15 (1976), for evaluating it from the front.

use statrs::function::gamma::ln_gamma;

/// From here on Stirling's series with four terms is exact to the last digits.
const LARGE: f64 = 15.0;
/// Continued fractions need about the square root of the larger parameter many steps.
const MOST_STEPS: usize = 200_000;

/// What Stirling's formula lacks: ln Γ(x) − ((x − ½) ln x − x + ½ ln 2π).
fn stirling_correction(x: f64) -> f64 {
    if x < LARGE {
        return ln_gamma(x) - ((x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln());
    }
    let square = 1.0 / (x * x);
    (1.0 / 12.0
        - square
            * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0))))
        / x
}

/// ln B(a, b) for positive `a` and `b`.
pub(crate) fn ln_beta(a: f64, b: f64) -> f64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    let sum = small + large;
    0.5 * std::f64::consts::TAU.ln() - 0.5 * sum.ln()
        + (small - 0.5) * (small / sum).ln()
        + (large - 0.5) * (-small / sum).ln_1p()
        + stirling_correction(small)
        + stirling_correction(large)
        - stirling_correction(sum)
}

/// The regularized incomplete beta function I_x(a, b): the probability that a Beta(a, b) variable is at most `x`.
/// Positive `a` and `b`; `x` within 0 to 1.
pub(crate) fn regularized_incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b)).exp();
    // On the other side of the mean the fraction of the mirrored function is the one that converges fast.
    if x < (a + 1.0) / (a + b + 2.0) {
        (front * continued_fraction(a, b, x) / a).min(1.0)
    } else {
        (1.0 - front * continued_fraction(b, a, 1.0 - x) / b).max(0.0)
    }
}

fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    let away_from_zero = |value: f64| {
        if value.abs() < 1e-300 { 1e-300 } else { value }
    };
    let mut upper = 1.0;
    let mut lower = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = lower;
    for step in 1..MOST_STEPS {
        let m = step as f64;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        lower = 1.0 / away_from_zero(1.0 + even * lower);
        upper = away_from_zero(1.0 + even / upper);
        fraction *= lower * upper;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        lower = 1.0 / away_from_zero(1.0 + odd * lower);
        upper = away_from_zero(1.0 + odd / upper);
        let change = lower * upper;
        fraction *= change;
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

/// The `x` whose I_x(a, b) is `probability`, by bisection down to neighbouring numbers.
pub(crate) fn beta_quantile(a: f64, b: f64, probability: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..400 {
        let middle = f64::midpoint(low, high);
        if high - low <= 2.0 * f64::EPSILON * middle {
            break;
        }
        if regularized_incomplete_beta(a, b, middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn closed_forms_are_met() {
        assert!((ln_beta(1.0, 1.0)).abs() < 1e-13);
        assert!((ln_beta(0.5, 0.5) - std::f64::consts::PI.ln()).abs() < 1e-13);
        assert!((ln_beta(1.0, 1e9) + 1e9_f64.ln()).abs() < 1e-12);
        // I_x(a, 1) = x^a.
        assert!((regularized_incomplete_beta(3.0, 1.0, 0.2) - 0.008).abs() < 1e-15);
        assert!((beta_quantile(2.0, 1.0, 0.25) - 0.5).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn the_two_tails_make_one(a in 0.1..5000.0_f64, b in 0.1..5000.0_f64, x in 0.0..1.0_f64) {
            let lower = regularized_incomplete_beta(a, b, x);
            let upper = regularized_incomplete_beta(b, a, 1.0 - x);
            prop_assert!((lower + upper - 1.0).abs() < 1e-10, "{} {}", lower, upper);
        }

        #[test]
        fn neighbours_follow_the_recurrence(a in 0.1..1e6_f64, b in 0.1..1e6_f64) {
            // B(a + 1, b) = B(a, b) · a / (a + b).
            let expected = ln_beta(a, b) + (a / (a + b)).ln();
            prop_assert!((ln_beta(a + 1.0, b) - expected).abs() < 1e-9 * (1.0 + expected.abs()));
        }
    }
}
