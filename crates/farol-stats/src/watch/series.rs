//! Watching any measure: a value for each window, or none.
//!
//! ```text
//! value ──asinh of its multiples of the median──▶ seasonal baseline ──▶ residual in scales, worse upwards
//!                                                                        │
//!         ended ◀── three windows as usual ◀── open ◀── far enough? ◀── conformal detector ≥ threshold
//! ```
//!
//! On the asinh scale large values count by their ratio, so that a night at half the latency is as far from the day
//! as twice of it, and zero and negative values have a place too. The least change that is worth an alarm is given on that
//! scale: 0.2 is about a fifth of the value.

use std::collections::VecDeque;

use crate::sequential::conformal::ConformalDetector;
use crate::series::seasonal::SeasonalBaseline;
use serde::{Deserialize, Serialize};

use super::{ADOPTED_AFTER_US, Change, Direction, Evidence, LocalTime, Span, Terms};

/// Values whose median gives the scale.
const SCALE_VALUES: usize = 61;
/// Windows that are remembered, to date a change and to say how large it is.
const RECENT_MAX: usize = 40;
const SECOND_US: i64 = 1_000_000;
/// Windows within which a change must be believed. What adds up more slowly is hardly told from a day that is a little
/// unlike the last one; hours are compared with those of other days by drift.
const SUDDEN_WINDOWS: usize = 30;
/// How common a score must be to be as usual, and for how many windows, for an incident to be over.
/// Parts of a day that have a spread of their own, values before it is known, how fast it follows, and how many times of
/// itself teach it at the most.
const SPREADS: usize = 24;
const SPREAD_VALUES_MIN: u16 = 20;
const SPREAD_RATE: f64 = 0.01;
const SPREAD_CUT: f64 = 5.0;
const DAY_SECONDS: i64 = 86_400;
const USUAL_P: f64 = 0.1;
const USUAL_WINDOWS: u8 = 3;
const EFFECT_Z: f64 = 1.96;

/// How far residuals go at each time of day: few requests at night make for wilder windows than many at noon, and what is
/// rare by the one is common by the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Spread {
    mean: Vec<f32>,
    count: Vec<u16>,
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            mean: vec![0.0; SPREADS],
            count: vec![0; SPREADS],
        }
    }
}

impl Spread {
    /// A residual over the mean absolute one of its time of day; `None` while there are few. Then learns it, but for how far
    /// it is out, unless it is suspect.
    fn scaled(&mut self, seconds: i64, residual: f64, is_suspect: bool) -> Option<f64> {
        let place = (seconds.rem_euclid(DAY_SECONDS) * SPREADS as i64 / DAY_SECONDS) as usize;
        let (mean, count) = (self.mean.get_mut(place)?, self.count.get_mut(place)?);
        let before = f64::from(*mean);
        let is_known = *count >= SPREAD_VALUES_MIN;
        if !is_suspect {
            *count = count.saturating_add(1);
            let rate = (1.0 / f64::from(*count)).max(SPREAD_RATE);
            let size = if is_known {
                residual.abs().min(SPREAD_CUT * before)
            } else {
                residual.abs()
            };
            *mean += (rate * (size - before)) as f32;
        }
        is_known.then(|| residual / before.max(1e-9))
    }
}

/// One window as it was judged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Judged {
    /// Seconds since the first window.
    after_seconds: u32,
    value: f32,
    expected: f32,
    residual: f32,
}

/// An incident under way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Open {
    opened_us: i64,
    usual: u8,
    /// The start of the windows in a row that were as usual.
    usual_since_us: i64,
}

/// The watch of one measure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SeriesWatch {
    direction: Direction,
    first_us: Option<i64>,
    /// The first values, until there are enough for the scale.
    first_values: Vec<f32>,
    scale: f64,
    seasonal: SeasonalBaseline,
    /// The day of the first holiday, by the local clock, since 1970.
    first_holiday: Option<i64>,
    spread: Spread,
    detector: ConformalDetector,
    recent: VecDeque<Judged>,
    open: Option<Open>,
}

impl SeriesWatch {
    /// A watch that has seen nothing.
    pub fn new(direction: Direction) -> Self {
        Self {
            direction,
            first_us: None,
            first_values: Vec::new(),
            scale: 0.0,
            seasonal: SeasonalBaseline::default(),
            first_holiday: None,
            spread: Spread::default(),
            detector: ConformalDetector::default(),
            recent: VecDeque::new(),
            open: None,
        }
    }

    /// Takes a window's value; one that is not finite says nothing.
    pub fn observe(&mut self, span: Span, value: f64, terms: Terms) -> Option<Change> {
        if !value.is_finite() {
            return None;
        }
        let first_us = *self.first_us.get_or_insert(span.start_us);
        if self.scale == 0.0 {
            self.learn_scale(value);
            return None;
        }
        // Nothing is learned from what may be an incident: it would become what is usual before it is over.
        let is_unknown = self.open.is_none() && self.is_first_holiday(span, terms.local);
        let is_suspect =
            self.open.is_some() || (self.detector.value() >= terms.threshold.sqrt() && !is_unknown);
        let score = self.score(span, value, is_suspect, terms.local)?;
        if let Some(open) = self.open {
            let p_value = self.detector.p_value(score)?;
            return self.end(open, span, p_value);
        }
        if is_unknown {
            return None;
        }
        if span.end_us - first_us < terms.warm_up_us {
            self.detector.remember(score);
            return None;
        }
        let evidence = self.detector.observe(score)?;
        if evidence < terms.threshold {
            return None;
        }
        self.alarm(span, evidence, terms)
    }

