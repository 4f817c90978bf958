//! What a detector is: which measures of which jobs it looks at, kept apart by which segments, and how often it may be wrong.
//!
//! ```text
//! NAME.yaml ──▶ file (places kept) ──▶ check against the jobs that there are ──▶ Detector of units
//! ```
//!
//! ```yaml
//! name: measure-anomalies
//! on: all                      # a job, a list of jobs, or all
//! except: [quality]            # of all, those that are left out
//! measures: better             # a measure, a list, or all whose YAML says what is better
//! by: [service]                # segments kept; jobs that have them not are left out of `all`
//! window: 1m
//! method: auto                 # rate, series, or whichever fits the measure
//! direction: worse             # worse, increase, decrease, both
//! missing: skip                # what a window without rows is: skip, or zero
//! settle: 0s                   # how long after a window's end it is judged
//! time_zone: Europe/Berlin     # whose clock the days and weeks follow; without it UTC
//! holidays: [2026-12-25]       # days that are compared with each other instead of with their weekday
//! warm_up: 2d                  # how long it learns before it says anything
//! false_alarms_per_week: 0.5   # over all measures and segments together
//! least_effect: 0.2            # a smaller change is not worth an alarm
//! ```
//!
//! Or, of the versions of something, whether a new one is worse than the one before it:
//!
//! ```yaml
//! name: version-comparison
//! on: all
//! measures: better
//! by: [service, prompt_id]
//! compare: prompt_version      # the segment whose new values are compared with earlier ones
//! window: 15m
//! ```
//!
//! Or, of a table of events, columns whose distribution is compared with that of the same hour of other days:
//!
//! ```yaml
//! name: request-drift
//! on: traces
//! columns: [task, model, input_tokens, latency_ms]
//! by: [service]
//! window: 1h
//! reference: same_hour         # of days of its kind; trailing: of all days; or of a time: 2026-11-02T00:00:00Z/2026-11-09T00:00:00Z
//! least_effect: 0.1            # of the Population Stability Index, or in standard deviations
//! ```

mod calendar;
mod check;
mod columns;
mod file;
mod load;
mod measures;
mod reference;

use std::sync::Arc;

use farol_stats::watch::Direction;

pub use calendar::Calendar;
pub use load::{Detectors, Sources, load};
pub use reference::Reference;

/// How a measure is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// As a rate: so many of so many, both expressions over the job's partials.
    Rate {
        /// What is counted.
        ones: String,
        /// Out of what.
        trials: String,
    },
    /// As a number that changes with the time of day.
    Series,
    /// As a mean of one version of something, against that of another.
    Comparison {
        /// Whether it is between 0 and 1.
        of_shares: bool,
    },
    /// A column of events that holds numbers, by their distribution.
    Numbers,
    /// A column of events that holds few different values, by their shares.
    Categories,
}

impl Method {
    /// The word in files and findings.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Rate { .. } => "rate",
            Self::Series => "series",
            Self::Comparison { .. } => "comparison",
            Self::Numbers | Self::Categories => "drift",
        }
    }
}

/// A measure that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The measure, or a partial that is a plain value.
    pub measure: String,
    /// Which change is looked for.
    pub direction: Direction,
    /// How.
    pub method: Method,
}

/// What a window without rows is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Not known.
    Skip,
    /// A window in which nothing happened, as soon as there was one in which something did.
    Zero,
}

/// One job as a detector looks at it.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The detector's name.
    pub detector: String,
    /// The job; for columns of events their table.
    pub job: String,
    /// The table that the job reads first.
    pub reads: String,
    /// The segments that are kept apart. Where values are compared, theirs is the last.
    pub by: Vec<String>,
    /// The segment whose values are compared with each other: versions of something.
    pub compare: Option<String>,
    /// The job's further segments, among which root causes are looked for.
    pub others: Vec<String>,
    /// The width of its windows, in microseconds.
    pub window_us: i64,
    /// How long after a window's end it is judged, in microseconds.
    pub settle_us: i64,
    /// How long it learns, in microseconds.
    pub warm_up_us: i64,
    /// The least change of a rate that is worth an alarm, on the arcsine scale.
    pub least_effect_of_rates: f64,
    /// The least change of a series that is worth one, on the asinh scale.
    pub least_effect_of_series: f64,
    /// What a window without rows is.
    pub missing: Missing,
    /// Whose clock and calendar the seasons follow.
    pub calendar: Calendar,
    /// Of columns of events, what a window is compared with.
    pub reference: Reference,
    /// The measures.
    pub measures: Vec<Watched>,
    /// The unit's share of the detector's budget: expected false alarms a week.
    pub false_alarms_per_week: f64,
}

impl Unit {
    /// Whether it looks at columns of events rather than at a job's measures.
    pub fn is_drift(&self) -> bool {
        self.measures
            .iter()
            .any(|watched| matches!(watched.method, Method::Numbers | Method::Categories))
    }

    /// The least change of a measure that is worth an alarm, on the scale of its method.
    pub fn least_effect_of(&self, method: &Method) -> f64 {
        match method {
            Method::Rate { .. } | Method::Comparison { of_shares: true } => {
                self.least_effect_of_rates
            }
            _ => self.least_effect_of_series,
        }
    }

    /// What its marks in the table of findings begin with.
    pub fn app_id(&self) -> String {
        format!("farol/detector/{}/{}", self.detector, self.job)
    }

    /// What all of it that state depends on comes to: state of another definition is not read.
    pub(crate) fn fingerprint(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(format!("{self:?}").as_bytes())
    }
}

/// A detector whose file was read and checked.
#[derive(Debug, Clone)]
pub struct Detector {
    /// Its name.
    pub name: String,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// The budget: expected false alarms a week, over all measures and segments.
    pub false_alarms_per_week: f64,
    /// What it looks at, job by job.
    pub units: Vec<Arc<Unit>>,
}
