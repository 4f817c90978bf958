//! A year of simulated spend, in zones whose clocks are changed, with late events, withdrawn costs and edited limits,
//! against a second ledger that adds up everything anew each time and labels days with the calendar's own dates.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike as _, Duration, NaiveDate, TimeZone as _, Utc};
use chrono_tz::Tz;
use farol_jobs::Segment;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::super::definition::Budget;
use super::super::ledger::{Clock, Decision, Said};
use super::super::money::Money;
use super::super::usage::{Entry, Usage};
use super::{Table, budget};

const TEAMS: [&str; 3] = ["blue", "green", "red"];
const MINUTE_US: i64 = 60_000_000;

/// What arrives in one commit, and the watermark then.
struct Arrival {
    entries: Vec<Entry>,
    watermark_us: i64,
}

/// A year of spend from a zone's new year on: three commits a day.
fn arrivals(zone: Tz, random: &mut ChaCha8Rng) -> Vec<Arrival> {
    let start = zone.with_ymd_and_hms(2025, 1, 1, 0, 0, 0).unwrap();
    let start_us = start.with_timezone(&Utc).timestamp_micros();
    let mut waiting: Vec<(i64, Entry)> = Vec::new();
    let mut arrivals = Vec::new();
    for commit in 0..365 * 3_i64 {
        let now_us = start_us + (commit + 1) * 8 * 60 * MINUTE_US;
        for team in TEAMS {
            for _ in 0..4 {
                let time_us = now_us - random.random_range(0..8 * 60) * MINUTE_US - MINUTE_US;
                let mut amount = random.random_range(1..9_000_000_000_000_i128);
                // Costs that are withdrawn come as a negative amount, often long after.
                let late_us = match random.random_range(0..20) {
                    0 => random.random_range(0..20 * 24 * 60) * MINUTE_US,
                    1 | 2 => random.random_range(0..600) * MINUTE_US,
                    _ => 0,
                };
                let mut known_us = now_us + late_us;
                if random.random_range(0..40) == 0 {
                    amount = -amount;
                    known_us += random.random_range(0..30 * 24 * 60) * MINUTE_US;
                }
                let entry = Entry {
                    time_us,
                    segment: Segment(vec![Some(team.to_owned())]),
                    amount: Money(amount),
                };
                waiting.push((known_us, entry));
            }
        }
        let (ready, later) = waiting
            .into_iter()
            .partition(|(known_us, _)| *known_us <= now_us);
        waiting = later;
        let ready: Vec<(i64, Entry)> = ready;
        arrivals.push(Arrival {
            entries: ready.into_iter().map(|(_, entry)| entry).collect(),
            watermark_us: now_us - 10 * MINUTE_US,
        });
    }
    arrivals
}

/// A period by the date on which it begins.
fn label(zone: Tz, period: &str, time_us: i64) -> NaiveDate {
    let date = DateTime::from_timestamp_micros(time_us)
        .unwrap()
        .with_timezone(&zone)
        .date_naive();
    match period {
        "daily" => date,
        "weekly" => date - Duration::days(i64::from(date.weekday().num_days_from_monday())),
        "monthly" => date.with_day(1).unwrap(),
        other => panic!("{other}"),
    }
}

/// The second ledger.
#[derive(Default)]
struct Second {
    /// Everything that came: of whom, in which period, how much.
    lines: Vec<(String, NaiveDate, i128)>,
    /// How often each threshold was told, the last time as crossed or not.
    told: BTreeMap<(String, NaiveDate, u32), (i64, bool)>,
    /// The limit by which a closed period is judged.
    closed: BTreeMap<(String, NaiveDate), i128>,
}

impl Second {
    fn sums(&self) -> BTreeMap<(String, NaiveDate), i128> {
        let mut sums = BTreeMap::new();
        for (team, label, amount) in &self.lines {
            *sums.entry((team.clone(), *label)).or_insert(0) += amount;
        }
        sums
    }

    /// What is to be told now: team, period, per cent, revision, and whether it is withdrawn.
    fn tell(
        &mut self,
        (first, open): (NaiveDate, NaiveDate),
        limit: i128,
        percents: &[u32],
    ) -> BTreeSet<(String, NaiveDate, u32, i64, bool)> {
        let mut expected = BTreeSet::new();
        for ((team, label), sum) in self.sums() {
            if label < first || label > open {
                continue;
            }
            let mut limit = limit;
            if label < open {
                limit = *self.closed.entry((team.clone(), label)).or_insert(limit);
            }
            for percent in percents {
                let crossed = sum * 100 >= limit * i128::from(*percent);
                let key = (team.clone(), label, *percent);
                let known = self.told.get(&key).copied();
                if known.map_or(crossed, |(_, stands)| stands != crossed) {
                    let revision = known.map_or(0, |(revision, _)| revision + 1);
                    self.told.insert(key, (revision, crossed));
                    expected.insert((team.clone(), label, *percent, revision, !crossed));
                }
            }
        }
        expected
    }
}

