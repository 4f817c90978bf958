//! How often drift of categories is announced when nothing changed, and how often when something did.
//!
//! ```text
//! cargo run --release -p farol-stats --example drift_false_alarms -- [simulations per line; a fifth of it for power]
//! ```
//!
//! Two windows of n values are drawn from one mix of B categories (or, for power, the second from a shifted mix) and
//! compared. An alarm needs p at or below the level and a debiased effect of 0.1; "p alone" leaves the effect out. Fixed
//! thresholds on the plain measure stand beside it.

use farol_stats::drift::categories::{
    FULL_CELL, Measure, compare, jensen_shannon, population_stability_index,
};
use farol_stats::drift::decision::is_drift;
use farol_stats::drift::resampling::Resampling;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SIZES: [usize; 5] = [50, 100, 200, 500, 1_000];
const CATEGORIES: [usize; 5] = [2, 5, 20, 50, 200];
const FULL_TABLES: &[Measure] = &[
    Measure::JensenShannon,
    Measure::PopulationStabilityIndex,
    Measure::ChiSquare,
];
const MEASURES: &[Measure] = &[
    Measure::JensenShannon,
    Measure::PopulationStabilityIndex,
    Measure::ChiSquare,
    Measure::NewCategoryMass,
];
const ROUNDS: u32 = 499;
const NULL_COLUMNS: [&str; 8] = [
    "JSD", "JSD p", "PSI", "PSI p", "chi2", "chi2 p", "new", "new p",
];

/// How often each measure said something, of `simulations`.
#[derive(Default, Clone, Copy)]
struct Alarms {
    at_5: u32,
    at_1: u32,
    p_alone_at_5: u32,
    p_alone_at_1: u32,
}

struct Simulated {
    alarms: Vec<Alarms>,
    /// PSI ≥ 0.1, and the Jensen–Shannon distance (base 2) ≥ 0.1.
    fixed: [u32; 2],
}

fn main() {
    let simulations = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(500);
    let error = 100.0 * (0.05 * 0.95 / f64::from(simulations)).sqrt();
    println!(
        "{ROUNDS} tables dealt for each test; rates in percent; 5 has a standard error of {error:.1}\n"
    );
    let same = |n| n;
    no_change("mix one over rank", 1.0, &SIZES, same, simulations);
    no_change("uniform mix", 0.0, &SIZES, same, simulations);
    no_change(
        "uniform mix, reference 20 times as large",
        0.0,
        &SIZES,
        |n| 20 * n,
        simulations / 5,
    );
    asymptotic_begins(simulations);
    for (name, shift) in SHIFTS {
        power(name, shift, simulations / 5);
    }
}

/// False alarms for each size of the window and each number of categories.
fn no_change(
    name: &str,
    skew: f64,
    sizes: &[usize],
    reference: fn(usize) -> usize,
    simulations: u32,
) {
    println!("# No change, {name}, {simulations} simulations: alarms at 0.05 / 0.01, then p alone");
    heading(&NULL_COLUMNS);
    for &n in sizes {
        for categories in CATEGORIES {
            let mix = zipf(categories, skew);
            let found = simulate((reference(n), n), &mix, &mix, MEASURES, simulations);
            null_line(n, categories, &found, simulations);
        }
    }
    println!();
}

/// False alarms at the sizes from which on the asymptotic null is used, where it is at its worst.
fn asymptotic_begins(simulations: u32) {
    println!(
        "# No change, uniform mix, just enough for chi-square as the null, {simulations} simulations"
    );
    heading(&NULL_COLUMNS[..6]);
    for categories in CATEGORIES {
        let mix = zipf(categories, 0.0);
        let cell = FULL_CELL * (categories as f64 - 1.0).sqrt();
        // The smallest of the cells, too, has to be full.
        let n = (categories as f64 * (cell + 3.0 * cell.sqrt())) as usize;
        let found = simulate((n, n), &mix, &mix, FULL_TABLES, simulations);
        null_line(n, categories, &found, simulations);
    }
    println!();
}

/// How often a change is found.
fn power(name: &str, shift: Shift, simulations: u32) {
    println!(
        "# Change, mix one over rank, {name}, {simulations} simulations: alarms at 0.05 / 0.01"
    );
    heading(&["JSD", "PSI", "chi2", "new"]);
    for n in SIZES {
        for categories in CATEGORIES {
            let mix = zipf(categories, 1.0);
            let found = simulate((n, n), &mix, &shift(&mix), MEASURES, simulations);
            print!("{n:>6} {categories:>4}");
            for alarms in &found.alarms {
                pair(alarms.at_5, alarms.at_1, simulations);
            }
            fixed(found.fixed, simulations);
        }
    }
    println!();
}

