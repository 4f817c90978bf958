//! One column of one segment in a window against its references: pure.

use std::collections::{BTreeMap, BTreeSet};

use farol_stats::drift::categories::{Comparison, Measure, compare as compare_categories};
use farol_stats::drift::distribution::Distribution;
use farol_stats::drift::resampling::Resampling;
use farol_stats::drift::wasserstein::wasserstein;
use farol_stats::drift::wasserstein_test::{wasserstein_asymptotic_test, wasserstein_expected};
use farol_stats::watch::Span;

use super::Counts;
use super::interval::interval;
use crate::unit::Moved;

/// References before anything is compared.
const REFERENCES_MIN: usize = 3;
/// Values of a window, and of each reference, before anything is compared.
const VALUES_MIN: u64 = 50;
/// How many times the largest effect among the references an alarm's must be.
const BEYOND_REFERENCES: f64 = 1.5;
/// Draws that tell the mean of a statistic without change.
const ROUNDS_OF_EFFECT: u32 = 200;
const SEED: u64 = 1;
/// Categories that a finding names.
const MOVED_MAX: usize = 5;

const WASSERSTEIN: &str = "wasserstein_over_sigma";
const PSI: &str = "population_stability_index";

/// What a comparison came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Compared {
    pub statistic: &'static str,
    /// The statistic as it is.
    pub value: f64,
    /// What of it is above what no change gives.
    pub effect: f64,
    /// Its 95 % interval, where it may be an alarm.
    pub interval: Option<(f64, f64)>,
    /// The effect at which there is an alarm.
    pub needed: f64,
    /// 1 where the effect is too small for it to matter.
    pub p_value: f64,
    /// Numbers: the mean. Categories: the share of the one that changed most.
    pub observed: f64,
    pub reference: f64,
    pub observations: u64,
    /// Of categories, those whose shares changed most.
    pub moved: Vec<Moved>,
    /// From the first to the last reference.
    pub span: Span,
}

/// Compares a window with its references; `None` where there are too few of either.
pub(super) fn compare(
    is_numbers: bool,
    references: &[(i64, &Counts)],
    counts: &Counts,
    least_effect: f64,
    rounds: u32,
) -> Option<Compared> {
    let enough: Vec<_> = references
        .iter()
        .filter(|(_, counts)| total(counts) >= VALUES_MIN)
        .collect();
    if enough.len() < REFERENCES_MIN || total(counts) < VALUES_MIN {
        return None;
    }
    let pooled = sum(enough.iter().map(|(_, counts)| *counts));
    let column = Column { is_numbers };
    let (value, effect) = column.effect(&pooled, counts)?;
    let among = enough.iter().enumerate().filter_map(|(place, (_, one))| {
        let others = enough
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != place);
        let others = sum(others.map(|(_, (_, counts))| *counts));
        Some(column.effect(&others, one)?.1)
    });
    let needed = least_effect.max(BEYOND_REFERENCES * among.fold(0.0, f64::max));
    let (p_value, interval) = if effect >= needed {
        (
            column.p_value(&pooled, counts, rounds)?,
            column.interval(&pooled, counts, (value, effect)),
        )
    } else {
        (1.0, None)
    };
    let moved = if is_numbers {
        Vec::new()
    } else {
        moved(&pooled, counts)
    };
    let (observed, reference) = column.told(&pooled, counts, &moved)?;
    let (first, last) = (enough.first()?.0, enough.last()?.0);
    Some(Compared {
        statistic: if is_numbers { WASSERSTEIN } else { PSI },
        value,
        effect,
        interval,
        needed,
        p_value,
        observed,
        reference,
        observations: total(counts),
        moved,
        span: Span {
            start_us: first,
            end_us: last,
        },
    })
}

#[derive(Clone, Copy)]
struct Column {
    is_numbers: bool,
}

impl Column {
    /// The statistic, and what of it is above what no change gives.
    fn effect(self, reference: &Counts, window: &Counts) -> Option<(f64, f64)> {
        if self.is_numbers {
            let (before, now) = (distribution(reference)?, distribution(window)?);
            let deviation = before.standard_deviation();
            if deviation <= 0.0 {
                return None;
            }
            let distance = wasserstein(&before, &now);
            let above = (distance - wasserstein_expected(&before, &now)).max(0.0);
            return Some((distance / deviation, above / deviation));
        }
        let found = Self::categories(reference, window, ROUNDS_OF_EFFECT)?;
        Some((found.statistic, found.effect))
    }

