//! The starts within a window: what an e-detector's value is, on average over all orders, after k ones among n.
//!
//! ```text
//! one by one:  value ← factor · (value + 1), n times          depends on the order
//! all at once: value · a^k · b^(n−k) + Σ over j of the mean product of j of the n factors
//!                                       = (n + 1) ∫₀¹ (1 + t(a − 1))^k (1 + t(b − 1))^(n−k) dt − 1
//! ```
//!
//! A change can start before each of the n observations; a start j before the end contributes the product of the last j
//! factors. Over all orders of the window its mean is the elementary symmetric mean e_j / C(n, j), and with
//! 1 / C(n, j) = (n + 1) ∫ t^j (1 − t)^(n−j) dt the sum over j becomes the integral of one product.
//!
//! Any j of the factors have a product of mean at most 1 without a change, so the mean over orders keeps the guarantee.

use crate::special::quadrature::integrate;

/// The lowest degree that one panel of the rule is not exact for.
const EXACT_BELOW: f64 = 40.0;
/// Panels begin this many times the integrand's scale wide, beside its peak.
const FIRST_PANEL: f64 = 4.0;

/// The sum over j from 1 to n of the mean product of j factors, where `ones` factors are `on_one` and `zeros` are
/// `on_zero`, one of the two above 1 and the other below. Infinite where it is beyond what a number holds.
pub(super) fn starts_within(on_one: f64, on_zero: f64, ones: u64, zeros: u64) -> f64 {
    let (ones, zeros) = (ones as f64, zeros as f64);
    let (one_less, zero_less) = (on_one - 1.0, on_zero - 1.0);
    let trials = ones + zeros;
    let product = |t: f64| (ones * (t * one_less).ln_1p() + zeros * (t * zero_less).ln_1p()).exp();
    // Of so few trials it is a polynomial that one panel integrates exactly.
    if trials < EXACT_BELOW {
        let area = integrate(product, 0.0, 1.0, 1);
        return ((trials + 1.0) * area - 1.0).max(0.0);
    }
    // The logarithm is concave, with its peak where its slope is 0, or at an end.
    let peak = -(ones * one_less + zeros * zero_less) / (one_less * zero_less * trials);
    let peak = peak.clamp(0.0, 1.0);
    let (one_slope, zero_slope) = (
        one_less / (1.0 + peak * one_less),
        zero_less / (1.0 + peak * zero_less),
    );
    let slope = (ones * one_slope + zeros * zero_slope).abs();
    let curvature = ones * one_slope.powi(2) + zeros * zero_slope.powi(2);
    let scale = 1.0 / (slope + curvature.sqrt());
    let area =
        side(&product, peak, -1.0, peak, scale) + side(&product, peak, 1.0, 1.0 - peak, scale);
    ((trials + 1.0) * area - 1.0).max(0.0)
}

/// The integral from `peak` over `length` into a direction (1 or −1), by panels that double: away from its peak a function
/// with a concave logarithm falls at least as fast as an exponential.
fn side(product: &impl Fn(f64) -> f64, peak: f64, direction: f64, length: f64, scale: f64) -> f64 {
    let (mut area, mut reached, mut width) = (0.0, 0.0, FIRST_PANEL * scale);
    while reached < length {
        let next = (reached + width).min(length);
        area += integrate(
            |distance| product(peak + direction * distance),
            reached,
            next,
            1,
        );
        reached = next;
        width *= 2.0;
    }
    area
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by the elementary symmetric means, one recurrence per factor.
    fn by_symmetric_means(factors: &[f64]) -> f64 {
        let n = factors.len();
        // means[j] after m factors is e_j / C(m, j), which the next factor mixes with its neighbour.
        let mut means = vec![1.0];
        for (m, factor) in factors.iter().enumerate() {
            let m = m as f64 + 1.0;
            let mut next = vec![1.0; means.len() + 1];
            for j in 1..next.len() {
                let share = j as f64 / m;
                let kept = if j < means.len() { means[j] } else { 0.0 };
                next[j] = (1.0 - share) * kept + share * factor * means[j - 1];
            }
            means = next;
        }
        means[1..=n].iter().sum()
    }

    #[test]
    fn large_windows_are_integrated_as_well_as_by_many_panels() {
        for (a, b, ones, zeros) in [
            (0.9, 1.6, 850_000, 150_000),
            (0.94, 1.3, 850_000, 150_000),
            (0.1, 6.0, 42_000, 7_600),
            (0.999, 40.0, 999_000, 27),
        ] {
            let product = |t: f64| {
                let ln = f64::from(ones) * (t * (a - 1.0_f64)).ln_1p()
                    + f64::from(zeros) * (t * (b - 1.0_f64)).ln_1p();
                ln.exp()
            };
            let n = f64::from(ones + zeros);
            let expected = (n + 1.0) * integrate(product, 0.0, 1.0, 20_000) - 1.0;
            let found = starts_within(a, b, ones as u64, zeros as u64);
            let close = (found - expected).abs() <= 1e-9 * (1.0 + expected);
            assert!(close && expected > 1.0, "{a} {b}: {found} {expected}");
        }
    }

    proptest! {
        #[test]
        fn the_integral_is_the_sum_of_symmetric_means(
            baseline in 0.01..0.99_f64,
            alternative in 0.001..0.999_f64,
            ones in 0..400_u64,
            zeros in 0..400_u64,
        ) {
            let (a, b) = (alternative / baseline, (1.0 - alternative) / (1.0 - baseline));
            let mut factors = vec![a; ones as usize];
            factors.resize((ones + zeros) as usize, b);
            let expected = by_symmetric_means(&factors);
            let found = starts_within(a, b, ones, zeros);
            prop_assert!(
                (found - expected).abs() <= 1e-10 * (1.0 + expected) || expected > 1e290,
                "{} {}", found, expected
            );
        }
    }
}
