//! One new version against its reference: pairs of windows, and what they come to. Pure.

use std::collections::VecDeque;

use farol_stats::experiment::arm::Arm;
use farol_stats::experiment::mean_sequence::mean_confidence_interval;
use farol_stats::watch::{Direction, Evidence, Span};
use serde::{Deserialize, Serialize};

use crate::definition::{Calendar, Method, Watched};

pub(super) const DAY_US: i64 = 86_400_000_000;
/// How many days back a window's counterpart is looked for.
const DAYS_BACK: i64 = 7;
/// Pairs before anything is said: the sequence is asymptotic.
const PAIRS_MIN: u64 = 16;
/// The number of pairs at which the sequence is narrowest.
const TUNED_FOR: u64 = 64;
/// How many times the reference's own changes from day to day a change must be, where versions did not run side by side.
const BEYOND_DAYS: f64 = 1.5;
/// The error of the interval that people are told.
const TOLD_ALPHA: f64 = 0.05;

/// The values of windows of the last days, in order of time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Windows(VecDeque<(i64, f64)>);

impl Windows {
    pub fn push(&mut self, window_us: i64, value: f64) {
        let too_old = |us: i64| window_us - us > (DAYS_BACK + 1) * DAY_US;
        while self.0.front().is_some_and(|(us, _)| too_old(*us)) {
            self.0.pop_front();
        }
        self.0.push_back((window_us, value));
    }

    /// How many there are from a time on.
    pub fn since(&self, us: i64) -> usize {
        self.0.len() - self.0.partition_point(|(at, _)| *at < us)
    }

    fn at(&self, us: i64) -> Option<f64> {
        let place = self.0.binary_search_by_key(&us, |(at, _)| *at).ok()?;
        self.0.get(place).map(|(_, value)| *value)
    }

    /// The value at this time of the day, on earlier days of the same kind, the last first.
    fn on_earlier_days<'a>(
        &'a self,
        calendar: &'a Calendar,
        us: i64,
    ) -> impl Iterator<Item = f64> + 'a {
        let is_day_off = calendar.is_day_off(us);
        (1..=DAYS_BACK + 1)
            .map(move |days| calendar.days_before(us, days))
            .filter(move |at| calendar.is_day_off(*at) == is_day_off)
            .filter_map(|at| self.at(at))
    }
}

/// Count, mean and sum of squared deviations of values that come one by one.
///
/// Source: B. P. Welford, "Note on a method for calculating corrected sums of squares and products", Technometrics 4 (1962).
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Running {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Running {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    fn arm(&self) -> Option<Arm> {
        (self.count >= 2).then(|| Arm {
            count: self.count,
            mean: self.mean,
            variance: self.squares / (self.count - 1) as f64,
        })
    }
}

/// A version against its reference, so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Comparison {
    /// The version that it is compared with.
    pub reference: String,
    /// The window at which it was found to be different.
    pub opened_us: Option<i64>,
    /// The error of the sequence; set when the comparison begins.
    alpha: Option<f64>,
    /// Differences on the scale of the least effect.
    scaled: Running,
    /// Differences as they are.
    plain: Running,
    observed: Running,
    /// Pairs of the same window.
    side_by_side: u64,
    /// The reference against itself, a day before: the nearest such day, and the one before that.
    own: [Running; 2],
    span: Option<(i64, i64)>,
}

impl Comparison {
    pub fn with(reference: String) -> Self {
        Self {
            reference,
            opened_us: None,
            alpha: None,
            scaled: Running::default(),
            plain: Running::default(),
            observed: Running::default(),
            side_by_side: 0,
            own: [Running::default(); 2],
            span: None,
        }
    }

    /// Fixes the error at the first window.
    pub fn settle_level(&mut self, alpha: f64) {
        self.alpha.get_or_insert(alpha);
    }

    /// Takes a window of the version, where the reference has a counterpart.
    pub fn pair(
        &mut self,
        watched: &Watched,
        calendar: &Calendar,
        reference: &Windows,
        window_us: i64,
        value: f64,
    ) {
        let same = reference.at(window_us);
        let mut earlier = reference.on_earlier_days(calendar, window_us);
        let Some(counterpart) = same.or_else(|| earlier.next()) else {
            return;
        };
        if same.is_some() {
            self.side_by_side += 1;
        }
        let mut newer = counterpart;
        for (own, older) in self.own.iter_mut().zip(earlier) {
            own.add(difference(&watched.method, newer, older));
            newer = older;
        }
        self.scaled
            .add(difference(&watched.method, value, counterpart));
        self.plain.add(value - counterpart);
        self.observed.add(value);
        let (first_us, _) = self.span.unwrap_or((window_us, window_us));
        self.span = Some((first_us, window_us));
    }

    /// The change, where there is one that is sure, large enough, and of the direction that is looked for.
    pub fn verdict(&self, watched: &Watched, window: Span, least: f64) -> Option<Evidence> {
        if self.scaled.count < PAIRS_MIN {
            return None;
        }
        let found = mean_confidence_interval(&self.scaled.arm()?, TUNED_FOR, self.alpha?)?;
        let (rises, falls) = (found.lower > 0.0, found.upper < 0.0);
        let is_looked_for = match watched.direction {
            Direction::Increase => rises,
            Direction::Decrease => falls,
            Direction::Both => rises || falls,
        };
        let needed = self.needed(least)?;
        if !is_looked_for || self.scaled.mean.abs() < needed {
            return None;
        }
        let told = mean_confidence_interval(&self.plain.arm()?, TUNED_FOR, TOLD_ALPHA)?;
        let (observed, reference) = self.means();
        let (first_us, _) = self.span?;
        Some(Evidence {
            since_us: first_us,
            value: self.scaled.mean,
            threshold: needed,
            observed,
            reference,
            effect: self.plain.mean,
            effect_low: told.lower,
            effect_high: told.upper,
            reference_span: Span {
                start_us: if self.is_side_by_side() {
                    first_us
                } else {
                    first_us - DAYS_BACK * DAY_US
                },
                end_us: window.end_us,
            },
            observations: self.scaled.count,
        })
    }

    /// Whether a change that was found is one no longer.
    pub fn is_over(&self, least: f64) -> bool {
        self.scaled.mean.abs() < least / 2.0
    }

    /// The mean of the version's windows, and of their counterparts.
    pub fn means(&self) -> (f64, f64) {
        (self.observed.mean, self.observed.mean - self.plain.mean)
    }

    fn is_side_by_side(&self) -> bool {
        2 * self.side_by_side >= self.scaled.count
    }

    /// The least change that is found; `None` where it is not known how days differ by themselves.
    fn needed(&self, least: f64) -> Option<f64> {
        if self.is_side_by_side() {
            return Some(least);
        }
        let known = self.own.iter().filter(|own| 2 * own.count >= PAIRS_MIN);
        let largest = known.map(|own| own.mean.abs()).reduce(f64::max)?;
        Some(least.max(BEYOND_DAYS * largest))
    }
}

/// How far a value is above another, on the scale of least effects: of shares Cohen's h, of others relative to the mean of both,
/// which is between -2 and 2.
fn difference(method: &Method, value: f64, counterpart: f64) -> f64 {
    if let Method::Comparison { of_shares: true } = method {
        let angle = |share: f64| 2.0 * share.clamp(0.0, 1.0).sqrt().asin();
        return angle(value) - angle(counterpart);
    }
    let scale = f64::midpoint(value.abs(), counterpart.abs());
    if scale > 0.0 {
        (value - counterpart) / scale
    } else {
        0.0
    }
}
