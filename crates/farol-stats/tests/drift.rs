//! Drift against reference implementations: the golden files, and the scripts that made them, are in `golden`.

#[path = "drift/categories.rs"]
mod categories;
#[path = "drift/decision.rs"]
mod decision;
#[path = "drift/numbers.rs"]
mod numbers;
#[path = "drift/sketches.rs"]
mod sketches;
#[path = "drift/vectors.rs"]
mod vectors;

/// Fails unless two figures agree, relative to the expected where that is above 1.
fn assert_close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!(
        (found - expected).abs() <= tolerance * expected.abs().max(1.0),
        "{what}: {found}, not {expected}"
    );
}
