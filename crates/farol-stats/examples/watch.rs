//! Watches over windows of measures, from a file: what they would have noticed, in seconds.
//!
//! ```text
//! CSV in order of time: unit,method,direction,budget,measure,segment,start_us,first,second ──▶ watches ──▶ CSV of what was noticed
//! watch FILE WINDOW_US WARM_UP_US
//! ```
//!
//! `first` and `second` are ones and trials of a rate, or the value of a series and nothing.

use std::collections::BTreeMap;
use std::env::args;
use std::fs::File;
use std::io::{BufRead as _, BufReader};

use farol_stats::watch::rate::RateWatch;
use farol_stats::watch::series::SeriesWatch;
use farol_stats::watch::volume::Volume;
use farol_stats::watch::{Change, Direction, LocalTime, Span, Terms};

enum Watch {
    Rate(RateWatch),
    Series(SeriesWatch),
}

fn main() -> Result<(), String> {
    let arguments: Vec<String> = args().skip(1).collect();
    let [file, window_us, warm_up_us] = arguments.as_slice() else {
        return Err("watch FILE WINDOW_US WARM_UP_US".to_owned());
    };
    let number = |text: &str| {
        text.parse::<i64>()
            .map_err(|error| format!("{text}: {error}"))
    };
    let (window_us, warm_up_us) = (number(window_us)?, number(warm_up_us)?);
    let reader = BufReader::new(File::open(file).map_err(|error| format!("{file}: {error}"))?);
    let mut watches: BTreeMap<String, Watch> = BTreeMap::new();
    let mut volumes: BTreeMap<String, Volume> = BTreeMap::new();
    for line in reader.lines() {
        let line = line.map_err(|error| error.to_string())?;
        let fields: Vec<&str> = line.split(',').collect();
        let [
            unit,
            method,
            direction,
            budget,
            measure,
            segment,
            start,
            first,
            second,
        ] = fields.as_slice()
        else {
            return Err(format!("not nine fields: {line}"));
        };
        let Ok(first) = first.parse::<f64>() else {
            continue;
        };
        let start_us = number(start)?;
        let span = Span {
            start_us,
            end_us: start_us + window_us,
        };
        let direction = match *direction {
            "increase" => Direction::Increase,
            "decrease" => Direction::Decrease,
            _ => Direction::Both,
        };
        let volume = volumes.entry(format!("{unit} {method}")).or_default();
        let budget: f64 = budget.parse().map_err(|_| format!("budget: {line}"))?;
        let terms = Terms {
            threshold: volume.threshold(start_us, budget),
            warm_up_us,
            least_effect: match *method {
                "rate" => 0.1,
                _ if unit.starts_with("traffic") => 0.5,
                _ => 0.2,
            },
            local: LocalTime::default(),
        };
        let watch = watches.entry(format!("{unit},{measure},{segment}"));
        let watch = watch.or_insert_with(|| match *method {
            "rate" => Watch::Rate(RateWatch::new(direction)),
            _ => Watch::Series(SeriesWatch::new(direction)),
        });
        let (change, observations) = match watch {
            Watch::Rate(watch) => {
                let Ok(trials) = second.parse::<f64>() else {
                    continue;
                };
                let change = watch.observe(span, first as u64, trials as u64, terms);
                (change, watch.observations(trials as u64))
            }
            Watch::Series(watch) => (watch.observe(span, first, terms), 1),
        };
        volume.add(start_us, observations);
        match change {
            Some(Change::Opened(evidence)) => println!(
                "opened,{unit},{measure},{segment},{},{},{:.5},{:.5},{:.3e}",
                evidence.since_us,
                span.end_us,
                evidence.observed,
                evidence.reference,
                terms.threshold
            ),
            Some(Change::Ended { ended_us, adopted }) => {
                println!(
                    "ended,{unit},{measure},{segment},{ended_us},{},{adopted}",
                    span.end_us
                );
            }
            None => {}
        }
    }
    Ok(())
}
