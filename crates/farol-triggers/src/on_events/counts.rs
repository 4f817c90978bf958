//! How many events each segment had in each minute, and what a rule sees of that: how many there were lately.
//!
//! ```text
//! events ──minute, segment──▶ Counts ──summed over `within`──▶ a row for each window that is near enough to an event
//! ```

use std::collections::{BTreeMap, HashMap};

use farol_jobs::Segment;

use crate::condition::Value;
use crate::history::Windows;

/// Segments that are kept apart at all; events of further ones are counted together.
const SEGMENTS_MAX: usize = 10_000;

/// The value of every part of a segment that stands for all that are not told apart.
const OTHERS: &str = "(others)";

/// Events by segment and window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts(BTreeMap<Segment, BTreeMap<i64, u64>>);

impl Counts {
    /// Counts events of a window.
    pub fn add(&mut self, segment: Segment, window_us: i64, events: u64) {
        let is_full = self.0.len() >= SEGMENTS_MAX && !self.0.contains_key(&segment);
        let segment = if is_full { others(&segment) } else { segment };
        *self
            .0
            .entry(segment)
            .or_default()
            .entry(window_us)
            .or_default() += events;
    }

    /// Forgets what lies before a window.
    pub fn forget_before(&mut self, window_us: i64) {
        for windows in self.0.values_mut() {
            *windows = windows.split_off(&window_us);
        }
        self.0.retain(|_, windows| !windows.is_empty());
    }

    /// The last window of a segment, up to one, that has events.
    pub fn last_us(&self, segment: &Segment, to_us: i64) -> Option<i64> {
        let windows = self.0.get(segment)?;
        windows
            .range(..=to_us)
            .next_back()
            .map(|(window_us, _)| *window_us)
    }

    /// The same with this many segments at the most. Those that are known to have an alert come first, then those whose events
    /// came first; all others are one.
    pub fn merged(&self, most: usize, has_alert: impl Fn(&Segment) -> bool) -> Self {
        if self.0.len() <= most {
            return self.clone();
        }
        let mut order: Vec<_> = self.0.iter().collect();
        order.sort_by_key(|(segment, windows)| {
            (
                !has_alert(segment),
                windows.keys().next().copied(),
                *segment,
            )
        });
        let mut merged = Self::default();
        for (place, (segment, windows)) in order.into_iter().enumerate() {
            let into = if place < most {
                segment.clone()
            } else {
                others(segment)
            };
            let into = merged.0.entry(into).or_default();
            for (window_us, events) in windows {
                *into.entry(*window_us).or_default() += events;
            }
        }
        merged
    }

    /// What a rule sees at each window: the events of the last `within`. There is no row where there were none.
    pub fn rows(&self, width_us: i64, within_us: i64) -> HashMap<Segment, Windows> {
        let row = |events: u64| -> Box<[Value]> { Box::new([Value::Number(events as f64)]) };
        let rows = self.0.iter().map(|(segment, windows)| {
            let lately = lately(windows, width_us, within_us);
            let windows = lately
                .into_iter()
                .map(|(window_us, events)| (window_us, row(events)));
            (segment.clone(), windows.collect())
        });
        rows.collect()
    }

    /// The events that an alert stands for at a window: all since there last were none for as long as `within`.
    pub fn of_incident(&self, segment: &Segment, window_us: i64, within_us: i64) -> u64 {
        let Some(windows) = self.0.get(segment) else {
            return 0;
        };
        let (mut events, mut after_us) = (0, window_us);
        for (at_us, count) in windows.range(..=window_us).rev() {
            if after_us - at_us > within_us {
                break;
            }
            (events, after_us) = (events + count, *at_us);
        }
        events
    }
}

