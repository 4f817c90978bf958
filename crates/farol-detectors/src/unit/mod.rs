//! A unit at work: the windows of one job, fed to a watch for each measure and segment.
//!
//! ```text
//! measures('job', window, by…) in order of time ──▶ rows ──▶ Watches::judge, window by window ──▶ noticed
//! ```
//!
//! [`Watches`] is all that is remembered between windows, and is pure: rows in, what was noticed out.

pub(crate) mod range;
pub mod rows;

use std::collections::{BTreeMap, BTreeSet};

use farol_jobs::Segment;
use serde::{Deserialize, Serialize};

use crate::definition::{Method, Missing, Unit, Watched};
use crate::drift::{Counts, Drifts};
use crate::versions::Versions;
use farol_stats::watch::rate::RateWatch;
use farol_stats::watch::series::SeriesWatch;
use farol_stats::watch::volume::Volume;
use farol_stats::watch::{Change, Span, Terms};
use rows::Row;

/// Series that a unit watches at the most.
pub const SERIES_MAX: usize = 50_000;

/// Evidence against no change, which is on average below the number of observations while there is none.
const E_VALUE: &str = "e_value";

/// A series: a measure, by its place in the unit, and a segment.
pub type Key = (usize, Segment);

/// One watch of either kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Watch {
    Rate(RateWatch),
    Series(SeriesWatch),
}

/// The watches of a unit, and how many observations they get.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Watches {
    by_series: BTreeMap<Key, Watch>,
    /// The start of the window in which the incident of a series was noticed.
    opened: BTreeMap<Key, i64>,
    rates: Volume,
    series: Volume,
    /// Whether there were more series than are watched.
    overflowed: bool,
    /// Of columns of events, what they were like before.
    drifts: Drifts,
    /// Of versions, what is known of each.
    versions: Versions,
}

/// Something that was noticed at a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Noticed {
    /// The series.
    pub key: Key,
    /// The window at whose end it was noticed.
    pub window: Span,
    /// The start of the window at whose end the incident was noticed: its own, or that of its opening.
    pub opened_us: i64,
    /// What it was.
    pub change: Change,
    /// What was compared.
    pub statistic: &'static str,
    /// The probability of such a statistic without a change, adjusted, where the method gives one.
    pub p_value: Option<f64>,
    /// Of categories, those whose shares changed most.
    pub moved: Vec<Moved>,
    /// Of a version, the one that it was compared with.
    pub compared_with: Option<String>,
}

/// A category whose share changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The category.
    pub value: String,
    /// Its share in the window.
    pub observed: f64,
    /// Its share in the reference.
    pub reference: f64,
    /// Its part of all changes of shares.
    pub share: f64,
}

impl Watches {
    /// Judges one window: its rows, in any order. What was noticed is in the order of series.
    pub fn judge(&mut self, unit: &Unit, window: Span, rows: &[Row]) -> Vec<Noticed> {
        if unit.compare.is_some() {
            return self.versions.judge(unit, window, rows);
        }
        let mut noticed = Vec::new();
        let terms = self.terms(unit, window);
        let mut seen = BTreeSet::new();
        for row in rows {
            for (place, watched) in unit.measures.iter().enumerate() {
                let key = (place, row.segment.clone());
                let Some(change) = self.take(unit, watched, &key, window, row, terms) else {
                    continue;
                };
                noticed.push((key, change));
            }
            if unit.missing == Missing::Zero {
                seen.insert(&row.segment);
            }
        }
        if unit.missing == Missing::Zero {
            noticed.extend(self.silent(window, &seen, terms));
        }
        noticed.sort_by(|(a, _), (b, _)| a.cmp(b));
        let told = |(key, change)| self.told(key, window, change);
        noticed.into_iter().map(told).collect()
    }

    fn told(&mut self, key: Key, window: Span, change: Change) -> Noticed {
        let opened_us = match change {
            Change::Opened(_) => {
                self.opened.insert(key.clone(), window.start_us);
                window.start_us
            }
            Change::Ended { .. } => self.opened.remove(&key).unwrap_or(window.start_us),
        };
        Noticed {
            key,
            window,
            opened_us,
            change,
            statistic: E_VALUE,
            p_value: None,
            moved: Vec::new(),
            compared_with: None,
        }
    }

    /// What rates and series are held to in a window, by the observations before it.
    fn terms(&self, unit: &Unit, window: Span) -> [Terms; 2] {
        let is_rate = |watched: &&Watched| matches!(watched.method, Method::Rate { .. });
        let rates = unit.measures.iter().filter(is_rate).count() as f64;
        let share = rates / unit.measures.len().max(1) as f64;
        let of = |volume: &Volume, share: f64, least_effect: f64| Terms {
            threshold: volume.threshold(window.start_us, unit.false_alarms_per_week * share),
            warm_up_us: unit.warm_up_us,
            least_effect,
            local: unit.calendar.local(window.start_us),
        };
        [
            of(&self.rates, share, unit.least_effect_of_rates),
            of(&self.series, 1.0 - share, unit.least_effect_of_series),
        ]
    }

