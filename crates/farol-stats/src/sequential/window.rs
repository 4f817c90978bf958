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

/// The sum over j from 1 to n of the mean product of j factors, where `ones` factors are `on_one` and `zeros` are
/// `on_zero`. Infinite where it is beyond what a number holds.
pub(super) fn starts_within(on_one: f64, on_zero: f64, ones: u64, zeros: u64) -> f64 {
    let (ones, zeros) = (ones as f64, zeros as f64);
    let trials = ones + zeros;
    // The product is smooth on the scale of 1 / √n, so panels grow with √n.
    let panels = (trials.sqrt() / 3.0).ceil() as usize;
    let product = |t: f64| {
        (ones * (t * (on_one - 1.0)).ln_1p() + zeros * (t * (on_zero - 1.0)).ln_1p()).exp()
    };
    ((trials + 1.0) * integrate(product, 0.0, 1.0, panels) - 1.0).max(0.0)
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
