//! Scores the ensemble by the rule of the Numenta Anomaly Benchmark, or checks the rule by published results.
//!
//! ```text
//! nab run DIRECTORY                       DIRECTORY/data/*/*.csv, DIRECTORY/labels/combined_windows.json
//! nab check DIRECTORY DETECTOR…           DIRECTORY/results/DETECTOR/*/*.csv: time, anomaly score; labels as above
//! ```
//!
//! `run` prints the score with the threshold fixed beforehand, with the one that is best for these series (as NAB's own
//! optimizer chooses it), and with the one that is best for the other half of them: halves split by category.

mod corpus;

use std::collections::BTreeMap;
use std::env::args;
use std::path::Path;

use corpus::{Series, Windows};
use farol_stats::series::ensemble::Ensemble;
use farol_stats::series::incidents::IncidentRules;
use farol_stats::series::windows::{Judged, Outcome, PROFILES, Profile};

/// Thresholds to choose among. One changes which alarms hold others off, so each is a run of its own.
const THRESHOLDS: [f64; 9] = [1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0];

/// Each series' strength of alarm a row, 0 without one.
type Alarms = Vec<Vec<f64>>;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["run", directory] => run(Path::new(directory)),
        ["check", directory, detectors @ ..] => check(Path::new(directory), detectors),
        _ => Err("nab run DIRECTORY | nab check DIRECTORY DETECTOR…".to_owned()),
    }
}

fn run(directory: &Path) -> Result<(), String> {
    let windows = corpus::windows(&directory.join("labels/combined_windows.json"))?;
    let series = corpus::series(&directory.join("data"), "")?;
    let all: Vec<usize> = (0..series.len()).collect();
    let halves = halves(&series);
    let runs: Vec<(f64, Alarms)> = THRESHOLDS
        .iter()
        .map(|threshold| (*threshold, alarms(&series, *threshold)))
        .collect();
    let fixed = alarms(&series, IncidentRules::default().threshold);
    println!("{} series, {} and {} in the halves", all.len(), halves[0].len(), halves[1].len());
    for profile in &PROFILES {
        let score = |alarms: &Alarms, places: &[usize]| {
            judged(&series, alarms, &windows, places).map(|judged| judged.at(profile, f64::MIN_POSITIVE))
        };
        println!("{}", profile.name);
        show("threshold fixed beforehand, all series", &score(&fixed, &all)?);
        show("  first half", &score(&fixed, &halves[0])?);
        show("  second half", &score(&fixed, &halves[1])?);
        let (_, best) = &runs[best(&runs, &all, profile, &series, &windows)?];
        show("best threshold for all series", &score(best, &all)?);
        show("optimizer over the fixed run's alarms", &optimum(&judged(&series, &fixed, &windows, &all)?, profile)?);
        let mut crossed = Judged::default();
        for (here, there) in [(0, 1), (1, 0)] {
            let (threshold, best) = &runs[self::best(&runs, &halves[there], profile, &series, &windows)?];
            add(&mut crossed, &series, best, &windows, &halves[here])?;
            show(&format!("  half {here}, threshold {threshold} of half {there}"), &score(best, &halves[here])?);
        }
        show("each half with the other's threshold", &crossed.at(profile, f64::MIN_POSITIVE));
    }
    by_series(&series, &fixed, &windows)
}

/// What the fixed threshold finds in each series.
fn by_series(series: &[Series], alarms: &Alarms, windows: &Windows) -> Result<(), String> {
    println!("windows found, false alarms");
    for place in 0..series.len() {
        let judged = judged(series, alarms, windows, &[place])?;
        let outcome = judged.at(&PROFILES[0], f64::MIN_POSITIVE);
        let (found, of) = (outcome.windows_found, judged.windows());
        println!("  {found} of {of} {:4}  {}", outcome.false_alarms, series[place].name);
    }
    Ok(())
}

fn check(directory: &Path, detectors: &[&str]) -> Result<(), String> {
    let windows = corpus::windows(&directory.join("labels/combined_windows.json"))?;
    for detector in detectors {
        let results = directory.join("results").join(detector);
        let results = corpus::series(&results, &format!("{detector}_"))?;
        let scores: Alarms = results.iter().map(|series| series.values.clone()).collect();
        let all: Vec<usize> = (0..results.len()).collect();
        let judged = judged(&results, &scores, &windows, &all)?;
        println!("{detector}: {} series", results.len());
        for profile in &PROFILES {
            show(profile.name, &optimum(&judged, profile)?);
        }
    }
    Ok(())
}

fn alarms(series: &[Series], threshold: f64) -> Alarms {
    let rules = IncidentRules {
        threshold,
        ..IncidentRules::default()
    };
    let one = |series: &Series| {
        let mut ensemble = Ensemble::new(rules);
        let rows = series.times.iter().zip(&series.values);
        rows.map(|(time, value)| ensemble.observe(*time, Some(*value)))
            .map(|verdict| verdict.and_then(|verdict| verdict.alarm).unwrap_or(0.0))
            .collect()
    };
    series.iter().map(one).collect()
}

/// Every other series of each category, and the rest.
fn halves(series: &[Series]) -> [Vec<usize>; 2] {
    let mut halves = [Vec::new(), Vec::new()];
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, series) in series.iter().enumerate() {
        let category = series.name.split('/').next().unwrap_or_default();
        let next = counts.len() % 2;
        // Categories start in turn with either half, so that odd ones out do not all go to the first.
        let count = counts.entry(category).or_insert(next);
        halves[*count % 2].push(place);
        *count += 1;
    }
    halves
}

fn judged(series: &[Series], alarms: &Alarms, windows: &Windows, places: &[usize]) -> Result<Judged, String> {
    let mut judged = Judged::default();
    add(&mut judged, series, alarms, windows, places)?;
    Ok(judged)
}

fn add(judged: &mut Judged, series: &[Series], alarms: &Alarms, windows: &Windows, places: &[usize]) -> Result<(), String> {
    for place in places {
        let Series { name, times, .. } = &series[*place];
        let windows = windows.get(name).ok_or_else(|| format!("{name} has no labels"))?;
        judged.add(times, &alarms[*place], windows);
    }
    Ok(())
}

/// The place of the run that earns most on some series.
fn best(runs: &[(f64, Alarms)], places: &[usize], profile: &Profile, series: &[Series], windows: &Windows) -> Result<usize, String> {
    let mut best = (0, f64::NEG_INFINITY);
    for (place, (_, alarms)) in runs.iter().enumerate() {
        let total = judged(series, alarms, windows, places)?.at(profile, f64::MIN_POSITIVE).total;
        if total > best.1 {
            best = (place, total);
        }
    }
    Ok(best.0)
}

fn optimum(judged: &Judged, profile: &Profile) -> Result<Outcome, String> {
    judged.optimum(profile).ok_or_else(|| "no rows".to_owned())
}

fn show(what: &str, outcome: &Outcome) {
    let Outcome {
        normalized,
        windows_found,
        false_alarms,
        threshold,
        ..
    } = outcome;
    println!("  {what:50} {normalized:7.3}  {windows_found:3} windows  {false_alarms:4} false alarms  threshold {threshold:.6}");
}
