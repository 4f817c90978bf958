//! Watching a rate: so many of so many, window by window.
//!
//! ```text
//! learning: ones, trials ──▶ the usual rate, the worse end of its interval or of the day's, 0.05 further ──▶ bound
//! watching: ones, trials ──▶ e-detector beyond the bound ──≥ threshold, and far enough from the usual rate──▶ opened
//!                        └─▶ e-detector the other way ─────≥ threshold──▶ it is better for good: learn anew
//! open:     ones, trials ──▶ CUSUM for the usual rate against the incident's ──≥ threshold──▶ ended
//! ```
//!
//! The bound lies beyond what was learned, because an estimate is no bound, because rates differ by the time of day, and
//! because a change of less than 0.05 on the arcsine scale (0.02 to 0.027, 0.85 to 0.83) is nobody's incident. The scale is Cohen's h (J. Cohen,
//! "Statistical Power Analysis for the Behavioral Sciences", 1988).

use std::collections::VecDeque;

use crate::sequential;
use crate::sequential::e_detector::EDetector;
use serde::{Deserialize, Serialize};

use super::{ADOPTED_AFTER_US, Change, Direction, Evidence, Span, Terms};

/// Trials before a rate counts as learned.
const TRIALS_MIN: f64 = 200.0;
/// What is no change, on the arcsine scale.
const TOLERATED: f64 = 0.05;
/// Parts of a day whose rates may differ, and the trials of the whole that each is drawn by.
const PARTS: usize = 6;
const PRIOR_TRIALS: f64 = 100.0;
const DAY_US: i64 = 86_400_000_000;
/// The learned rate's interval: 99.9 % two-sided.
const LEARNED_Z: f64 = 3.29;
/// The interval of an effect: 95 %.
const EFFECT_Z: f64 = 1.96;
/// Windows with trials that are remembered, to date a change and to say how large it is.
const RECENT_MAX: usize = 160;
const SECOND_US: i64 = 1_000_000;
/// The average number of trials within an incident until it would seem to be over by chance.
const END_RUN_LENGTH: f64 = 1e6;
/// An incident's rate counts as no nearer to 0 or 1 than this.
const LEAST: f64 = 1e-4;
/// The evidence is compared outside of the detectors, with a threshold that moves.
const NEVER: f64 = 1e300;

/// One window's trials.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Counted {
    /// Seconds since learning began.
    after_seconds: u32,
    ones: u32,
    trials: u32,
}

impl Counted {
    fn start_us(self, learned: &Learned) -> i64 {
        learned.from_us + i64::from(self.after_seconds) * SECOND_US
    }
}

/// What a rate usually is, while it is being learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Learned {
    from_us: i64,
    to_us: i64,
    ones: u64,
    trials: u64,
    windows: u64,
    /// The sum of the windows' ones squared over their trials.
    squares: f64,
    /// Ones and trials of each part of the day.
    parts: [(u64, u64); PARTS],
}

impl Learned {
    /// Counts a window.
    fn add(&mut self, span: Span, ones: u64, trials: u64) {
        self.to_us = span.end_us;
        self.ones += ones;
        self.trials += trials;
        self.windows += 1;
        self.squares += (ones as f64).powi(2) / trials as f64;
        let of_day = span.start_us.rem_euclid(DAY_US);
        let part = &mut self.parts[(of_day * PARTS as i64 / DAY_US) as usize];
        *part = (part.0 + ones, part.1 + trials);
    }

    /// The rates of the parts of the day, each drawn towards the whole by so many trials: what is usual at some time of
    /// the day is no change at another.
    fn rates_of_parts(&self, dispersion: f64) -> impl Iterator<Item = f64> {
        let rate = self.rate();
        self.parts.into_iter().map(move |(ones, trials)| {
            let (ones, trials) = (ones as f64 / dispersion, trials as f64 / dispersion);
            (ones + PRIOR_TRIALS * rate) / (trials + PRIOR_TRIALS)
        })
    }

    /// How much more windows differ from each other than trials that have nothing to do with one another would make them:
    /// Pearson's statistic over its degrees of freedom, 1 at the least. Tokens of one call, or retries of one outage, are
    /// counted one by one and are no observations of their own; so many trials count as one.
    ///
    /// Source: P. McCullagh, J. A. Nelder, "Generalized Linear Models" (1989), section 4.5.
    fn dispersion(&self) -> f64 {
        let (ones, trials, rate) = (self.ones as f64, self.trials as f64, self.rate());
        let pearson =
            (self.squares - 2.0 * rate * ones + rate * rate * trials) / (rate * (1.0 - rate));
        let freedom = self.windows.saturating_sub(1).max(1) as f64;
        (pearson / freedom).max(1.0)
    }