fn null_line(n: usize, categories: usize, found: &Simulated, simulations: u32) {
    print!("{n:>6} {categories:>4}");
    for alarms in &found.alarms {
        pair(alarms.at_5, alarms.at_1, simulations);
        pair(alarms.p_alone_at_5, alarms.p_alone_at_1, simulations);
    }
    fixed(found.fixed, simulations);
}

type Shift = fn(&[f64]) -> Vec<f64>;
const SHIFTS: [(&str, Shift); 3] = [
    ("30 % of the values move to the rarest category", |mix| {
        let mut shifted: Vec<f64> = mix.iter().map(|share| 0.7 * share).collect();
        if let Some(last) = shifted.last_mut() {
            *last += 0.3;
        }
        shifted
    }),
    ("every second category doubles", |mix| {
        mix.iter()
            .enumerate()
            .map(|(place, share)| if place % 2 == 0 { *share } else { 2.0 * share })
            .collect()
    }),
    ("15 % of the values are of a category never seen", |mix| {
        let mut shifted: Vec<f64> = mix.iter().map(|share| 0.85 * share).collect();
        shifted.push(0.15);
        shifted
    }),
];

fn heading(columns: &[&str]) {
    print!("     n    B");
    for column in columns {
        print!(" {column:>11}");
    }
    println!(" {:>11} {:>11}", "PSI>=0.1", "JS>=0.1");
}

fn percent(count: u32, of: u32) -> f64 {
    100.0 * f64::from(count) / f64::from(of)
}

fn pair(at_5: u32, at_1: u32, of: u32) {
    print!(" {:>5.1}/{:>5.1}", percent(at_5, of), percent(at_1, of));
}

fn fixed(counts: [u32; 2], of: u32) {
    println!(
        " {:>11.1} {:>11.1}",
        percent(counts[0], of),
        percent(counts[1], of)
    );
}

/// Shares falling as 1 / rank^skew.
fn zipf(categories: usize, skew: f64) -> Vec<f64> {
    let weights = (1..=categories).map(|rank| (rank as f64).powf(-skew));
    let sum: f64 = weights.clone().sum();
    weights.map(|weight| weight / sum).collect()
}

fn simulate(
    sizes: (usize, usize),
    before: &[f64],
    after: &[f64],
    measures: &[Measure],
    simulations: u32,
) -> Simulated {
    let mut generator = ChaCha8Rng::seed_from_u64((1_000 * sizes.1 + after.len()) as u64);
    let mut found = Simulated {
        alarms: vec![Alarms::default(); measures.len()],
        fixed: [0; 2],
    };
    for _ in 0..simulations {
        let reference = draw(sizes.0, before, after.len(), &mut generator);
        let window = draw(sizes.1, after, after.len(), &mut generator);
        let resampling = Resampling {
            rounds: ROUNDS,
            seed: generator.random(),
        };
        for (alarms, &measure) in found.alarms.iter_mut().zip(measures) {
            let test = compare(measure, &reference, &window, resampling)
                .expect("simulated values are finite and not all alike");
            alarms.at_5 += u32::from(is_drift(test.p_value, test.effect, 0.05));
            alarms.at_1 += u32::from(is_drift(test.p_value, test.effect, 0.01));
            alarms.p_alone_at_5 += u32::from(test.p_value <= 0.05);
            alarms.p_alone_at_1 += u32::from(test.p_value <= 0.01);
        }
        let psi = population_stability_index(&reference, &window)
            .expect("simulated values are finite and not all alike");
        let divergence = jensen_shannon(&reference, &window)
            .expect("simulated values are finite and not all alike");
        found.fixed[0] += u32::from(psi >= 0.1);
        found.fixed[1] += u32::from((divergence / std::f64::consts::LN_2).sqrt() >= 0.1);
    }
    found
}

/// The counts of n values of a mix, with room for `categories`.
fn draw(n: usize, mix: &[f64], categories: usize, generator: &mut ChaCha8Rng) -> Vec<u64> {
    let law = WeightedIndex::new(mix).expect("shares of a mix are positive");
    let mut counts = vec![0; categories];
    for _ in 0..n {
        counts[law.sample(generator)] += 1;
    }
    counts
}
