//! When a limit will be spent: paths of the hours to come, drawn from the days that were.
//!
//! ```text
//! spend by hour ──▶ days, and how each compares with the mean of its day of the week ──▶ paths ──▶ the hour at which
//!                                                                                         each path reaches the limit
//! ```
//!
//! A day to come is a past day, drawn at random with its hours together, scaled from the mean of its own day of the week to
//! the mean of the day of the week to come. The means are drawn anew for each path too, since a few weeks know them only so
//! well. With fewer than two weeks there are no days of the week, and with fewer than three days no forecast.
//! The interval holds for spend that goes on as it was; it knows nothing of a launch, of growth, or of a price that changes.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Hours of a day.
const HOURS: usize = 24;

/// Days of a week.
const WEEK: usize = 7;

/// The fewest days that a forecast can be made of.
pub const DAYS_MIN: usize = 3;

/// The most days that are looked at.
pub const DAYS_MAX: usize = 56;

/// Paths that are drawn.
const PATHS: usize = 2_000;

/// The rate at which the interval holds the truth.
pub const COVERAGE: f64 = 0.8;

/// What a forecast is made from. Amounts are floats: this is statistics, no account.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// Spend of each hour up to now, the oldest first.
    pub past: &'a [f64],
    /// What is left of the limit now.
    pub left: f64,
    /// Hours to look ahead: to the end of the period.
    pub hours: usize,
    /// Of a rolling period, the spend that leaves it in each hour to come; empty for one of the calendar.
    pub leaving: &'a [f64],
    /// What the paths are drawn with: the same seed gives the same forecast.
    pub seed: u64,
}

/// What days to come are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Past days, as compared with their day of the week.
    WeekdayAndHour,
    /// Past days, as they were.
    Hour,
}

impl Method {
    /// The word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WeekdayAndHour => "days_by_weekday",
            Self::Hour => "days",
        }
    }
}

/// When the limit will be spent, in hours from now. `None`: not within the hours that were looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// In the middle of the paths.
    pub median: Option<usize>,
    /// The interval's early end.
    pub early: Option<usize>,
    /// Its late end.
    pub late: Option<usize>,
    /// The share of paths that spend the limit.
    pub probability: f64,
    /// What it was drawn from.
    pub method: Method,
    /// How many days that was.
    pub days: usize,
}

/// A past day.
struct Day {
    hours: [f64; HOURS],
    /// Its place in the week, counted back from now.
    weekday: usize,
    /// Its spend over the mean of its day of the week, less 1.
    deviation: f64,
}

/// Forecasts; `None` where there are too few days.
pub fn forecast(input: &Input<'_>) -> Option<Forecast> {
    let (days, means, method) = days(input.past)?;
    let mut random = ChaCha8Rng::seed_from_u64(input.seed);
    let mut reached: Vec<usize> = (0..PATHS)
        .map(|_| path(input, &days, &means, &mut random).unwrap_or(usize::MAX))
        .collect();
    reached.sort_unstable();
    let at = |share: f64| {
        let place = (share * (PATHS - 1) as f64).round() as usize;
        reached
            .get(place)
            .copied()
            .filter(|hour| *hour != usize::MAX)
    };
    let spent = reached.iter().filter(|hour| **hour != usize::MAX).count();
    let tail = (1.0 - COVERAGE) / 2.0;
    Some(Forecast {
        median: at(0.5),
        early: at(tail),
        late: at(1.0 - tail),
        probability: spent as f64 / PATHS as f64,
        method,
        days: days.len(),
    })
}

/// The past days, the newest first, and the mean of each day of the week.
fn days(past: &[f64]) -> Option<(Vec<Day>, [f64; WEEK], Method)> {
    let mut days: Vec<Day> = past
        .rchunks_exact(HOURS)
        .take(DAYS_MAX)
        .enumerate()
        .map(|(back, hours)| {
            let mut day = Day {
                hours: [0.0; HOURS],
                weekday: (WEEK - 1 - back % WEEK) % WEEK,
                deviation: 0.0,
            };
            day.hours.copy_from_slice(hours);
            day
        })
        .collect();
    if days.len() < DAYS_MIN {
        return None;
    }
    let method = if days.len() >= 2 * WEEK {
        Method::WeekdayAndHour
    } else {
        Method::Hour
    };
    let total = |day: &Day| day.hours.iter().sum::<f64>();
    let mean = |days: &mut dyn Iterator<Item = &Day>| {
        let (sum, count) = days.fold((0.0, 0_u32), |(sum, count), day| {
            (sum + total(day), count + 1)
        });
        (sum / f64::from(count.max(1)), count)
    };
    let mut means = [0.0; WEEK];
    let mut counts = [0; WEEK];
    for weekday in 0..WEEK {
        let (value, count) = match method {
            Method::WeekdayAndHour => mean(&mut days.iter().filter(|day| day.weekday == weekday)),
            Method::Hour => mean(&mut days.iter()),
        };
        (means[weekday], counts[weekday]) = (value, count);
    }
    for day in &mut days {
        let (mean, count) = (means[day.weekday], counts[day.weekday]);
        if mean > 0.0 {
            // A mean lies nearer to what it was made of than to what comes.
            let widened = (f64::from(count) / f64::from(count.max(2) - 1)).sqrt();
            day.deviation = (total(day) / mean - 1.0) * widened;
        }
    }
    Some((days, means, method))
}

