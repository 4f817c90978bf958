//! What drift of whole columns costs, from a window and a reference that lie in memory.
//!
//! ```text
//! drift_speed DIRECTORY
//!   NAME.reference.f64, NAME.window.f64     numbers, 8 bytes each, little end first
//!   NAME.reference.txt, NAME.window.txt     a category a line
//!        │ read and parsed: not timed
//!        ├─ values   ──sorted──▶ KS, Wasserstein-1 with its closed null ──────────┐
//!        ├─ sketches ──counted into bins──▶ KS, Wasserstein-1 with its drawn null ┤ adjusted, decided: one line of JSON
//!        ├─ kept     ──as before, but the sketches are there already──────────────┤ each, with seconds
//!        └─ rows     ──the numbers of the first 100,000──▶ domain classifier ─────┘
//! ```
//!
//! Categories are counted from their texts and compared by PSI in the first three, in `kept` from the counts that were kept. The
//! domain classifier is drawn once without change, so it fits twice five times: rounds cost in proportion. One thread; seconds
//! of its processor and of the clock.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use farol_stats::drift::categories::{Measure, compare};
use farol_stats::drift::decision::{benjamini_hochberg, is_drift};
use farol_stats::drift::distribution::Distribution;
use farol_stats::drift::domain_classifier::domain_classifier;
use farol_stats::drift::kolmogorov_smirnov::{kolmogorov_smirnov, kolmogorov_smirnov_p_value};
use farol_stats::drift::resampling::Resampling;
use farol_stats::drift::rows::Rows;
use farol_stats::drift::wasserstein::wasserstein;
use farol_stats::drift::wasserstein_test::{wasserstein_asymptotic_test, wasserstein_expected};
use serde::Serialize;

#[path = "support/processor_time.rs"]
mod processor_time;
#[path = "support/sketched.rs"]
mod sketched;
use processor_time::processor_seconds;
use sketched::sketched;

const LEVEL: f64 = 0.05;
const RESAMPLING: Resampling = Resampling {
    rounds: 499,
    seed: 1,
};
const CLASSIFIED_ROWS: usize = 100_000;
const FOLDS: usize = 5;
const DRAWN_ONCE: Resampling = Resampling { rounds: 1, seed: 1 };

/// A column as it lies in memory, reference first.
enum Column {
    Numbers([Vec<f64>; 2]),
    Categories([String; 2]),
}

/// A column as a job keeps it.
enum Kept {
    Numbers([Distribution; 2]),
    Categories([Vec<u64>; 2]),
}

/// The p-value and the debiased effect of a column.
type Tested = Option<(f64, f64)>;

#[derive(Serialize)]
struct Line<'a> {
    way: &'a str,
    processor_seconds: f64,
    wall_seconds: f64,
    drifted: Vec<&'a str>,
}

fn main() -> Result<(), String> {
    let directory = std::env::args().nth(1).ok_or("drift_speed DIRECTORY")?;
    let columns = read(Path::new(&directory))?;
    measure("values", &columns, |column| match column {
        Column::Numbers(sides) => numbers_of_values(sides),
        Column::Categories(sides) => categories_of_counts(&counted(sides)),
    })?;
    measure("sketches", &columns, |column| tested(&keep(column)?))?;
    let kept: Vec<(String, Kept)> = columns
        .iter()
        .map(|(name, column)| Some((name.clone(), keep(column)?)))
        .collect::<Option<_>>()
        .ok_or("an empty column")?;
    measure("kept", &kept, tested)?;
    let rows = [0, 1].map(|side| rows_of_numbers(&columns, side));
    measure("rows", &[("rows".to_owned(), rows)], classified)
}

fn measure<T>(
    way: &str,
    columns: &[(String, T)],
    test: impl Fn(&T) -> Tested,
) -> Result<(), String> {
    let (processor, wall) = (processor_seconds()?, Instant::now());
    let found: Vec<(f64, f64)> = columns
        .iter()
        .map(|(_, column)| test(column))
        .collect::<Option<_>>()
        .ok_or("a column that cannot be tested")?;
    let p_values: Vec<f64> = found.iter().map(|(p, _)| *p).collect();
    let adjusted = benjamini_hochberg(&p_values).ok_or("a p-value that is none")?;
    let drifted = columns
        .iter()
        .zip(&found)
        .zip(adjusted)
        .filter(|((_, (_, effect)), adjusted)| is_drift(*adjusted, *effect, LEVEL))
        .map(|(((name, _), _), _)| name.as_str())
        .collect();
    let line = Line {
        way,
        processor_seconds: processor_seconds()? - processor,
        wall_seconds: wall.elapsed().as_secs_f64(),
        drifted,
    };
    let text = serde_json::to_string(&line).map_err(|error| error.to_string())?;
    println!("{text}");
    Ok(())
}