    fn interval(
        self,
        reference: &Counts,
        window: &Counts,
        found: (f64, f64),
    ) -> Option<(f64, f64)> {
        let statistic = |reference: &Counts, window: &Counts| {
            if self.is_numbers {
                let (before, now) = (distribution(reference)?, distribution(window)?);
                let deviation = before.standard_deviation();
                return (deviation > 0.0).then(|| wasserstein(&before, &now) / deviation);
            }
            Some(Self::categories(reference, window, 1)?.statistic)
        };
        interval(reference, window, found, statistic)
    }

    fn p_value(self, reference: &Counts, window: &Counts, rounds: u32) -> Option<f64> {
        if self.is_numbers {
            let (before, now) = (distribution(reference)?, distribution(window)?);
            let resampling = Resampling { rounds, seed: SEED };
            return Some(wasserstein_asymptotic_test(&before, &now, resampling)?.p_value);
        }
        Some(Self::categories(reference, window, rounds)?.p_value)
    }

    fn categories(reference: &Counts, window: &Counts, rounds: u32) -> Option<Comparison> {
        let names: BTreeSet<&String> = reference.keys().chain(window.keys()).collect();
        let of = |counts: &Counts| -> Vec<u64> {
            let count = |name: &&String| counts.get(*name).copied().unwrap_or(0);
            names.iter().map(count).collect()
        };
        let resampling = Resampling { rounds, seed: SEED };
        let measure = Measure::PopulationStabilityIndex;
        compare_categories(measure, &of(reference), &of(window), resampling)
    }

    /// What a person is told: now and before.
    fn told(self, reference: &Counts, window: &Counts, moved: &[Moved]) -> Option<(f64, f64)> {
        if self.is_numbers {
            return Some((
                distribution(window)?.mean(),
                distribution(reference)?.mean(),
            ));
        }
        moved.first().map(|one| (one.observed, one.reference))
    }
}

/// The values whose shares changed most, the most first.
fn moved(reference: &Counts, window: &Counts) -> Vec<Moved> {
    let names: BTreeSet<&String> = reference.keys().chain(window.keys()).collect();
    let mut all: Vec<_> = names
        .into_iter()
        .map(|name| Moved {
            value: name.clone(),
            observed: share(window, name),
            reference: share(reference, name),
            share: 0.0,
        })
        .collect();
    let change = |one: &Moved| (one.observed - one.reference).abs();
    let sum: f64 = all.iter().map(change).sum();
    all.sort_by(|a, b| change(b).total_cmp(&change(a)));
    all.truncate(MOVED_MAX);
    for one in &mut all {
        one.share = if sum > 0.0 { change(one) / sum } else { 0.0 };
    }
    all
}

fn share(counts: &Counts, name: &str) -> f64 {
    counts.get(name).copied().unwrap_or(0) as f64 / total(counts).max(1) as f64
}

fn total(counts: &Counts) -> u64 {
    counts.values().sum()
}

pub(super) fn sum<'a>(all: impl Iterator<Item = &'a Counts>) -> Counts {
    let mut sum = Counts::new();
    for counts in all {
        for (name, count) in counts {
            *sum.entry(name.clone()).or_default() += count;
        }
    }
    sum
}

/// Counts of numbers as a distribution.
fn distribution(counts: &Counts) -> Option<Distribution> {
    let mut numbers: BTreeMap<u64, (f64, u64)> = BTreeMap::new();
    for (text, count) in counts {
        let number: f64 = text.parse().ok()?;
        numbers.insert(sortable(number), (number, *count));
    }
    let mut so_far = 0;
    let steps: Vec<_> = numbers
        .into_values()
        .map(|(number, count)| {
            so_far += count;
            (number, so_far)
        })
        .collect();
    Distribution::from_cumulative(&steps)
}

/// Bits that are in the order of the numbers.
fn sortable(number: f64) -> u64 {
    let bits = number.to_bits();
    if number.is_sign_negative() {
        !bits
    } else {
        bits | (1 << 63)
    }
}
