//! Drift: has what comes in, or what it costs, another distribution than at this hour of other days?
//!
//! ```text
//! rows of a window ──counts of each value, or of each bin of 2 %──▶ Counts ──┬──▶ compare: effect, p ──▶ Benjamini–Hochberg
//! the same hour of other days: its reference ◀──────────── History ◀─────────┘          over columns and segments ──▶ change
//! ```
//!
//! A column is compared with its reference: the same hour of the last two weeks' days of its kind, of all of them, or of a time
//! that does not move; all of these days together. Traffic of different days differs without anything being wrong, so beside significance and an
//! effect worth having, the effect must be half as large again as any that one of those days has against the others. An
//! incident that lasts becomes what is usual, but for a reference that does not move: there it is open until the column is
//! back.

mod compare;
mod history;
mod interval;
pub mod rows;

use std::collections::BTreeMap;

use farol_jobs::Segment;
use farol_stats::drift::decision::benjamini_hochberg;
use farol_stats::watch::{ADOPTED_AFTER_US, Change, Evidence, Span};
use serde::{Deserialize, Serialize};

use crate::definition::{Method, Reference, Unit};
use crate::unit::{Key, Noticed};
use compare::{Compared, compare};
use history::History;

/// How often each value, or the middle of each bin of numbers, was there. Numbers are kept by the bits that sort like them.
pub type Counts = BTreeMap<String, u64>;

/// Windows of a week, over which the budget of false alarms is spent, are as long as the unit's own.
const WEEK_US: i64 = 7 * 86_400_000_000;

/// Of how many draws beyond what the level needs a p-value is made.
const ROUNDS_PER_LEVEL: f64 = 4.0;
const ROUNDS_MAX: u32 = 20_000;

/// What is remembered of each series between windows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Drifts {
    series: BTreeMap<Key, Series>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Series {
    history: History,
    opened_us: Option<i64>,
}

impl Drifts {
    /// Judges one window: the counts of each series in it. What was noticed is in the order of series.
    pub fn judge(
        &mut self,
        unit: &Unit,
        window: Span,
        counts: BTreeMap<Key, Counts>,
    ) -> Vec<Noticed> {
        let level = unit.false_alarms_per_week * unit.window_us as f64 / WEEK_US as f64;
        let rounds = (ROUNDS_PER_LEVEL * counts.len() as f64 / level).min(f64::from(ROUNDS_MAX));
        let mut compared = Vec::new();
        for (key, counts) in &counts {
            let Some(watched) = unit.measures.get(key.0) else {
                continue;
            };
            let series = self.series.entry(key.clone()).or_default();
            let references =
                series
                    .history
                    .references(unit.reference, &unit.calendar, window.start_us);
            let least = unit.least_effect_of_rates;
            let is_numbers = watched.method == Method::Numbers;
            let found = compare(is_numbers, &references, counts, least, rounds as u32);
            compared.extend(found.map(|found| (key.clone(), found)));
        }
        let p_values: Vec<f64> = compared.iter().map(|(_, one)| one.p_value).collect();
        let adjusted = benjamini_hochberg(&p_values).unwrap_or_default();
        let mut noticed = Vec::new();
        for ((key, one), adjusted) in compared.iter().zip(adjusted) {
            let is_alarm = adjusted <= level && one.effect >= one.needed;
            noticed.extend(self.decide(unit, key, window, one, adjusted, level, is_alarm));
        }
        for (key, counts) in counts {
            if let Some(series) = self.series.get_mut(&key) {
                // What drifts now is not what is usual.
                let is_usual = series.opened_us.is_none();
                series
                    .history
                    .push(unit.reference, window.start_us, counts, is_usual);
            }
        }
        noticed
    }

    #[expect(clippy::too_many_arguments, reason = "what one comparison is held to")]
    fn decide(
        &mut self,
        unit: &Unit,
        key: &Key,
        window: Span,
        one: &Compared,
        adjusted: f64,
        level: f64,
        is_alarm: bool,
    ) -> Option<Noticed> {
        let series = self.series.get_mut(key)?;
        let may_be_adopted = !matches!(unit.reference, Reference::Pinned(_));
        let (opened_us, change) = match series.opened_us {
            None if is_alarm => {
                series.opened_us = Some(window.start_us);
                (window.start_us, Change::Opened(one.evidence(window, level)))
            }
            Some(opened_us) if may_be_adopted && window.end_us - opened_us > ADOPTED_AFTER_US => {
                *series = Series::default();
                let ended = Change::Ended {
                    ended_us: window.end_us,
                    adopted: true,
                };
                (opened_us, ended)
            }
            Some(opened_us) if one.effect < one.needed / 2.0 => {
                series.opened_us = None;
                let ended = Change::Ended {
                    ended_us: window.start_us,
                    adopted: false,
                };
                (opened_us, ended)
            }
            _ => return None,
        };
        Some(Noticed {
            key: key.clone(),
            window,
            opened_us,
            change,
            statistic: one.statistic,
            p_value: Some(adjusted),
            moved: one.moved.clone(),
            compared_with: None,
        })
    }

    /// How many series are watched.
    pub fn series(&self) -> usize {
        self.series.len()
    }
}

impl Compared {
    fn evidence(&self, window: Span, level: f64) -> Evidence {
        Evidence {
            since_us: window.start_us,
            value: self.value,
            threshold: level,
            observed: self.observed,
            reference: self.reference,
            effect: self.effect,
            effect_low: self.interval.map_or(f64::NAN, |(low, _)| low),
            effect_high: self.interval.map_or(f64::NAN, |(_, high)| high),
            reference_span: self.span,
            observations: self.observations,
        }
    }
}

/// A series by its measure's place and segment, for rows.
pub(crate) fn key(place: usize, segment: Segment) -> Key {
    (place, segment)
}

#[cfg(test)]
mod tests;