/// What was told of thresholds, as the second ledger says it.
fn said(
    decided: &[Decision],
    zone: Tz,
    period: &str,
) -> BTreeSet<(String, NaiveDate, u32, i64, bool)> {
    let thresholds = decided.iter().filter_map(|one| match &one.said {
        Said::Threshold {
            threshold,
            withdrawn,
            ..
        } => {
            let team = one.segment.0[0].clone().unwrap();
            let label = label(zone, period, one.span.start_us);
            Some((team, label, threshold.percent, one.revision, *withdrawn))
        }
        _ => None,
    });
    let thresholds: Vec<_> = thresholds.collect();
    let different: BTreeSet<_> = thresholds.iter().cloned().collect();
    assert_eq!(different.len(), thresholds.len(), "each once");
    different
}

fn limited(budget: &Budget, limit: i128) -> Budget {
    Budget {
        limit: Money(limit),
        ..budget.clone()
    }
}

/// Runs a year, and says how many thresholds were told and withdrawn.
fn run(zone: Tz, period: &str, limit: i128, seed: u64) -> (usize, usize) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let written = budget(&format!(
        "by: tag.team\nlimit: 1\ncurrency: USD\nperiod: {period}\ntime_zone: {zone}\nthresholds:\n\
         - {{percent: 50, action: notify_team}}\n- {{percent: 80, action: switch_to_cheaper_model}}\n\
         - {{percent: 100, action: block_requests}}"
    ));
    let percents = [50, 80, 100];
    let (mut usage, mut table, mut second) =
        (Usage::default(), Table::default(), Second::default());
    let (mut since_us, mut limit_now) = (None, limit);
    let (mut crossed, mut withdrawn) = (0, 0);
    let mut last_us = 0;
    for (place, arrival) in arrivals(zone, &mut random).into_iter().enumerate() {
        // The budget is edited now and then.
        if place % 97 == 50 {
            limit_now = limit * random.random_range(80..120) / 100;
        }
        let edited = limited(&written, limit_now);
        for entry in arrival.entries {
            let team = entry.segment.0[0].clone().unwrap();
            second
                .lines
                .push((team, label(zone, period, entry.time_us), entry.amount.0));
            assert!(usage.add(&edited, entry));
        }
        let as_of_us = arrival.watermark_us;
        let clock = Clock {
            since_us: *since_us.get_or_insert(as_of_us),
            as_of_us,
        };
        let mut decided = Vec::new();
        for team in TEAMS {
            let segment = Segment(vec![Some(team.to_owned())]);
            decided.extend(table.step(&edited, &usage, &segment, clock));
            let again = table.step(&edited, &usage, &segment, clock);
            assert_eq!(again, [], "what was told is not told again");
        }
        let open = label(zone, period, as_of_us);
        let first = label(zone, period, clock.since_us);
        let expected = second.tell((first, open), limit_now, &percents);
        assert_eq!(
            said(&decided, zone, period),
            expected,
            "{zone} {period} {place}"
        );
        crossed += expected.iter().filter(|(.., withdrawn)| !withdrawn).count();
        withdrawn += expected.iter().filter(|(.., withdrawn)| *withdrawn).count();
        if place % 50 == 0 {
            table.read_again(&edited);
        }
        last_us = as_of_us;
    }
    sums_are_exact(&table, &second, zone, period, label(zone, period, last_us));
    let ids: BTreeSet<_> = table
        .actions
        .iter()
        .map(|action| &action.action_id)
        .collect();
    assert_eq!(ids.len(), table.actions.len(), "no id twice");
    (crossed, withdrawn)
}

/// The last statement of each closed period is the second ledger's sum, to the last digit.
fn sums_are_exact(table: &Table, second: &Second, zone: Tz, period: &str, open: NaiveDate) {
    let mut stated = BTreeMap::new();
    for action in &table.actions {
        let body: serde_json::Value = serde_json::from_str(&action.body).unwrap();
        let payload = &body["payload"];
        if payload["type"] == "statement" {
            let team = payload["scope"]["tags"]["team"]
                .as_str()
                .unwrap()
                .to_owned();
            let used: Money = payload["used"].as_str().unwrap().parse().unwrap();
            stated.insert((team, label(zone, period, action.window_us)), used.0);
        }
    }
    let mut sums = second.sums();
    sums.retain(|(_, label), _| *label < open);
    assert_eq!(stated, sums);
}

#[test]
fn a_year_of_days_in_new_york() {
    let (crossed, withdrawn) = run(chrono_tz::America::New_York, "daily", 45_000_000_000_000, 1);
    assert!(crossed > 1_000 && withdrawn > 20, "{crossed} {withdrawn}");
}

#[test]
fn a_year_of_weeks_in_london() {
    let (crossed, withdrawn) = run(chrono_tz::Europe::London, "weekly", 350_000_000_000_000, 2);
    assert!(crossed > 200 && withdrawn > 5, "{crossed} {withdrawn}");
}

#[test]
fn a_year_of_months_on_lord_howe_whose_clock_is_changed_by_half_an_hour() {
    let zone = chrono_tz::Australia::Lord_Howe;
    let (crossed, withdrawn) = run(zone, "monthly", 1_550_000_000_000_000, 3);
    assert!(crossed > 60 && withdrawn > 0, "{crossed} {withdrawn}");
}
