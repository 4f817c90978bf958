//! The detectors of series against reference implementations (`golden/series.py`), against series whose anomalies are
//! known, and NAB's rule against cases computed by hand.

#[path = "series/detectors.rs"]
mod detectors;
#[path = "series/ensemble.rs"]
mod ensemble;
#[path = "series/forest.rs"]
mod forest;
#[path = "series/reference.rs"]
mod reference;
#[path = "series/windows.rs"]
mod windows;

use farol_stats::series::Detector;
use farol_stats::series::autoregression::RecursiveLeastSquares;
use farol_stats::series::change::Change;
use farol_stats::series::components::IncrementalComponents;
use farol_stats::series::counter::CounterRate;
use farol_stats::series::cuts::CutTree;
use farol_stats::series::ensemble::{Ensemble, Verdict, WARM_UP};
use farol_stats::series::extremes::GeneralizedPareto;
use farol_stats::series::flat::FlatLine;
use farol_stats::series::forest::CutForest;
use farol_stats::series::neighbours::NearestSubsequences;
use farol_stats::series::range::RangeNovelty;
use farol_stats::series::seasonal::SeasonalBaseline;
use farol_stats::series::threshold::{DriftSpot, Extremity, Spot};
use farol_stats::series::windows::{Judged, PROFILES, probation_rows, scaled_sigmoid};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    pareto: Vec<Pareto>,
    spot: Vec<GoldenSpot>,
    recursive_least_squares: Vec<Regression>,
    neighbours: Neighbours,
    components: Components,
    displacement: Displacement,
}

#[derive(Deserialize)]
struct Pareto {
    excesses: Vec<f64>,
    shape: f64,
    scale: f64,
    moments_shape: f64,
    moments_scale: f64,
    log_likelihood: f64,
    far: f64,
    survival: f64,
    level: f64,
}

#[derive(Deserialize)]
struct GoldenSpot {
    first: Vec<f64>,
    risk: f64,
    limit: f64,
}

#[derive(Deserialize)]
struct Regression {
    forgetting: f64,
    variance: f64,
    rows: Vec<Vec<f64>>,
    target: Vec<f64>,
    weights: Vec<f64>,
}

#[derive(Deserialize)]
struct Neighbours {
    values: Vec<f64>,
    distance: f64,
}

#[derive(Deserialize)]
struct Components {
    rows: Vec<Vec<f64>>,
    components: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Displacement {
    points: Vec<Vec<f64>>,
    mean: Vec<f64>,
    standard_error: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/series.json")).expect("the golden file")
}

fn assert_close(found: f64, expected: f64, tolerance: f64) {
    let apart = (found - expected).abs() / expected.abs().max(1.0);
    assert!(apart < tolerance, "{found} is not {expected}");
}

/// Uniform numbers in [0, 1) from a seed.
fn uniform(seed: u64) -> impl FnMut() -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    move || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}
