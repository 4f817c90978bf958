//! How often drift of numbers is announced when nothing changed, and how often when something did.
//!
//! ```text
//! cargo run --release -p farol-stats --example drift_of_numbers -- [simulations per line]
//! ```
//!
//! A reference and a window of n values each are drawn from one law, or the window from a shifted one. An alarm needs p at
//! or below 0.05 and a debiased effect of 0.1; the fixed threshold W/σ ≥ 0.1 stands beside it.

use farol_stats::drift::decision::is_drift;
use farol_stats::drift::distribution::Distribution;
use farol_stats::drift::kolmogorov_smirnov::{kolmogorov_smirnov, kolmogorov_smirnov_p_value};
use farol_stats::drift::resampling::Resampling;
use farol_stats::drift::wasserstein::wasserstein_ratio;
use farol_stats::drift::wasserstein_test::{
    WassersteinTest, wasserstein_asymptotic_test, wasserstein_permutation_test,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const ROUNDS: u32 = 499;
const LEVEL: f64 = 0.05;
/// A sketch's γ = (1 + α)/(1 − α) at α = 0.01.
const GAMMA: f64 = 1.01 / 0.99;

/// A value from a standard normal one, under a shift of so many deviations of that.
type Law = fn(f64, f64) -> f64;
const LAWS: [(&str, Law); 3] = [
    ("normal", |normal, shift| 10.0 + normal + shift),
    ("lognormal (as latencies)", |normal, shift| {
        (5.0 + normal + shift).exp()
    }),
    ("whole numbers (as counts)", |normal, shift| {
        (4.0 + 2.0 * (normal + shift)).max(0.0).round()
    }),
];

/// How often each said something.
#[derive(Default)]
struct Found {
    permutation: u32,
    permutation_p_alone: u32,
    sketch: u32,
    sketch_p_alone: u32,
    kolmogorov_smirnov_p_alone: u32,
    fixed: u32,
}

fn main() {
    let simulations = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(500);
    for (name, law) in LAWS {
        for shift in [0.0, 0.3, 0.6] {
            println!("# {name}, shift {shift}, {simulations} simulations, rates in percent");
            println!(
                "{:>6} {:>12} {:>8} {:>12} {:>8} {:>8} {:>9}",
                "n", "permutation", "p alone", "from sketch", "p alone", "KS p", "W/s>=0.1"
            );
            for n in [50, 100, 200, 500, 1_000] {
                let found = simulate(n, law, shift, simulations);
                let percent = |count: u32| 100.0 * f64::from(count) / f64::from(simulations);
                println!(
                    "{n:>6} {:>12.1} {:>8.1} {:>12.1} {:>8.1} {:>8.1} {:>9.1}",
                    percent(found.permutation),
                    percent(found.permutation_p_alone),
                    percent(found.sketch),
                    percent(found.sketch_p_alone),
                    percent(found.kolmogorov_smirnov_p_alone),
                    percent(found.fixed),
                );
            }
            println!();
        }
    }
}

fn simulate(n: usize, law: Law, shift: f64, simulations: u32) -> Found {
    let mut generator = ChaCha8Rng::seed_from_u64(n as u64);
    let mut found = Found::default();
    let drift = |test: &WassersteinTest| {
        test.effect
            .is_some_and(|effect| is_drift(test.p_value, effect, LEVEL))
    };
    for _ in 0..simulations {
        let mut draw = |shift: f64| -> Vec<f64> {
            (0..n)
                .map(|_| law(generator.sample(StandardNormal), shift))
                .collect()
        };
        let (reference, window) = (draw(0.0), draw(shift));
        let resampling = Resampling {
            rounds: ROUNDS,
            seed: generator.random(),
        };

        let test = wasserstein_permutation_test(&reference, &window, resampling)
            .expect("simulated values are finite and not all alike");
        found.permutation += u32::from(drift(&test));
        found.permutation_p_alone += u32::from(test.p_value <= LEVEL);

        let [before, after] = [&reference, &window].map(|values| sketched(values));
        let test = wasserstein_asymptotic_test(&before, &after, resampling)
            .expect("simulated values are finite and not all alike");
        found.sketch += u32::from(drift(&test));
        found.sketch_p_alone += u32::from(test.p_value <= LEVEL);

        let [before, after] = [&reference, &window].map(|values| {
            Distribution::from_samples(values)
                .expect("simulated values are finite and not all alike")
        });
        let statistic = kolmogorov_smirnov(&before, &after);
        let p = kolmogorov_smirnov_p_value(statistic, n as u64, n as u64)
            .expect("samples are not empty");
        found.kolmogorov_smirnov_p_alone += u32::from(p <= LEVEL);
        found.fixed +=
            u32::from(wasserstein_ratio(&before, &after).is_some_and(|ratio| ratio >= 0.1));
    }
    found
}

/// What a DDSketch keeps of values that are zero or above.
fn sketched(values: &[f64]) -> Distribution {
    let rounded: Vec<f64> = values
        .iter()
        .map(|value| {
            if *value > 0.0 {
                2.0 * GAMMA.powf((value.ln() / GAMMA.ln()).ceil()) / (GAMMA + 1.0)
            } else {
                0.0
            }
        })
        .collect();
    Distribution::from_samples(&rounded).expect("simulated values are finite and not all alike")
}
