//! Decides drift for pairs of samples that somebody else drew, so that other tools can be held against the same samples.
//!
//! ```text
//! drift_samples FILE|- [ROUNDS] [LEVEL] > decisions
//!
//! {"report": 7, "kind": "numbers", "reference": [3, 1.5], "window": [2, 9]}       a line a pair
//! {"report": 7, "kind": "categories", "reference": [0, 0, 2], "window": [1]}      codes of categories
//!        │ tests, each with p and debiased effect
//!        ▼ p-values of one report adjusted together, those of first tests apart from those of second and of third ones
//! {"report": 7, "tests": [{"name": "wasserstein", "p_value": …, "adjusted": …, "effect": …, "drift": …}, …]}
//! ```
//!
//! Numbers: Wasserstein-1 by permutation, Kolmogorov–Smirnov with Wasserstein's effect, Wasserstein-1 of sketches. Categories:
//! PSI, Jensen–Shannon. A pair without `report` is adjusted with no other. Decisions come in the order of the pairs.

use std::collections::BTreeMap;
use std::io::Read;
use std::num::NonZero;

use farol_stats::drift::categories::{Measure, compare};
use farol_stats::drift::decision::{benjamini_hochberg, is_drift};
use farol_stats::drift::distribution::Distribution;
use farol_stats::drift::kolmogorov_smirnov::{kolmogorov_smirnov, kolmogorov_smirnov_p_value};
use farol_stats::drift::resampling::Resampling;
use farol_stats::drift::wasserstein_test::{
    wasserstein_asymptotic_test, wasserstein_permutation_test,
};
use serde::{Deserialize, Serialize};

#[path = "support/sketched.rs"]
mod sketched;
use sketched::sketched;

const ROUNDS: u32 = 499;
const LEVEL: f64 = 0.05;

/// A reference and a window of one column.
#[derive(Deserialize)]
struct Pair {
    report: Option<u64>,
    #[serde(flatten)]
    samples: Samples,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Samples {
    Numbers {
        reference: Vec<f64>,
        window: Vec<f64>,
    },
    Categories {
        reference: Vec<usize>,
        window: Vec<usize>,
    },
}

/// What one test says of a pair.
#[derive(Serialize)]
struct Test {
    name: &'static str,
    p_value: f64,
    adjusted: f64,
    /// 0 where there is none, as of a reference of one value.
    effect: f64,
    drift: bool,
}

#[derive(Serialize)]
struct Decision {
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<u64>,
    tests: Vec<Test>,
}

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments
        .first()
        .ok_or("drift_samples FILE|- [ROUNDS] [LEVEL]")?;
    let rounds = argument(&arguments, 1, ROUNDS)?;
    let level = argument(&arguments, 2, LEVEL)?;
    let pairs = read(path)?;
    let mut decisions = tested(&pairs, rounds)?;
    decide(&mut decisions, level)?;
    for decision in &decisions {
        let line = serde_json::to_string(decision).map_err(|error| error.to_string())?;
        println!("{line}");
    }
    Ok(())
}

fn argument<T: std::str::FromStr>(
    arguments: &[String],
    place: usize,
    default: T,
) -> Result<T, String> {
    arguments.get(place).map_or(Ok(default), |text| {
        text.parse().map_err(|_| format!("{text}: not a number"))
    })
}

fn read(path: &str) -> Result<Vec<Pair>, String> {
    let mut text = String::new();
    if path == "-" {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    }
    .map_err(|error| format!("{path}: {error}"))?;
    text.lines()
        .zip(1..)
        .map(|(line, number)| {
            serde_json::from_str(line).map_err(|error| format!("{path}:{number}: {error}"))
        })
        .collect()
}

/// Tests all pairs, on all processors, each with a seed of its place.
fn tested(pairs: &[Pair], rounds: u32) -> Result<Vec<Decision>, String> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = pairs.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let running: Vec<_> = pairs
            .chunks(share)
            .enumerate()
            .map(|(thread, chunk)| {
                scope.spawn(move || -> Result<Vec<Decision>, String> {
                    let first = thread * share;
                    chunk
                        .iter()
                        .zip(first as u64..)
                        .map(|(pair, seed)| {
                            let tests = tests_of(&pair.samples, Resampling { rounds, seed });
                            Ok(Decision {
                                report: pair.report,
                                tests: tests.ok_or_else(|| {
                                    format!("pair {}: cannot be tested", seed + 1)
                                })?,
                            })
                        })
                        .collect()
                })
            })
            .collect();
        let mut all = Vec::with_capacity(pairs.len());
        for thread in running {
            all.extend(thread.join().map_err(|_| "a test panicked".to_owned())??);
        }
        Ok(all)
    })
}

fn tests_of(samples: &Samples, resampling: Resampling) -> Option<Vec<Test>> {
    match samples {
        Samples::Numbers { reference, window } => numbers(reference, window, resampling),
        Samples::Categories { reference, window } => categories(reference, window, resampling),
    }
}

fn numbers(reference: &[f64], window: &[f64], resampling: Resampling) -> Option<Vec<Test>> {
    let dealt = wasserstein_permutation_test(reference, window, resampling)?;
    let before = Distribution::from_samples(reference)?;
    let after = Distribution::from_samples(window)?;
    let statistic = kolmogorov_smirnov(&before, &after);
    let largest = kolmogorov_smirnov_p_value(statistic, before.count(), after.count())?;
    let of_bins =
        wasserstein_asymptotic_test(&sketched(reference)?, &sketched(window)?, resampling)?;
    Some(vec![
        undecided("wasserstein", dealt.p_value, dealt.effect),
        undecided("kolmogorov_smirnov", largest, dealt.effect),
        undecided("wasserstein_of_sketches", of_bins.p_value, of_bins.effect),
    ])
}

fn categories(reference: &[usize], window: &[usize], resampling: Resampling) -> Option<Vec<Test>> {
    let highest = reference.iter().chain(window).max()?;
    let [before, after] = [reference, window].map(|codes| {
        let mut counts = vec![0; highest + 1];
        codes.iter().for_each(|code| counts[*code] += 1);
        counts
    });
    [
        ("psi", Measure::PopulationStabilityIndex),
        ("jensen_shannon", Measure::JensenShannon),
    ]
    .into_iter()
    .map(|(name, measure)| {
        let found = compare(measure, &before, &after, resampling)?;
        Some(undecided(name, found.p_value, Some(found.effect)))
    })
    .collect()
}

fn undecided(name: &'static str, p_value: f64, effect: Option<f64>) -> Test {
    Test {
        name,
        p_value,
        adjusted: p_value,
        effect: effect.unwrap_or(0.0),
        drift: false,
    }
}

/// Adjusts the tests of each report together and decides.
fn decide(decisions: &mut [Decision], level: f64) -> Result<(), String> {
    let mut families: BTreeMap<(u64, usize), Vec<&mut Test>> = BTreeMap::new();
    for decision in decisions {
        for (place, test) in decision.tests.iter_mut().enumerate() {
            match decision.report {
                Some(report) => families.entry((report, place)).or_default().push(test),
                None => test.drift = is_drift(test.p_value, test.effect, level),
            }
        }
    }
    for mut family in families.into_values() {
        let p_values: Vec<f64> = family.iter().map(|test| test.p_value).collect();
        let adjusted = benjamini_hochberg(&p_values).ok_or("a p-value that is none")?;
        for (test, adjusted) in family.iter_mut().zip(adjusted) {
            test.adjusted = adjusted;
            test.drift = is_drift(adjusted, test.effect, level);
        }
    }
    Ok(())
}
