//! What watching costs: processor time of one step of many series, and memory a series.
//!
//! ```text
//! series_cost watches 10000        as detectors watch a measure that is no rate; warmed up with three days of minutes
//! series_cost rates 10000          as they watch a rate
//! series_cost ensemble 10000       warmed up with two days of minutes
//! series_cost forest 1000          the random cut forest alone, warmed up until it is full
//! ```
//!
//! Seconds are of the thread's processor time. Memory is the growth of the resident set, read from `/proc/self/statm` (Linux),
//! the state's text left out.

use std::env::args;
use std::fs;

use farol_stats::series::Detector;
use farol_stats::series::ensemble::Ensemble;
use farol_stats::series::forest::CutForest;
use farol_stats::watch::rate::RateWatch;
use farol_stats::watch::series::SeriesWatch;
use farol_stats::watch::{Direction, LocalTime, Span, Terms};

#[path = "support/processor_time.rs"]
mod processor_time;
use processor_time::processor_seconds;

const STEPS: i64 = 20;
/// Half a false alarm a week over 10,000 series of minutes.
const TERMS: Terms = Terms {
    threshold: 2.0 * 10_000.0 * 7.0 * 1_440.0,
    warm_up_us: 2 * 86_400_000_000,
    least_effect: 0.2,
    local: LocalTime {
        utc_offset_us: 0,
        is_holiday: false,
    },
};
const PAGE_BYTES: f64 = 4096.0;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["watches", series] => measure(
            number(series)?,
            3 * 1440,
            || SeriesWatch::new(Direction::Increase),
            |watch, time, value| {
                watch.observe(minute_at(time), value, TERMS);
            },
        ),
        ["rates", series] => measure(
            number(series)?,
            3 * 1440,
            || RateWatch::new(Direction::Increase),
            |watch, time, value| {
                // Of some hundred trials a twentieth.
                watch.observe(minute_at(time), (value / 20.0) as u64, value as u64, TERMS);
            },
        ),
        ["ensemble", series] => measure(
            number(series)?,
            2 * 1440,
            Ensemble::default,
            |ensemble, time, value| {
                ensemble.observe(time, Some(value));
            },
        ),
        ["forest", series] => measure(
            number(series)?,
            300,
            CutForest::default,
            |forest, time, value| {
                forest.observe(time, Some(value));
            },
        ),
        _ => Err("series_cost watches|rates|ensemble|forest SERIES".to_owned()),
    }
}

fn minute_at(seconds: i64) -> Span {
    Span {
        start_us: seconds * 1_000_000,
        end_us: (seconds + 60) * 1_000_000,
    }
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

fn measure<D>(
    series: usize,
    warm: i64,
    new: impl Fn() -> D,
    step: impl Fn(&mut D, i64, f64),
) -> Result<(), String> {
    let before = resident()?;
    let mut detectors: Vec<D> = (0..series).map(|_| new()).collect();
    for (place, detector) in detectors.iter_mut().enumerate() {
        for minute in 0..warm {
            step(detector, minute * 60, value(place, minute));
        }
    }
    let bytes = (resident()? - before) / series as f64;
    let start = processor_seconds()?;
    for minute in warm..warm + STEPS {
        for (place, detector) in detectors.iter_mut().enumerate() {
            step(detector, minute * 60, value(place, minute));
        }
    }
    let seconds = (processor_seconds()? - start) / STEPS as f64;
    println!("{series} series: {seconds:.4} s of one core a step, {bytes:.0} bytes a series");
    Ok(())
}

/// A day's rhythm and noise that looks random, another for each series.
fn value(series: usize, minute: i64) -> f64 {
    let hash = (series as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ (minute as u64 + 1).wrapping_mul(0xD1B5_4A32_D192_ED03);
    let noise = (hash ^ hash >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40;
    let wave = (minute as f64 / 1440.0 * std::f64::consts::TAU).sin();
    100.0 + 20.0 * wave + noise as f64 / f64::from(1 << 24) * 10.0
}

fn resident() -> Result<f64, String> {
    let text = fs::read_to_string("/proc/self/statm").map_err(|error| error.to_string())?;
    let pages = text
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<f64>().ok());
    Ok(pages.ok_or("no resident pages")? * PAGE_BYTES)
}