/// One path: the hour in which it spends what is left, counted from 1.
fn path(
    input: &Input<'_>,
    days: &[Day],
    means: &[f64; WEEK],
    random: &mut ChaCha8Rng,
) -> Option<usize> {
    if input.left <= 0.0 {
        return Some(0);
    }
    let mut draw = || &days[random.random_range(0..days.len())];
    // What the means could have been.
    let is_weekly = days.len() >= 2 * WEEK;
    let groups = if is_weekly { WEEK } else { 1 };
    let size = (days.len() / groups).max(1);
    let mut levels = [0.0; WEEK];
    for (weekday, level) in levels.iter_mut().enumerate() {
        if weekday < groups {
            let drawn: f64 = (0..size).map(|_| draw().deviation).sum();
            *level = means[weekday] * (1.0 + drawn / size as f64).max(0.0);
        }
    }
    if !is_weekly {
        levels = [levels[0]; WEEK];
    }
    let mut spent = 0.0;
    for day in 0..input.hours.div_ceil(HOURS) {
        let drawn = draw();
        let of_day: f64 = drawn.hours.iter().sum();
        let amount = levels[day % WEEK] * (1.0 + drawn.deviation).max(0.0);
        for hour in 0..HOURS {
            let place = day * HOURS + hour;
            if place >= input.hours {
                return None;
            }
            if of_day > 0.0 {
                spent += amount * drawn.hours[hour] / of_day;
            }
            spent -= input.leaving.get(place).copied().unwrap_or(0.0);
            if spent >= input.left {
                return Some(place + 1);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution as _, LogNormal};

    use super::*;

    /// Days of an application: busy by day, quiet at weekends, and no two alike.
    fn simulated(days: usize, sigma: f64, random: &mut ChaCha8Rng) -> Vec<f64> {
        let noise = LogNormal::new(0.0, sigma).expect("a distribution");
        let mut hours = Vec::new();
        for day in 0..days {
            let level = if day % WEEK >= 5 { 40.0 } else { 100.0 } * noise.sample(random);
            for hour in 0..HOURS {
                let share = if (8..20).contains(&hour) {
                    0.07
                } else {
                    0.16 / 12.0
                };
                hours.push(level * share * noise.sample(random));
            }
        }
        hours
    }

    /// The hour in which a sum is reached.
    fn truth(hours: &[f64], left: f64) -> Option<usize> {
        let mut spent = 0.0;
        let reached = hours.iter().position(|hour| {
            spent += hour;
            spent >= left
        });
        reached.map(|place| place + 1)
    }

    fn coverage(history: usize, left: f64, ahead: usize) -> f64 {
        let mut random = ChaCha8Rng::seed_from_u64(history as u64 * 31 + ahead as u64);
        let runs = 600;
        let mut held = 0;
        for seed in 0..runs {
            let hours = simulated(history + ahead, 0.35, &mut random);
            let (past, future) = hours.split_at(history * HOURS);
            let forecast = forecast(&Input {
                past,
                left,
                hours: future.len(),
                leaving: &[],
                seed,
            });
            let found = forecast.expect("enough days");
            let order = |hour: Option<usize>| hour.unwrap_or(usize::MAX);
            let truth = order(truth(future, left));
            held += u32::from(order(found.early) <= truth && truth <= order(found.late));
        }
        f64::from(held) / runs as f64
    }

    #[test]
    fn the_interval_holds_the_truth_at_its_stated_rate() {
        for (history, left, ahead) in [
            (56, 900.0, 28),
            (28, 900.0, 28),
            (28, 1_700.0, 21),
            (21, 500.0, 14),
        ] {
            let held = coverage(history, left, ahead);
            // 600 runs at 0.8 have a standard error of 0.016.
            assert!(
                (0.74..=0.86).contains(&held),
                "{history} days of history, {left} left: {held}"
            );
        }
    }

    #[test]
    fn the_same_seed_says_the_same_and_what_cannot_be_known_is_not_said() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let hours = simulated(30, 0.3, &mut random);
        let input = Input {
            past: &hours,
            left: 500.0,
            hours: 400,
            leaving: &[],
            seed: 3,
        };
        assert_eq!(forecast(&input), forecast(&input));
        let few = Input {
            past: &hours[..DAYS_MIN * HOURS - 1],
            ..input.clone()
        };
        assert_eq!(forecast(&few), None);
        let nothing = [0.0; 24 * 20];
        let idle = forecast(&Input {
            past: &nothing,
            ..input.clone()
        });
        let idle = idle.expect("enough days");
        assert_eq!((idle.median, idle.probability), (None, 0.0));
        let spent = forecast(&Input { left: 0.0, ..input });
        assert_eq!(spent.and_then(|found| found.late), Some(0));
    }

    #[test]
    fn what_leaves_a_rolling_period_makes_room() {
        let past = [1.0; 24 * 20];
        let input = Input {
            past: &past,
            left: 10.0,
            hours: 24 * 20,
            leaving: &past,
            seed: 1,
        };
        let level = forecast(&input).expect("enough days");
        assert_eq!(level.median, None);
        let calendar = forecast(&Input {
            leaving: &[],
            ..input
        })
        .expect("enough days");
        assert_eq!(calendar.median, Some(10));
    }
}
