//! Residuals against what is usual at this time of day and on this day of the week.
//!
//! ```text
//!                 ┌── level: slow mean ───────────────┐
//! time ──▶ bin ──▶│   day: 48 half hours ─────────────┼──▶ expected ──▶ residual / scale of the half hour ──▶ score
//!                 └── week: 8 kinds of day × 8 bins ─┘                    │
//!                         ▲ the eighth is a holiday        cut at 4 scales └──▶ learned by all three
//! ```

use serde::{Deserialize, Serialize};

use super::Detector;
use super::scale::RobustScale;

const DAY_SECONDS: i64 = 86_400;
const DAY_BINS: usize = 48;
const WEEK_BINS: usize = 8;
/// Monday to Sunday, and holidays.
const DAY_KINDS: usize = 8;
/// Beyond how many scales a residual teaches the day no more, and the week no more.
const CUT: f64 = 4.0;
const WEEK_CUT: f64 = 20.0;
/// How many values come before the week is learned.
const WEEK_WARM_UP: u32 = 168;
/// The kind of day that a holiday is.
pub const HOLIDAY: usize = 7;

/// The kind of day of a time in seconds since 1970 in the zone that the seasons follow: 0 is Monday, 6 Sunday.
pub fn weekday(time: i64) -> usize {
    // 1970-01-01 was a Thursday.
    (time.div_euclid(DAY_SECONDS) + 3).rem_euclid(7) as usize
}

/// Robust residual against an additive seasonal baseline.
///
/// Assumes that seasons follow the clock of `time`: shift it by the zone's offset if they do not follow UTC. Sudden values
/// are learned only as far as four scales.
///
/// Source: additive exponential smoothing with multiple seasons (J. W. Taylor, "Short-term electricity demand forecasting
/// using double seasonal exponential smoothing", 2003), made robust by cutting residuals (S. Gelper et al., 2010).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SeasonalBaseline {
    level: f64,
    seen: u32,
    day: Box<[f32]>,
    day_scale: Box<[f32]>,
    day_visits: Box<[u8]>,
    week: Box<[f32]>,
    scale: RobustScale,
    last_bin: Option<(i64, usize)>,
    residual: f64,
}

/// Where a time is in the seasons.
struct Place {
    bin: usize,
    week: usize,
    kind: usize,
}

impl Place {
    fn of(time: i64, holiday: bool) -> Self {
        let of_day = time.rem_euclid(DAY_SECONDS) as usize;
        let kind = if holiday { HOLIDAY } else { weekday(time) };
        Self {
            bin: of_day * DAY_BINS / DAY_SECONDS as usize,
            week: kind * WEEK_BINS + of_day * WEEK_BINS / DAY_SECONDS as usize,
            kind,
        }
    }
}

impl Default for SeasonalBaseline {
    fn default() -> Self {
        Self {
            level: 0.0,
            seen: 0,
            day: vec![0.0; DAY_BINS].into(),
            day_scale: vec![0.0; DAY_BINS].into(),
            day_visits: vec![0; DAY_BINS].into(),
            week: vec![0.0; WEEK_BINS * DAY_KINDS].into(),
            scale: RobustScale::new(1000),
            last_bin: None,
            residual: 0.0,
        }
    }
}

impl Detector for SeasonalBaseline {
    fn score(&mut self, time: i64, value: f64) -> Option<f64> {
        self.score_on(time, value, false)
    }
}

impl SeasonalBaseline {
    /// The residual in scales of a value at a time; `None` until the time of day comes a second time. `holiday` says that
    /// the day is to be compared with holidays and not with its weekday.
    pub fn score_on(&mut self, time: i64, value: f64, holiday: bool) -> Option<f64> {
        let Place { bin, week, kind } = Place::of(time, holiday);
        if self.seen == 0 {
            self.level = value;
        }
        let visit = (time.div_euclid(DAY_SECONDS), bin);
        if self.last_bin != Some(visit) {
            self.last_bin = Some(visit);
            self.day_visits[bin] = self.day_visits[bin].saturating_add(1);
        }
        let visits = f64::from(self.day_visits[bin]);
        let (residual, scale) = self.residual_and_scale(bin, week, value);
        self.residual = residual;
        let score = residual.abs() / scale.max(1e-12);
        self.scale.score(residual, self.level);
        self.learn_week(week, kind, residual, scale);
        let cut = if visits > 2.0 {
            CUT * scale
        } else {
            f64::INFINITY
        };
        self.learn_day(bin, visits, residual.clamp(-cut, cut));
        (self.day_visits[bin] > 1).then_some(score)
    }

    /// The same of a value from which nothing is to be learned, as while an incident goes on.
    pub fn judge_on(&mut self, time: i64, value: f64, holiday: bool) -> Option<f64> {
        let Place { bin, week, .. } = Place::of(time, holiday);
        let (residual, scale) = self.residual_and_scale(bin, week, value);
        self.residual = residual;
        let score = residual.abs() / scale.max(1e-12);
        (self.day_visits[bin] > 1).then_some(score)
    }

    fn residual_and_scale(&self, bin: usize, week: usize, value: f64) -> (f64, f64) {
        let expected = self.level + f64::from(self.day[bin]) + f64::from(self.week[week]);
        let overall = self.scale.value(self.level);
        let own = f64::from(self.day_scale[bin]);
        let scale = if self.day_visits[bin] > 2 {
            0.5 * (own + overall)
        } else {
            overall
        };
        (value - expected, scale)
    }

    /// The last value less what was expected, in the series' units: the series without its seasons.
    pub fn residual(&self) -> f64 {
        self.residual
    }

    fn learn_day(&mut self, bin: usize, visits: f64, residual: f64) {
        self.seen = self.seen.saturating_add(1);
        let rate = (1.0 / f64::from(self.seen)).max(0.002);
        self.level += rate * residual;
        let rate = (0.3 / visits).max(0.03);
        self.day[bin] += (rate * residual) as f32;
        self.day_scale[bin] += (rate * (residual.abs() - f64::from(self.day_scale[bin]))) as f32;
    }

    /// Weekdays are learned slowly and only once there is a day's rhythm; holidays fast, as they are rare, and whole, as
    /// they are known to differ.
    fn learn_week(&mut self, week: usize, kind: usize, residual: f64, scale: f64) {
        let (rate, cut) = if kind == HOLIDAY {
            (0.1, f64::INFINITY)
        } else {
            (0.02, WEEK_CUT * scale)
        };
        if self.seen > WEEK_WARM_UP {
            self.week[week] += (rate * residual.clamp(-cut, cut)) as f32;
        }
    }
}
