//! Functions that the methods share: what the standard library of a statistician has and Rust has not.
//!
//! ```text
//! ln B(a, b), I_x(a, b) and its inverse ──▶ proportions, quantiles, posteriors
//! Gauss–Legendre rule                   ──▶ means over orders, one posterior beating another
//! ```

pub(crate) mod beta;
pub(crate) mod quadrature;
