//! Integrals of smooth functions by the Gauss–Legendre rule.
//!
//! ```text
//! [from, to] ──panels of equal width──▶ 20 nodes each ──Σ weight · f(node)──▶ integral
//! ```
//!
//! Source: P. J. Davis, P. Rabinowitz, "Methods of Numerical Integration" (1984), 2.7. A panel is exact for polynomials
//! of degree 39.

use std::sync::LazyLock;

const NODES: usize = 20;

/// Nodes in −1 to 1 with their weights.
static RULE: LazyLock<[(f64, f64); NODES]> = LazyLock::new(|| {
    let mut rule = [(0.0, 0.0); NODES];
    for (place, entry) in rule.iter_mut().enumerate() {
        // The usual first guess of a root, good enough for Newton's method to find each root once.
        let mut node = (std::f64::consts::PI * (place as f64 + 0.75) / (NODES as f64 + 0.5)).cos();
        for _ in 0..8 {
            let (value, slope) = legendre(node);
            node -= value / slope;
        }
        let (_, slope) = legendre(node);
        *entry = (node, 2.0 / ((1.0 - node * node) * slope * slope));
    }
    rule
});

/// The Legendre polynomial of degree `NODES` and its derivative.
fn legendre(x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for degree in 2..=NODES {
        let degree = degree as f64;
        let next = ((2.0 * degree - 1.0) * x * value - (degree - 1.0) * before) / degree;
        before = value;
        value = next;
    }
    (value, NODES as f64 * (x * value - before) / (x * x - 1.0))
}

/// The integral of `function` from `from` to `to`, by `panels` panels (at least one).
pub(crate) fn integrate(function: impl Fn(f64) -> f64, from: f64, to: f64, panels: usize) -> f64 {
    let panels = panels.max(1);
    let half = (to - from) / (2.0 * panels as f64);
    let mut sum = 0.0;
    for panel in 0..panels {
        let middle = from + half * (2.0 * panel as f64 + 1.0);
        for (node, weight) in RULE.iter() {
            sum += weight * function(middle + half * node);
        }
    }
    sum * half
}

#[cfg(test)]
mod tests {
    use super::integrate;

    #[test]
    fn polynomials_and_smooth_functions_are_integrated() {
        assert!((integrate(|x| x.powi(39), 0.0, 1.0, 1) - 1.0 / 40.0).abs() < 1e-15);
        assert!((integrate(f64::exp, 0.0, 2.0, 1) - (2.0_f64.exp() - 1.0)).abs() < 1e-13);
        let bell = integrate(|x| (-x * x / 2.0).exp(), -12.0, 12.0, 6);
        assert!((bell - std::f64::consts::TAU.sqrt()).abs() < 1e-12);
    }
}
