//! All detectors of a series as one score, and the alarms that it raises.
//!
//! ```text
//! seasonal 0.9, difference 0.1 ───────────────────────────▶ surprise: the value is not what the clock makes usual
//! higher of: level (raw), level (deseasonalized, slower) ──▶ level: it runs higher or lower than it did
//! variance 0.8, autoregression, neighbours, components ───▶ motion: it moves otherwise than it did
//!                                  (ranks, not raw scores)        mean of the highest two of the three ──▶ incidents
//! ```
//!
//! Two of three views must agree: a single detector has its own false alarms, and they seldom coincide.

use serde::{Deserialize, Serialize};

use super::autoregression::Autoregression;
use super::change::{Change, ChangeWatch};
use super::components::SubsequenceComponents;
use super::difference::SeasonalDifference;
use super::flat::FlatLine;
use super::incidents::{IncidentRules, Incidents};
use super::neighbours::NearestSubsequences;
use super::rank::TailRank;
use super::seasonal::SeasonalBaseline;
use super::shift::{LevelShift, VarianceShift};
use super::{Detector, usable};

/// The values without alarm at the start: the ranks need so many to say that something is rare. Surprise stays 0 until the
/// time of day comes a second time, so for the first day level and motion must agree.
pub const WARM_UP: u32 = 150;

/// How many equal values in a row, and how many lengths of the longest run before, are a flat line.
const FLAT_RUN: u32 = 24;
const FLAT_LENGTHS: f64 = 4.0;

/// The seasonal residual, in scales, that counts whole. A smaller one is not worth its rank, however rare: every series has
/// a rarest value.
const LARGE: f64 = 6.0;
const SEASONAL_SHARE: f64 = 0.9;
const VARIANCE_SHARE: f64 = 0.8;

/// A detector and how rare its scores are.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ranked<D> {
    detector: D,
    rank: TailRank,
}

impl<D: Detector> Ranked<D> {
    fn new(detector: D) -> Self {
        Self {
            detector,
            rank: TailRank::default(),
        }
    }

    /// The rank of a value's score; 0, as the most common, during warm-up.
    fn rank(&mut self, time: i64, value: f64) -> f64 {
        let score = self.detector.score(time, value);
        score.map_or(0.0, |score| self.rank.rank(score))
    }
}

/// What the ensemble says of a value. All scores are negative decimal logarithms of how rare such a value is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// How far it is from what the time of day and the day of the week make usual.
    pub surprise: f64,
    /// How far the series runs above or below where it used to.
    pub level: f64,
    /// How much it moves otherwise than it used to.
    pub motion: f64,
    /// The mean of the highest two.
    pub score: f64,
    /// The strength of an alarm, at least the threshold; `None` without one.
    pub alarm: Option<f64>,
    /// What kind of change an alarm 12 values ago was about; `None` at all other values.
    pub change: Option<Change>,
    /// Whether the series has stood still for 24 values or more and four times as long as it ever did before. It is said
    /// beside the score, and raises no alarm.
    pub flat: bool,
}

/// The detectors of one series.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ensemble {
    seasonal: SeasonalBaseline,
    seasonal_rank: TailRank,
    difference: Ranked<SeasonalDifference>,
    level: Ranked<LevelShift>,
    seasonless_level: Ranked<LevelShift>,
    variance: Ranked<VarianceShift>,
    autoregression: Ranked<Autoregression>,
    neighbours: Ranked<NearestSubsequences>,
    components: Ranked<SubsequenceComponents>,
    incidents: Incidents,
    change: ChangeWatch,
    flat: FlatLine,
    seen: u32,
}

impl Default for Ensemble {
    fn default() -> Self {
        Self::new(IncidentRules::default())
    }
}

impl Ensemble {
    /// Detectors that have seen nothing.
    pub fn new(rules: IncidentRules) -> Self {
        Self {
            seasonal: SeasonalBaseline::default(),
            seasonal_rank: TailRank::default(),
            difference: Ranked::new(SeasonalDifference::default()),
            level: Ranked::new(LevelShift::new(12.0)),
            seasonless_level: Ranked::new(LevelShift::new(72.0)),
            variance: Ranked::new(VarianceShift::default()),
            autoregression: Ranked::new(Autoregression::default()),
            neighbours: Ranked::new(NearestSubsequences::default()),
            components: Ranked::new(SubsequenceComponents::default()),
            incidents: Incidents::new(rules),
            change: ChangeWatch::default(),
            flat: FlatLine::default(),
            seen: 0,
        }
    }

    /// What a value of an ordinary day says; `None` if it is missing. `time` is in seconds since 1970, in the zone whose
    /// clock the seasons follow.
    pub fn observe(&mut self, time: i64, value: Option<f64>) -> Option<Verdict> {
        self.observe_on(time, value, false)
    }

    /// As [`Ensemble::observe`], but a `holiday` is compared with holidays.
    pub fn observe_on(&mut self, time: i64, value: Option<f64>, holiday: bool) -> Option<Verdict> {
        let value = usable(value)?;
        self.seen = self.seen.saturating_add(1);
        let surprise = self.surprise(time, value, holiday);
        let level = self.level.rank(time, value);
        let seasonless = self.seasonal.residual();
        let level = level.max(self.seasonless_level.rank(time, seasonless));
        let motion = self.motion(time, value);
        let mut views = [surprise, level, motion];
        views.sort_by(f64::total_cmp);
        let score = 0.5 * (views[1] + views[2]);
        let alarm = if self.seen > WARM_UP {
            self.incidents.observe(score)
        } else {
            self.incidents.follow(score);
            None
        };
        Some(Verdict {
            surprise,
            level,
            motion,
            score,
            alarm,
            change: self.change.observe(value, alarm.is_some()),
            flat: self.flat_for_long(time, value),
        })
    }

    fn flat_for_long(&mut self, time: i64, value: f64) -> bool {
        let lengths = self.flat.score(time, value);
        self.flat.run() >= FLAT_RUN && lengths.is_some_and(|lengths| lengths >= FLAT_LENGTHS)
    }

    fn surprise(&mut self, time: i64, value: f64, holiday: bool) -> f64 {
        let difference = self.difference.rank(time, value);
        let seasonal = self.seasonal.score_on(time, value, holiday);
        let seasonal = seasonal.map_or(0.0, |score| {
            let large = (score / LARGE).min(1.0);
            large * self.seasonal_rank.rank(score)
        });
        SEASONAL_SHARE * seasonal + (1.0 - SEASONAL_SHARE) * difference
    }

    fn motion(&mut self, time: i64, value: f64) -> f64 {
        let others = [
            self.autoregression.rank(time, value),
            self.neighbours.rank(time, value),
            self.components.rank(time, value),
        ];
        let others = others.iter().sum::<f64>() / others.len() as f64;
        VARIANCE_SHARE * self.variance.rank(time, value) + (1.0 - VARIANCE_SHARE) * others
    }
}
