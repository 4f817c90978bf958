//! Scores the ensemble by the rule of the Numenta Anomaly Benchmark, or checks the rule by published results.
//!
//! ```text
//! nab run DIRECTORY                       DIRECTORY/data/*/*.csv, DIRECTORY/labels/combined_windows.json
//! nab check DIRECTORY DETECTOR…           DIRECTORY/results/DETECTOR/*/*.csv: time, anomaly score; labels as above
//! ```
//!
//! `run` prints the score with the rules fixed beforehand (threshold, hold-off, habituation), with the threshold that NAB's
//! optimizer chooses from the alarms of these rules, with the rules of a grid that are best for all series, and with those
//! that are best for the other half of the series: halves split by category. The last says how well rules that were chosen
//! on some series do on others.

mod corpus;

use std::collections::BTreeMap;
use std::env::args;
use std::path::Path;

use corpus::{Series, Windows};
use farol_stats::series::ensemble::Ensemble;
use farol_stats::series::incidents::IncidentRules;
use farol_stats::series::threshold::{Extremity, Spot};
use farol_stats::series::windows::{Judged, Outcome, PROFILES, Profile, probation_rows};

/// The risk that SPOT's limit is set for.
const SPOT_RISK: f64 = 1e-3;

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
    let fixed = alarms(&series, IncidentRules::default());
    let by_spot: Alarms = series.iter().map(spot_alarms).collect();
    let runs: Vec<(IncidentRules, Alarms)> = grid()
        .map(|rules| (rules, alarms(&series, rules)))
        .collect();
    println!(
        "{} series, {} and {} in the halves, {} rules to choose from",
        all.len(),
        halves[0].len(),
        halves[1].len(),
        runs.len()
    );
    for profile in &PROFILES {
        let judge = |alarms: &Alarms, places: &[usize]| judged(&series, alarms, &windows, places);
        println!("{}", profile.name);
        for (what, places) in [
            ("all series", &all),
            ("half 0", &halves[0]),
            ("half 1", &halves[1]),
        ] {
            show(
                &format!("fixed rules, {what}"),
                &raised(&judge(&fixed, places)?, profile),
            );
        }
        show(
            "fixed rules, NAB's optimizer's threshold",
            &optimum(&judge(&fixed, &all)?, profile)?,
        );
        show(
            "SPOT in the place of the rules",
            &raised(&judge(&by_spot, &all)?, profile),
        );
        let (_, best_of_all) = best(&runs, &all, profile, judge)?;
        show(
            "rules best for all",
            &raised(&judge(best_of_all, &all)?, profile),
        );
        let mut crossed = Judged::default();
        for (here, there) in [(0, 1), (1, 0)] {
            let (rules, chosen) = best(&runs, &halves[there], profile, judge)?;
            add(&mut crossed, &series, chosen, &windows, &halves[here])?;
            println!("  best for half {there}: {rules:?}");
            show(
                &format!("rules best for half {there}, on half {here}"),
                &raised(&judge(chosen, &halves[here])?, profile),
            );
        }
        show(
            "each half with the rules best for the other",
            &raised(&crossed, profile),
        );
    }
    by_series(&series, &fixed, &windows)
}

/// What the fixed threshold finds in each series.
fn by_series(series: &[Series], alarms: &Alarms, windows: &Windows) -> Result<(), String> {
    println!("windows found, false alarms");
    for place in 0..series.len() {
        let judged = judged(series, alarms, windows, &[place])?;
        let outcome = raised(&judged, &PROFILES[0]);
        let (found, of) = (outcome.windows_found, judged.windows());
        println!(
            "  {found} of {of} {:4}  {}",
            outcome.false_alarms, series[place].name
        );
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

/// Rules around the fixed ones.
fn grid() -> impl Iterator<Item = IncidentRules> {
    let thresholds = (0..9).map(|step| 1.2 + 0.1 * f64::from(step));
    let habits = thresholds
        .flat_map(|threshold| [0.3, 0.4, 0.5, 0.6].map(|habituation| (threshold, habituation)));
    habits.flat_map(|(threshold, habituation)| {
        [50, 100, 150].map(|hold_off| IncidentRules {
            threshold,
            habituation,
            hold_off,
            ..IncidentRules::default()
        })
    })
}

fn alarms(series: &[Series], rules: IncidentRules) -> Alarms {
    let one = |series: &Series| {
        let mut ensemble = Ensemble::new(rules);
        let rows = series.times.iter().zip(&series.values);
        rows.map(|(time, value)| ensemble.observe(*time, Some(*value)))
            .map(|verdict| verdict.and_then(|verdict| verdict.alarm).unwrap_or(0.0))
            .collect()
    };
    series.iter().map(one).collect()
}

/// Alarms by SPOT on the ensemble's scores, in the place of threshold and habituation: the limit of each series is its own,
/// learned from the rows of probation on. After an alarm there is none for the hold-off.
fn spot_alarms(series: &Series) -> Vec<f64> {
    let mut ensemble = Ensemble::default();
    let rows = series.times.iter().zip(&series.values);
    let scores: Vec<f64> = rows
        .map(|(time, value)| ensemble.observe(*time, Some(*value)))
        .map(|verdict| verdict.map_or(0.0, |verdict| verdict.score))
        .collect();
    let (first, rest) = scores.split_at(probation_rows(scores.len()) as usize);
    let mut alarms = vec![0.0; scores.len()];
    let Some(mut spot) = Spot::new(first, SPOT_RISK) else {
        return alarms;
    };
    let mut held = 0;
    for (score, alarm) in rest.iter().zip(&mut alarms[first.len()..]) {
        let extreme = spot.observe(*score) == Some(Extremity::Alarm);
        if extreme && held == 0 {
            (*alarm, held) = (*score, IncidentRules::default().hold_off);
        }
        held = held.saturating_sub(1);
    }
    alarms
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

fn judged(
    series: &[Series],
    alarms: &Alarms,
    windows: &Windows,
    places: &[usize],
) -> Result<Judged, String> {
    let mut judged = Judged::default();
    add(&mut judged, series, alarms, windows, places)?;
    Ok(judged)
}

fn add(
    judged: &mut Judged,
    series: &[Series],
    alarms: &Alarms,
    windows: &Windows,
    places: &[usize],
) -> Result<(), String> {
    for place in places {
        let Series { name, times, .. } = &series[*place];
        let windows = windows
            .get(name)
            .ok_or_else(|| format!("{name} has no labels"))?;
        judged.add(times, &alarms[*place], windows);
    }
    Ok(())
}

/// The run that earns most on some series.
fn best<'a>(
    runs: &'a [(IncidentRules, Alarms)],
    places: &[usize],
    profile: &Profile,
    judge: impl Fn(&Alarms, &[usize]) -> Result<Judged, String>,
) -> Result<&'a (IncidentRules, Alarms), String> {
    let mut best = None;
    let mut most = f64::NEG_INFINITY;
    for run in runs {
        let total = raised(&judge(&run.1, places)?, profile).total;
        if total > most {
            (best, most) = (Some(run), total);
        }
    }
    best.ok_or_else(|| "no rules".to_owned())
}

/// What the alarms earn, all of them.
fn raised(judged: &Judged, profile: &Profile) -> Outcome {
    judged.at(profile, f64::MIN_POSITIVE)
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
    let threshold = if *threshold > f64::MIN_POSITIVE {
        format!("  threshold {threshold:.6}")
    } else {
        String::new()
    };
    println!(
        "  {what:45} {normalized:7.3}  {windows_found:3} windows  {false_alarms:4} false alarms{threshold}"
    );
}
