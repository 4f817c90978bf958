//! Reads a directory of the Numenta Anomaly Benchmark: `data/CATEGORY/NAME.csv` and `labels/combined_windows.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// First and last second of each label window, by series.
pub type Windows = BTreeMap<String, Vec<(i64, i64)>>;

/// One file of the benchmark.
pub struct Series {
    /// `CATEGORY/NAME.csv`.
    pub name: String,
    /// Seconds since 1970, a row each.
    pub times: Vec<i64>,
    /// The second column.
    pub values: Vec<f64>,
}

/// The label windows of all series.
pub fn windows(file: &Path) -> Result<Windows, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let raw: BTreeMap<String, Vec<(String, String)>> =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let pair = |(start, end): (String, String)| Some((seconds(&start)?, seconds(&end)?));
    raw.into_iter()
        .map(|(name, windows)| {
            let windows: Option<Vec<_>> = windows.into_iter().map(pair).collect();
            let windows = windows.ok_or_else(|| format!("{name}: a window that is no time"))?;
            Ok((name, windows))
        })
        .collect()
}

/// All `*.csv` files two levels below a directory, by name. `remove` is taken from the front of file names.
pub fn series(directory: &Path, remove: &str) -> Result<Vec<Series>, String> {
    let mut found = Vec::new();
    for category in folders(directory)? {
        for file in files(&category)? {
            let (Some(folder), Some(name)) = (last(&category), last(&file)) else {
                continue;
            };
            let name = name.strip_prefix(remove).unwrap_or(&name).to_owned();
            let (times, values) = rows(&file)?;
            found.push(Series {
                name: format!("{folder}/{name}"),
                times,
                values,
            });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn rows(file: &Path) -> Result<(Vec<i64>, Vec<f64>), String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let lines = text.lines().skip(1).enumerate();
    lines
        .map(|(row, line)| {
            let mut fields = line.split(',');
            let time = fields.next().and_then(seconds);
            let value = fields.next().and_then(|field| field.parse::<f64>().ok());
            time.zip(value)
                .ok_or_else(|| format!("{}: row {}: {line}", file.display(), row + 2))
        })
        .collect::<Result<Vec<_>, _>>()
        .map(|rows| rows.into_iter().unzip())
}

fn folders(directory: &Path) -> Result<Vec<PathBuf>, String> {
    Ok(entries(directory)?
        .into_iter()
        .filter(|path| path.is_dir())
        .collect())
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    Ok(entries(directory)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .collect())
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error| format!("{}: {error}", directory.display());
    let read = fs::read_dir(directory).map_err(failed)?;
    read.map(|entry| entry.map(|entry| entry.path()).map_err(failed))
        .collect()
}

fn last(path: &Path) -> Option<String> {
    path.file_name()?.to_str().map(str::to_owned)
}

/// Seconds since 1970 of `YYYY-MM-DD hh:mm:ss`, fractions cut off.
fn seconds(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // Days of the civil calendar, counted in years that start in March so that the leap day comes last.
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}
