//! Versions: is the new version of a prompt, a model or anything else worse than the one that was there before?
//!
//! ```text
//! measures by segment and version ──▶ a version that is new ──▶ the one that was there most in the week before: its reference
//!                                            │ each of its windows, paired with the reference's:
//!                                            │ the same window, else the same time of the last day of the same kind
//!                                            ▼
//!                        differences ──▶ confidence sequence ──▶ opened, ended
//! ```
//!
//! Pairs compare like with like: a version that gets a part of the traffic is compared with the other part of the same
//! moments, and one that replaced another at once with the same hours of earlier days. Days differ without any new version, so in
//! the second case the change must also be half as large again as any that the reference itself had between those hours
//! of two days.
//!
//! The confidence sequence ([`farol_stats::experiment::mean_sequence`]) holds at all times at once, so it may be looked at after
//! every window. Its error is the unit's budget of a week, shared by the comparisons that began within a week.

mod pairs;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use farol_jobs::Segment;
use farol_stats::watch::{ADOPTED_AFTER_US, Change, Span};
use serde::{Deserialize, Serialize};

use crate::definition::{Calendar, Unit, Watched};
use crate::unit::rows::Row;
use crate::unit::{Key, Moved, Noticed, SERIES_MAX, tell_of_too_many};
use pairs::{Comparison, DAY_US, Windows};

/// Windows that a version must have had in the week before another came, to be what that one is compared with.
const REFERENCE_WINDOWS_MIN: usize = 16;
/// Versions of a series that are remembered; of more, the one that was seen last the longest ago is forgotten.
const VERSIONS_MAX: usize = 16;
/// How long a new version is compared: after that it is as usual as the others.
const COMPARED_FOR_US: i64 = 14 * DAY_US;
/// A version without rows for so long is not in use any more.
const GONE_AFTER_US: i64 = DAY_US;
/// The time over which the budget is spent.
const WEEK_US: i64 = 7 * DAY_US;

/// The mean of the differences of pairs of windows.
const STATISTIC: &str = "mean_difference_of_versions";

/// What is remembered between windows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Versions {
    series: BTreeMap<Key, BTreeMap<String, Version>>,
    /// The first window with rows: what was there in the time of learning is not new.
    first_us: Option<i64>,
    /// When the comparisons of the last week began.
    began: VecDeque<i64>,
    /// Whether there were more series than are compared.
    overflowed: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Version {
    first_us: i64,
    last_us: i64,
    windows: Windows,
    comparison: Option<Comparison>,
}

impl Versions {
    /// Judges one window: its rows, whose last segment is the version. What was noticed is in the order of series.
    pub fn judge(&mut self, unit: &Unit, window: Span, rows: &[Row]) -> Vec<Noticed> {
        let now_us = window.start_us;
        if rows.is_empty() && self.first_us.is_none() {
            return Vec::new();
        }
        let first_us = *self.first_us.get_or_insert(now_us);
        let is_learning = now_us - first_us < unit.warm_up_us;
        let mut began = 0;
        let mut values = BTreeMap::new();
        for row in rows {
            for place in 0..unit.measures.len() {
                let known = row.values.get(place).and_then(|value| value.0);
                let Some(((segment, version), value)) = split(&row.segment).zip(known) else {
                    continue;
                };
                let key = (place, segment);
                if self.series.len() >= SERIES_MAX && !self.series.contains_key(&key) {
                    tell_of_too_many(unit, &mut self.overflowed);
                    continue;
                }
                let series = self.series.entry(key.clone()).or_default();
                began += usize::from(take(series, &version, now_us, value, is_learning));
                values.insert((key, version), value);
            }
        }
        let alpha = self.level(unit, now_us, began);
        let mut noticed = Vec::new();
        for (key, series) in &mut self.series {
            let Some(watched) = unit.measures.get(key.0) else {
                continue;
            };
            let least = unit.least_effect_of(&watched.method);
            let held = Held {
                watched,
                calendar: &unit.calendar,
                window,
                alpha,
                least,
            };
            let names: Vec<String> = series
                .iter()
                .filter(|(_, version)| version.comparison.is_some())
                .map(|(name, _)| name.clone())
                .collect();
            for name in names {
                let value = values.get(&(key.clone(), name.clone())).copied();
                noticed.extend(compare(series, key, &name, value, &held));
            }
        }
        noticed
    }

    /// The error of a comparison that begins now, one of `began`: all those of a week share the week's budget.
    fn level(&mut self, unit: &Unit, now_us: i64, began: usize) -> f64 {
        while self.began.front().is_some_and(|us| now_us - us >= WEEK_US) {
            self.began.pop_front();
        }
        self.began.extend(std::iter::repeat_n(now_us, began));
        let level = unit.false_alarms_per_week / self.began.len().max(1) as f64;
        level.min(0.5)
    }