    fn take(
        &mut self,
        unit: &Unit,
        watched: &Watched,
        key: &Key,
        window: Span,
        row: &Row,
        [rate_terms, series_terms]: [Terms; 2],
    ) -> Option<Change> {
        if !self.by_series.contains_key(key) {
            if self.by_series.len() >= SERIES_MAX {
                tell_of_too_many(unit, &mut self.overflowed);
                return None;
            }
            let watch = match watched.method {
                Method::Rate { .. } => Watch::Rate(RateWatch::new(watched.direction)),
                _ => Watch::Series(SeriesWatch::new(watched.direction)),
            };
            self.by_series.insert(key.clone(), watch);
        }
        let values = row.values.get(key.0)?;
        match self.by_series.get_mut(key)? {
            Watch::Rate(watch) => {
                let (ones, trials) = (values.0?, values.1?);
                let (ones, trials) = (whole(ones)?, whole(trials)?);
                let change = watch.observe(window, ones, trials, rate_terms);
                self.rates.add(window.start_us, watch.observations(trials));
                change
            }
            Watch::Series(watch) => {
                let value = values.0?;
                let change = watch.observe(window, value, series_terms);
                self.series.add(window.start_us, 1);
                change
            }
        }
    }

    /// The series that have no row in a window in which nothing is zero.
    fn silent(
        &mut self,
        window: Span,
        seen: &BTreeSet<&Segment>,
        [_, terms]: [Terms; 2],
    ) -> Vec<(Key, Change)> {
        let mut found = Vec::new();
        for (key, watch) in &mut self.by_series {
            if let (false, Watch::Series(watch)) = (seen.contains(&key.1), watch) {
                let change = watch.observe(window, 0.0, terms);
                self.series.add(window.start_us, 1);
                found.extend(change.map(|change| (key.clone(), change)));
            }
        }
        found
    }

    /// How many series are watched.
    pub fn series(&self) -> usize {
        self.by_series.len() + self.drifts.series() + self.versions.series()
    }

    /// Judges one window of columns of events, by the counts of their values.
    pub fn judge_columns(
        &mut self,
        unit: &Unit,
        window: Span,
        counts: BTreeMap<Key, Counts>,
    ) -> Vec<Noticed> {
        self.drifts.judge(unit, window, counts)
    }
}

/// Says, once for a unit, that not all of its series are watched.
pub(crate) fn tell_of_too_many(unit: &Unit, overflowed: &mut bool) {
    if !std::mem::replace(overflowed, true) {
        tracing::warn!(
            unit = unit.app_id(),
            "more than {SERIES_MAX} series; those that came last are not watched"
        );
    }
}

/// A count that came as a number.
fn whole(value: f64) -> Option<u64> {
    (value.is_finite() && value >= 0.0).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{Calendar, Reference};
    use farol_stats::watch::Direction;

    const MINUTE_US: i64 = 60_000_000;

    fn unit(missing: Missing) -> Unit {
        Unit {
            detector: "d".to_owned(),
            job: "j".to_owned(),
            reads: "traces".to_owned(),
            by: vec!["service".to_owned()],
            others: Vec::new(),
            compare: None,
            window_us: MINUTE_US,
            settle_us: 0,
            warm_up_us: 1_440 * MINUTE_US,
            least_effect_of_rates: 0.1,
            least_effect_of_series: 0.2,
            missing,
            calendar: Calendar::default(),
            reference: Reference::SameHour,
            measures: vec![Watched {
                measure: "requests".to_owned(),
                direction: Direction::Both,
                method: Method::Series,
            }],
            false_alarms_per_week: 0.5,
        }
    }

    fn run(missing: Missing) -> (Watches, Vec<Noticed>) {
        let unit = unit(missing);
        let mut watches = Watches::default();
        let mut noticed = Vec::new();
        for place in 0..6_000_i64 {
            let window = Span {
                start_us: place * MINUTE_US,
                end_us: (place + 1) * MINUTE_US,
            };
            let rows: Vec<_> = ["a", "b"]
                .into_iter()
                .filter(|service| *service == "b" || !(4_000..4_060).contains(&place))
                .map(|service| Row {
                    segment: Segment(vec![Some(service.to_owned())]),
                    values: vec![(Some(100.0 + (place * 7_919 % 31) as f64), None)],
                })
                .collect();
            noticed.extend(watches.judge(&unit, window, &rows));
        }
        (watches, noticed)
    }

    #[test]
    fn silence_is_an_incident_where_it_is_zero_and_nothing_where_it_is_not_known() {
        let (watches, noticed) = run(Missing::Zero);
        assert_eq!(watches.series(), 2);
        let [opened, ended] = noticed.as_slice() else {
            panic!("{noticed:?}");
        };
        assert_eq!(opened.key.1, Segment(vec![Some("a".to_owned())]));
        assert!((4_001..4_015).contains(&(opened.window.start_us / MINUTE_US)));
        assert_eq!(ended.opened_us, opened.window.start_us);
        assert!(run(Missing::Skip).1.is_empty());
    }

    #[test]
    fn state_that_was_read_back_goes_on_as_it_was() {
        let (watches, _) = run(Missing::Zero);
        let bytes = postcard::to_stdvec(&watches).unwrap();
        let back: Watches = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(postcard::to_stdvec(&back).unwrap(), bytes);
    }
}