/// Kolmogorov–Smirnov's p-value and Wasserstein-1's effect above its closed mean: a null drawn on millions of steps would cost
/// more than all else, and would say no more.
fn numbers_of_values([reference, window]: &[Vec<f64>; 2]) -> Tested {
    let before = Distribution::from_samples(reference)?;
    let after = Distribution::from_samples(window)?;
    let p_value = p_value_of_largest_distance(&before, &after)?;
    let above = wasserstein(&before, &after) - wasserstein_expected(&before, &after);
    Some((p_value, above.max(0.0) / before.standard_deviation()))
}

fn tested(kept: &Kept) -> Tested {
    match kept {
        Kept::Numbers([before, after]) => {
            let largest = p_value_of_largest_distance(before, after)?;
            let test = wasserstein_asymptotic_test(before, after, RESAMPLING)?;
            // Either may see it: the smaller of two, twice, keeps the level.
            let p_value = (2.0 * largest.min(test.p_value)).min(1.0);
            Some((p_value, test.effect.unwrap_or(0.0)))
        }
        Kept::Categories(sides) => categories_of_counts(sides),
    }
}

fn p_value_of_largest_distance(before: &Distribution, after: &Distribution) -> Option<f64> {
    let statistic = kolmogorov_smirnov(before, after);
    kolmogorov_smirnov_p_value(statistic, before.count(), after.count())
}

fn categories_of_counts([before, after]: &[Vec<u64>; 2]) -> Tested {
    let measure = Measure::PopulationStabilityIndex;
    let found = compare(measure, before, after, RESAMPLING)?;
    Some((found.p_value, found.effect))
}

fn keep(column: &Column) -> Option<Kept> {
    Some(match column {
        Column::Numbers([reference, window]) => {
            Kept::Numbers([sketched(reference)?, sketched(window)?])
        }
        Column::Categories(sides) => Kept::Categories(counted(sides)),
    })
}

/// How often each text is in each side, in one order.
fn counted(sides: &[String; 2]) -> [Vec<u64>; 2] {
    let mut counts: HashMap<&str, [u64; 2]> = HashMap::new();
    for (side, texts) in sides.iter().enumerate() {
        for text in texts.lines() {
            counts.entry(text).or_default()[side] += 1;
        }
    }
    let mut named: Vec<_> = counts.into_iter().collect();
    named.sort_unstable();
    [0, 1].map(|side| named.iter().map(|(_, counts)| counts[side]).collect())
}

/// The numbers of the first rows of a side, row after row, and how many a row has.
fn rows_of_numbers(columns: &[(String, Column)], side: usize) -> (Vec<f64>, usize) {
    let numbers: Vec<&Vec<f64>> = columns
        .iter()
        .filter_map(|(_, column)| match column {
            Column::Numbers(sides) => Some(&sides[side]),
            Column::Categories(_) => None,
        })
        .collect();
    let rows = (0..CLASSIFIED_ROWS).map_while(|row| {
        numbers
            .iter()
            .map(|column| column.get(row).copied())
            .collect::<Option<Vec<f64>>>()
    });
    (rows.flatten().collect(), numbers.len())
}

/// A single draw gives no small p-value, so the effect alone is told.
fn classified([before, after]: &[(Vec<f64>, usize); 2]) -> Tested {
    let reference = Rows::new(&before.0, before.1)?;
    let window = Rows::new(&after.0, after.1)?;
    let found = domain_classifier(reference, window, FOLDS, DRAWN_ONCE)?;
    Some((0.0, found.effect))
}

fn read(directory: &Path) -> Result<Vec<(String, Column)>, String> {
    let entries = std::fs::read_dir(directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    let mut columns = Vec::new();
    for path in paths {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let other = |ending: &str| path.with_file_name(file.replace(".reference.", ending));
        if let Some(name) = file.strip_suffix(".reference.f64") {
            let sides = [numbers(&path)?, numbers(&other(".window."))?];
            columns.push((name.to_owned(), Column::Numbers(sides)));
        } else if let Some(name) = file.strip_suffix(".reference.txt") {
            let texts = |path: &Path| {
                std::fs::read_to_string(path)
                    .map_err(|error| format!("{}: {error}", path.display()))
            };
            let sides = [texts(&path)?, texts(&other(".window."))?];
            columns.push((name.to_owned(), Column::Categories(sides)));
        }
    }
    Ok(columns)
}

fn numbers(path: &Path) -> Result<Vec<f64>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (values, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(format!("{}: not whole numbers of 8 bytes", path.display()));
    }
    Ok(values
        .iter()
        .map(|value| f64::from_le_bytes(*value))
        .collect())
}