    /// How many series are watched: measures, segments and versions.
    pub fn series(&self) -> usize {
        self.series.values().map(BTreeMap::len).sum()
    }
}

/// What a comparison is held to in a window.
struct Held<'a> {
    watched: &'a Watched,
    calendar: &'a Calendar,
    window: Span,
    alpha: f64,
    least: f64,
}

/// A segment without its last part, and that part, which is the version; `None` where a row has no version.
fn split(segment: &Segment) -> Option<(Segment, String)> {
    let (version, others) = segment.0.split_last()?;
    Some((Segment(others.to_vec()), version.clone()?))
}

/// Takes a version's value of a window; whether a comparison of it begins.
fn take(
    series: &mut BTreeMap<String, Version>,
    name: &str,
    now_us: i64,
    value: f64,
    is_learning: bool,
) -> bool {
    let mut begins = false;
    if !series.contains_key(name) {
        let reference = if is_learning {
            None
        } else {
            reference(series, now_us)
        };
        if series.len() >= VERSIONS_MAX {
            let oldest = series.iter().min_by_key(|(_, version)| version.last_us);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                series.remove(&name);
            }
        }
        begins = reference.is_some();
        let version = Version {
            first_us: now_us,
            last_us: now_us,
            windows: Windows::default(),
            comparison: reference.map(Comparison::with),
        };
        series.insert(name.to_owned(), version);
    }
    if let Some(version) = series.get_mut(name) {
        version.last_us = now_us;
        version.windows.push(now_us, value);
    }
    begins
}

/// The version that was there in most windows of the week before; of two, the one that was seen last.
fn reference(series: &BTreeMap<String, Version>, now_us: i64) -> Option<String> {
    let seen = |version: &Version| version.windows.since(now_us - WEEK_US);
    series
        .iter()
        .filter(|(_, version)| seen(version) >= REFERENCE_WINDOWS_MIN)
        .max_by_key(|(name, version)| (seen(version), version.last_us, (*name).clone()))
        .map(|(name, _)| name.clone())
}

/// One step of one version's comparison.
fn compare(
    series: &mut BTreeMap<String, Version>,
    key: &Key,
    name: &str,
    value: Option<f64>,
    held: &Held<'_>,
) -> Option<Noticed> {
    let Held {
        watched,
        calendar,
        window,
        alpha,
        least,
    } = *held;
    let version = series.get_mut(name)?;
    let (first_us, last_us) = (version.first_us, version.last_us);
    let mut comparison = version.comparison.take()?;
    comparison.settle_level(alpha);
    if let (Some(value), Some(reference)) = (value, series.get(&comparison.reference)) {
        comparison.pair(
            watched,
            calendar,
            &reference.windows,
            window.start_us,
            value,
        );
    }
    let is_gone = window.start_us - last_us >= GONE_AFTER_US;
    let is_old = window.start_us - first_us >= COMPARED_FOR_US;
    let (opened_us, change) = match comparison.opened_us {
        None if is_gone || is_old => return None,
        None => {
            let found = comparison.verdict(watched, window, least);
            let Some(evidence) = found else {
                series.get_mut(name)?.comparison = Some(comparison);
                return None;
            };
            comparison.opened_us = Some(window.start_us);
            (window.start_us, Change::Opened(evidence))
        }
        Some(opened_us) => {
            // One that was taken back is not what there is now, however long ago it was found.
            let is_in_use = last_us == window.start_us;
            let adopted = is_in_use && window.end_us - opened_us > ADOPTED_AFTER_US;
            if !(is_gone || adopted || comparison.is_over(least)) {
                series.get_mut(name)?.comparison = Some(comparison);
                return None;
            }
            let ended_us = if is_gone { last_us } else { window.end_us };
            (opened_us, Change::Ended { ended_us, adopted })
        }
    };
    let mut segment = key.1.clone();
    segment.0.push(Some(name.to_owned()));
    let (observed, reference) = comparison.means();
    let noticed = Noticed {
        key: (key.0, segment),
        window,
        opened_us,
        change,
        statistic: STATISTIC,
        p_value: None,
        moved: vec![Moved {
            value: name.to_owned(),
            observed,
            reference,
            share: 1.0,
        }],
        compared_with: Some(comparison.reference.clone()),
    };
    // One that is over is not begun again; one that is found goes on until it is over.
    if matches!(noticed.change, Change::Opened(_)) {
        series.get_mut(name)?.comparison = Some(comparison);
    }
    Some(noticed)
}