/// Each window with the events of itself and of those before it, as far back as `within`.
fn lately(windows: &BTreeMap<i64, u64>, width_us: i64, within_us: i64) -> BTreeMap<i64, u64> {
    let mut lately = BTreeMap::new();
    for (window_us, events) in windows {
        let mut at_us = *window_us;
        while at_us < window_us + within_us {
            *lately.entry(at_us).or_default() += events;
            at_us += width_us;
        }
    }
    lately
}

/// The segment that stands for all that are not told apart.
fn others(like: &Segment) -> Segment {
    Segment(like.0.iter().map(|_| Some(OTHERS.to_owned())).collect())
}

/// Whether a segment stands for all that are not told apart.
pub(super) fn is_others(segment: &Segment) -> bool {
    let is = |value: &Option<String>| value.as_deref() == Some(OTHERS);
    !segment.0.is_empty() && segment.0.iter().all(is)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(name: &str) -> Segment {
        Segment(vec![Some(name.to_owned())])
    }

    #[test]
    fn events_count_for_as_long_as_the_rule_says() {
        let mut counts = Counts::default();
        counts.add(segment("a"), 10, 2);
        counts.add(segment("a"), 30, 1);
        let rows = counts.rows(10, 30);
        let seen: Vec<_> = rows[&segment("a")]
            .iter()
            .map(|(at, row)| (*at, row[0].as_number()))
            .collect();
        let events = [(10, 2.0), (20, 2.0), (30, 3.0), (40, 1.0), (50, 1.0)];
        assert_eq!(seen, events.map(|(at, events)| (at, Some(events))));
    }

    #[test]
    fn an_incident_holds_all_since_the_last_pause() {
        let mut counts = Counts::default();
        for (at, events) in [(0, 5), (100, 1), (120, 2), (140, 4)] {
            counts.add(segment("a"), at, events);
        }
        assert_eq!(counts.of_incident(&segment("a"), 140, 30), 7);
        assert_eq!(counts.of_incident(&segment("a"), 120, 30), 3);
        assert_eq!(
            counts.of_incident(&segment("a"), 170, 30),
            7,
            "as it recovers"
        );
        assert_eq!(counts.of_incident(&segment("b"), 140, 30), 0);
        counts.forget_before(120);
        assert_eq!(counts.last_us(&segment("a"), 130), Some(120));
        assert_eq!(counts.last_us(&segment("a"), 110), None);
    }

    #[test]
    fn what_has_an_alert_keeps_it_in_a_flood() {
        let mut counts = Counts::default();
        for (name, at) in [("late", 50), ("first", 10), ("second", 20), ("third", 30)] {
            counts.add(segment(name), at, 1);
        }
        let merged = counts.merged(2, |known| *known == segment("late"));
        let names: Vec<_> = merged
            .0
            .keys()
            .map(|known| known.0[0].clone().unwrap())
            .collect();
        assert_eq!(names, [OTHERS, "first", "late"]);
        assert!(is_others(merged.0.keys().next().unwrap()));
        assert_eq!(counts.merged(4, |_| false), counts);
    }

    proptest! {
        /// In whatever order and portions events come, they are counted alike, and merging loses none.
        #[test]
        fn counts_depend_on_no_order(events in prop::collection::vec((0..6_u8, 0..20_i64, 1..5_u64), 0..60), most in 1..6_usize) {
            let count = |events: &mut dyn Iterator<Item = &(u8, i64, u64)>| {
                let mut counts = Counts::default();
                for (name, at, events) in events {
                    counts.add(segment(&name.to_string()), *at * 60, *events);
                }
                counts
            };
            let (forward, backward) = (count(&mut events.iter()), count(&mut events.iter().rev()));
            prop_assert_eq!(&forward, &backward);
            let merged = forward.merged(most, |_| false);
            let all = |counts: &Counts| counts.0.values().flat_map(BTreeMap::values).sum::<u64>();
            prop_assert_eq!(all(&merged), events.iter().map(|event| event.2).sum::<u64>());
            prop_assert!(merged.0.len() <= most + 1);
        }
    }
}
