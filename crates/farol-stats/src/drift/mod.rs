//! Drift: has what comes in, or what goes out, changed against a reference?
//!
//! ```text
//! numbers    ──samples or sketches──▶ kolmogorov_smirnov, wasserstein, wasserstein_test ─┐
//! categories ──counts──────────────▶ categories: PSI, Jensen–Shannon, χ², new mass ──────┤ p-value,
//! columns    ──rows────────────────▶ domain_classifier ──────────────────────────────────┤ debiased effect
//! vectors    ──rows────────────────▶ vectors: cosine, MMD, reconstruction ───────────────┘     │
//!                                                                                             ▼
//!                                  decision: Benjamini–Hochberg over all, and an effect worth having
//! ```
//!
//! Any measure of distance between two samples is above zero by chance alone. So each comes with its null at the sizes at
//! hand, and its effect is what is above the mean of that null. Kolmogorov–Smirnov has a p-value alone: take the effect of
//! Wasserstein-1 with it. All assume independent values and a reference that is like
//! for like; traffic differs by hour and weekday, and no test here knows that.

pub mod area_under_curve;
pub mod categories;
pub mod decision;
pub mod distribution;
pub mod domain_classifier;
mod kolmogorov_distribution;
pub mod kolmogorov_smirnov;
pub mod logistic;
pub mod resampling;
pub mod rows;
pub mod vectors;
pub mod wasserstein;
pub mod wasserstein_test;