    /// Whether the day is the first holiday of the series: what is usual on one is learned from it.
    fn is_first_holiday(&mut self, span: Span, local: LocalTime) -> bool {
        let day = (span.start_us + local.utc_offset_us).div_euclid(1_000_000 * DAY_SECONDS);
        local.is_holiday && *self.first_holiday.get_or_insert(day) == day
    }

    fn learn_scale(&mut self, value: f64) {
        self.first_values.push(value.abs() as f32);
        if self.first_values.len() < SCALE_VALUES {
            return;
        }
        self.first_values.sort_by(f32::total_cmp);
        let median = f64::from(self.first_values[SCALE_VALUES / 2]);
        let largest = self.first_values.last().copied().map_or(0.0, f64::from);
        self.scale = if median > 0.0 {
            median
        } else if largest > 0.0 {
            largest
        } else {
            1.0
        };
        self.first_values = Vec::new();
    }

    /// How far the value is from what the clock makes usual, in scales, with what is looked for upwards.
    fn score(&mut self, span: Span, value: f64, is_suspect: bool, local: LocalTime) -> Option<f64> {
        let transformed = (value / self.scale).asinh();
        let seconds = (span.start_us + local.utc_offset_us).div_euclid(1_000_000);
        let holiday = local.is_holiday;
        let known = if is_suspect {
            self.seasonal.judge_on(seconds, transformed, holiday)
        } else {
            self.seasonal.score_on(seconds, transformed, holiday)
        };
        let residual = self.seasonal.residual();
        let score = self.spread.scaled(seconds, residual, is_suspect);
        let expected = (transformed - residual).sinh() * self.scale;
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        } else if self.recent.is_empty() {
            self.recent.reserve_exact(RECENT_MAX);
        }
        let after_us = span.start_us - self.first_us.unwrap_or(span.start_us);
        self.recent.push_back(Judged {
            after_seconds: (after_us / SECOND_US) as u32,
            value: value as f32,
            expected: expected as f32,
            residual: residual as f32,
        });
        // Until the time of day comes again there is no score.
        let (Some(_), Some(score)) = (known, score) else {
            return None;
        };
        Some(match self.direction {
            Direction::Increase => score,
            Direction::Decrease => -score,
            Direction::Both => score.abs(),
        })
    }

    fn alarm(&mut self, span: Span, evidence: f64, terms: Terms) -> Option<Change> {
        let windows = (self.detector.likely_change() as usize).max(1);
        if windows > SUDDEN_WINDOWS.min(self.recent.len()) {
            self.detector.reset();
            return None;
        }
        let since = self.recent.len() - windows;
        let judged: Vec<_> = self.recent.range(since..).copied().collect();
        let mean = |of: &dyn Fn(&Judged) -> f32| {
            judged.iter().map(|one| f64::from(of(one))).sum::<f64>() / windows as f64
        };
        let away = mean(&|one| one.residual);
        let away = match self.direction {
            Direction::Increase => away,
            Direction::Decrease => -away,
            Direction::Both => away.abs(),
        };
        if away < terms.least_effect {
            return None;
        }
        let (observed, reference) = (mean(&|one| one.value), mean(&|one| one.expected));
        let effect = observed - reference;
        let half = self.half_interval(since, windows);
        self.open = Some(Open {
            opened_us: span.start_us,
            usual: 0,
            usual_since_us: 0,
        });
        let first_us = self.first_us?;
        let since_us = first_us + i64::from(judged.first()?.after_seconds) * SECOND_US;
        Some(Change::Opened(Evidence {
            since_us,
            value: evidence,
            threshold: terms.threshold,
            observed,
            reference,
            effect,
            effect_low: effect - half,
            effect_high: effect + half,
            reference_span: Span {
                start_us: first_us,
                end_us: since_us,
            },
            observations: windows as u64,
        }))
    }

    /// Half the interval of a mean over so many windows, by how much the windows before the change were off.
    fn half_interval(&self, since: usize, windows: usize) -> f64 {
        let before = self.recent.range(..since);
        let count = before.len();
        if count < 2 {
            return f64::NAN;
        }
        let squares: f64 = before
            .map(|one| f64::from(one.value - one.expected).powi(2))
            .sum();
        EFFECT_Z * (squares / count as f64).sqrt() / (windows as f64).sqrt()
    }

    fn end(&mut self, mut open: Open, span: Span, p_value: f64) -> Option<Change> {
        if span.end_us - open.opened_us >= ADOPTED_AFTER_US {
            *self = Self::new(self.direction);
            return Some(Change::Ended {
                ended_us: span.end_us,
                adopted: true,
            });
        }
        if p_value >= USUAL_P {
            if open.usual == 0 {
                open.usual_since_us = span.start_us;
            }
            open.usual += 1;
        } else {
            open.usual = 0;
        }
        self.open = Some(open);
        if open.usual < USUAL_WINDOWS {
            return None;
        }
        self.open = None;
        self.detector.reset();
        Some(Change::Ended {
            ended_us: open.usual_since_us,
            adopted: false,
        })
    }

    /// Whether an incident is open.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

#[cfg(test)]
mod tests;
