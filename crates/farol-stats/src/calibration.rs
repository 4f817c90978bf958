//! Performance of a classifier where labels are missing: probabilities from its scores, and what they lead to expect.
//!
//! ```text
//! reference: scores + labels ──isotonic or platt──▶ calibration
//!                                                        │
//! now: scores without labels ──────────────────────────▶ probabilities ──expected_performance──▶ accuracy, precision,
//!                                                                                                recall, F1, AUC
//! ```

pub mod expected_performance;
pub mod isotonic;
pub mod platt;