    /// The rate, half a success and half a failure added: never quite 0 or 1.
    fn rate(&self) -> f64 {
        (self.ones as f64 + 0.5) / (self.trials as f64 + 1.0)
    }
}

/// The detectors at work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Detectors {
    worse: EDetector,
    better: EDetector,
}

/// An incident under way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Open {
    opened_us: i64,
    observed: f64,
    /// The evidence that the rate is back: a cumulative sum of log-likelihood ratios, and where it began.
    usual: f64,
    usual_since_us: i64,
}

impl Open {
    /// Takes a window, and says whether the rate is the usual one again rather than the incident's.
    ///
    /// Source: E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954).
    fn is_over(&mut self, reference: f64, counted: Counted, start_us: i64) -> bool {
        let observed = self.observed.clamp(LEAST, 1.0 - LEAST);
        let ones = f64::from(counted.ones);
        let zeros = f64::from(counted.trials) - ones;
        let ratio = ones * (reference / observed).ln()
            + zeros * ((1.0 - reference) / (1.0 - observed)).ln();
        if self.usual <= 0.0 {
            (self.usual, self.usual_since_us) = (0.0, start_us);
        }
        self.usual += ratio;
        self.usual >= END_RUN_LENGTH.ln()
    }
}

/// The watch of one rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateWatch {
    direction: Direction,
    learned: Option<Learned>,
    detectors: Option<Detectors>,
    /// So many trials count as one.
    dispersion: f64,
    /// Of one and all trials, what has not made up a whole one yet.
    rest: (f64, f64),
    recent: VecDeque<Counted>,
    open: Option<Open>,
}

impl RateWatch {
    /// A watch for a change in a direction; for [`Direction::Both`], upwards.
    pub fn new(direction: Direction) -> Self {
        Self {
            direction,
            learned: None,
            detectors: None,
            dispersion: 1.0,
            rest: (0.0, 0.0),
            recent: VecDeque::new(),
            open: None,
        }
    }

