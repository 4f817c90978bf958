//! What is said of sketches holds of the values that they were made from.

use farol_stats::drift::distribution::{Bounded, Distribution, SketchAccuracy};
use farol_stats::drift::kolmogorov_smirnov::{kolmogorov_smirnov, kolmogorov_smirnov_of_sketches};
use farol_stats::drift::wasserstein::{wasserstein, wasserstein_of_sketches, wasserstein_ratio};
use proptest::prelude::*;

const NEAR_ZERO: f64 = 1e-9;

/// A DDSketch's bins by its paper's mapping: key ⌈log_γ x⌉ with γ = (1 + α)/(1 − α), its value 2γᵏ/(γ + 1).
fn sketched(values: &[f64], relative: f64) -> Distribution {
    let gamma = (1.0 + relative) / (1.0 - relative);
    let representative = |value: f64| {
        if value.abs() <= NEAR_ZERO {
            return 0.0;
        }
        let key = (value.abs().ln() / gamma.ln()).ceil();
        value.signum() * 2.0 * gamma.powf(key) / (gamma + 1.0)
    };
    let mut bins: Vec<f64> = values.iter().copied().map(representative).collect();
    bins.sort_by(f64::total_cmp);
    let mut steps: Vec<(f64, u64)> = Vec::new();
    for (value, count) in bins.into_iter().zip(1..) {
        match steps.last_mut() {
            Some(last) if last.0.total_cmp(&value).is_eq() => last.1 = count,
            _ => steps.push((value, count)),
        }
    }
    Distribution::from_cumulative(&steps).expect("bins in order")
}

/// Within the bounds, but for the rounding of sums.
fn holds(bounded: Bounded, value: f64) -> bool {
    let slack = 1e-9 * (1.0 + value.abs());
    bounded.lower <= value + slack && value <= bounded.upper + slack
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![
        Just(0.0),
        -1e-9..1e-9,
        -100.0..100.0,
        (-3.0..8.0_f64).prop_map(|power| 10.0_f64.powf(power)),
        (1_u32..20).prop_map(f64::from),
    ];
    proptest::collection::vec(value, 1..120)
}

proptest! {
    #[test]
    fn the_values_own_distances_are_within_the_bounds(
        reference in values(),
        window in values(),
        relative in 0.005..0.1,
    ) {
        let [exact, exact_window] = [&reference, &window]
            .map(|values| Distribution::from_samples(values).expect("values"));
        let [sketch, sketch_window] = [&reference, &window].map(|values| sketched(values, relative));
        let accuracy = SketchAccuracy { relative, near_zero: NEAR_ZERO };

        let found = wasserstein_of_sketches(&sketch, &sketch_window, accuracy).expect("accuracy");
        prop_assert!(holds(found.distance, wasserstein(&exact, &exact_window)));
        if let (Some(bounded), Some(ratio)) = (found.ratio, wasserstein_ratio(&exact, &exact_window)) {
            prop_assert!(holds(bounded, ratio), "{bounded:?} {ratio}");
        }

        let statistic = kolmogorov_smirnov(&exact, &exact_window);
        let bounded = kolmogorov_smirnov_of_sketches(&sketch, &sketch_window);
        prop_assert!(holds(bounded, statistic), "{bounded:?} {statistic}");
    }

    #[test]
    fn bounds_on_positive_values_are_as_tight_as_the_accuracy(
        reference in proptest::collection::vec(1.0..1_000.0, 1..120),
        window in proptest::collection::vec(1.0..1_000.0, 1..120),
    ) {
        let accuracy = SketchAccuracy { relative: 0.01, near_zero: NEAR_ZERO };
        let [sketch, sketch_window] = [&reference, &window].map(|values| sketched(values, 0.01));
        let found = wasserstein_of_sketches(&sketch, &sketch_window, accuracy).expect("accuracy");
        let allowed = 0.0102 * (sketch.mean() + sketch_window.mean());
        prop_assert!(found.distance.upper - found.distance.value <= allowed);
    }
}