    /// Takes a window of `trials`, `ones` of which are 1; more ones than trials count as all of them.
    pub fn observe(&mut self, span: Span, ones: u64, trials: u64, terms: Terms) -> Option<Change> {
        if trials == 0 {
            return None;
        }
        let Some(counted) = self.counted(span, ones.min(trials), trials) else {
            self.learn(span, ones.min(trials), trials, terms);
            return None;
        };
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        } else if self.recent.is_empty() {
            // Not the next power of two: there are thousands of these.
            self.recent.reserve_exact(RECENT_MAX);
        }
        self.recent.push_back(counted);
        let (ones, trials) = (u64::from(counted.ones), u64::from(counted.trials));
        let detectors = self.detectors.as_mut()?;
        detectors.better.observe_window(ones, trials);
        if self.open.is_some() {
            return self.end(span);
        }
        detectors.worse.observe_window(ones, trials);
        if detectors.worse.value() >= terms.threshold {
            return self.alarm(span, terms);
        }
        if detectors.better.value() >= terms.threshold {
            self.learn_anew();
        }
        None
    }

    /// A window's trials as many as they count for; `None` while it is learned how many that is.
    fn counted(&mut self, span: Span, ones: u64, trials: u64) -> Option<Counted> {
        self.detectors.as_ref()?;
        let all = trials as f64 / self.dispersion + self.rest.1;
        let one = ones as f64 / self.dispersion + self.rest.0;
        let (whole, of_them) = (all.floor(), one.floor().min(all.floor()));
        self.rest = (one - of_them, all - whole);
        let after_us = span.start_us - self.learned.as_ref()?.from_us;
        // More than four thousand million trials in a window count as so many.
        Some(Counted {
            after_seconds: (after_us / SECOND_US) as u32,
            ones: of_them as u32,
            trials: whole as u32,
        })
    }

    fn learn(&mut self, span: Span, ones: u64, trials: u64, terms: Terms) {
        let learned = self.learned.get_or_insert(Learned {
            from_us: span.start_us,
            to_us: span.end_us,
            ones: 0,
            trials: 0,
            windows: 0,
            squares: 0.0,
            parts: [(0, 0); PARTS],
        });
        learned.add(span, ones, trials);
        let dispersion = learned.dispersion();
        let counted = learned.trials as f64 / dispersion;
        if learned.to_us - learned.from_us < terms.warm_up_us || counted < TRIALS_MIN {
            return;
        }
        (self.dispersion, self.rest) = (dispersion, (0.0, 0.0));
        let (low, high) = interval(learned.rate(), counted, LEARNED_Z);
        let low = learned.rates_of_parts(dispersion).fold(low, f64::min);
        let high = learned.rates_of_parts(dispersion).fold(high, f64::max);
        let up = EDetector::new(
            sequential::Direction::Increase,
            moved(high, TOLERATED),
            NEVER,
        );
        let down = EDetector::new(
            sequential::Direction::Decrease,
            moved(low, -TOLERATED),
            NEVER,
        );
        self.detectors = match (up, down) {
            (Some(worse), Some(better)) if self.direction != Direction::Decrease => {
                Some(Detectors { worse, better })
            }
            (Some(better), Some(worse)) => Some(Detectors { worse, better }),
            _ => None,
        };
    }

    fn learn_anew(&mut self) {
        self.learned = None;
        self.detectors = None;
        self.recent.clear();
        self.open = None;
    }

    fn alarm(&mut self, span: Span, terms: Terms) -> Option<Change> {
        let (learned, detectors) = (self.learned.as_ref()?, self.detectors.as_ref()?);
        let value = detectors.worse.value();
        let since = self.since(detectors.worse.likely_change().unwrap_or(1))?;
        let reference = learned.rate();
        let recent = || self.recent.range(since..);
        let ones: u64 = recent().map(|one| u64::from(one.ones)).sum();
        let trials: u64 = recent().map(|one| u64::from(one.trials)).sum();
        let observed = ones as f64 / trials as f64;
        if (angle(observed) - angle(reference)).abs() < terms.least_effect {
            return None;
        }
        let (low, high) = interval(observed, trials as f64, EFFECT_Z);
        self.open = Some(Open {
            opened_us: span.start_us,
            observed,
            usual: 0.0,
            usual_since_us: span.start_us,
        });
        Some(Change::Opened(Evidence {
            since_us: self.recent.get(since)?.start_us(learned),
            value,
            threshold: terms.threshold,
            observed,
            reference,
            effect: observed - reference,
            effect_low: low - reference,
            effect_high: high - reference,
            reference_span: Span {
                start_us: learned.from_us,
                end_us: learned.to_us,
            },
            observations: trials,
        }))
    }

    /// The place among the recent windows at which so many trials begin.
    fn since(&self, trials: u64) -> Option<usize> {
        let mut sum = 0;
        let mut place = self.recent.len().checked_sub(1)?;
        loop {
            sum += u64::from(self.recent.get(place)?.trials);
            if sum >= trials || place == 0 {
                return Some(place);
            }
            place -= 1;
        }
    }

    fn end(&mut self, span: Span) -> Option<Change> {
        let mut open = self.open?;
        if span.end_us - open.opened_us >= ADOPTED_AFTER_US {
            self.learn_anew();
            return Some(Change::Ended {
                ended_us: span.end_us,
                adopted: true,
            });
        }
        let last = *self.recent.back()?;
        let learned = self.learned.as_ref()?;
        if !open.is_over(learned.rate(), last, last.start_us(learned)) {
            self.open = Some(open);
            return None;
        }
        self.open = None;
        if let Some(detectors) = &mut self.detectors {
            detectors.worse.reset();
            detectors.better.reset();
        }
        Some(Change::Ended {
            ended_us: open.usual_since_us,
            adopted: false,
        })
    }

    /// For how many observations so many trials count.
    pub fn observations(&self, trials: u64) -> u64 {
        (trials as f64 / self.dispersion).ceil() as u64
    }

    /// Whether an incident is open.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

/// A rate on the arcsine scale.
fn angle(rate: f64) -> f64 {
    2.0 * rate.clamp(0.0, 1.0).sqrt().asin()
}

/// A rate moved along the arcsine scale, kept strictly between 0 and 1.
fn moved(rate: f64, by: f64) -> f64 {
    const EDGE: f64 = 0.02;
    let moved = (angle(rate) + by).clamp(EDGE, std::f64::consts::PI - EDGE);
    (moved / 2.0).sin().powi(2)
}

/// The interval of a rate by E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
fn interval(rate: f64, trials: f64, z: f64) -> (f64, f64) {
    let square = z * z / trials;
    let middle = (rate + square / 2.0) / (1.0 + square);
    let half = z / (1.0 + square) * (rate * (1.0 - rate) / trials + square / (4.0 * trials)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

#[cfg(test)]
mod tests;
