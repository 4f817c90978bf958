//! Whatever the order in which spend arrives, and however it is cut into commits, what stands in the end is the same.

use std::collections::BTreeSet;

use farol_jobs::Segment;
use proptest::prelude::*;

use super::super::definition::Threshold;
use super::super::ledger::{Clock, Said, standing};
use super::super::message::told;
use super::super::money::Money;
use super::super::period::Span;
use super::super::usage::{Entry, Usage};
use super::{Table, budget};

const HOUR_US: i64 = 3_600_000_000;
/// 2025-03-28, two days before the clocks of Europe are put forward.
const START_US: i64 = 1_743_120_000_000_000;

/// Thresholds that are crossed, and the sums of closed periods in which something was spent.
type Stands = (BTreeSet<(Span, Threshold)>, Vec<(Span, Money)>);

/// What stands after everything that was told.
fn stands(table: &Table) -> Stands {
    let mut thresholds = BTreeSet::new();
    let mut sums = std::collections::BTreeMap::new();
    for action in &table.actions {
        let told = told(action).expect("its own words");
        match told.said.expect("no removal") {
            Said::Threshold {
                threshold,
                withdrawn,
                ..
            } => {
                if withdrawn {
                    thresholds.remove(&(told.span, threshold));
                } else {
                    thresholds.insert((told.span, threshold));
                }
            }
            Said::Statement(standing) => {
                sums.insert(told.span, standing.used);
            }
            Said::State(_) => {}
        }
    }
    sums.retain(|_, used| *used != Money::ZERO);
    (thresholds, sums.into_iter().collect())
}

fn entries() -> impl Strategy<Value = Vec<(i64, i128)>> {
    prop::collection::vec((0..96_i64, -30..100_i128), 1..60)
}

fn budgets() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "period: daily\ntime_zone: Europe/Berlin",
        "period: daily\nrollover: none",
        "period: weekly",
        "period: rolling\nlength: 5d",
        "period: rolling\nlength: 100h",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_end_does_not_depend_on_the_way(
        period in budgets(),
        entries in entries(),
        shuffled in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let one = budget(&format!(
            "limit: 400\ncurrency: USD\n{period}\nthresholds:\n- {{percent: 50, action: notify_team}}\n\
             - {{percent: 100, action: block_requests}}"
        ));
        let segment = Segment(Vec::new());
        let entry = |(hour, amount): &(i64, i128)| Entry {
            time_us: START_US + hour * HOUR_US,
            segment: Segment(Vec::new()),
            amount: Money(amount * 1_000_000_000_000 + 1),
        };
        let end = Clock { since_us: START_US, as_of_us: START_US + 97 * HOUR_US };

        let (mut usage, mut at_once) = (Usage::default(), Table::default());
        for line in &entries {
            usage.add(&one, entry(line));
        }
        at_once.step(&one, &usage, &segment, end);

        let mut order = entries.clone();
        order.rotate_left(shuffled.index(entries.len()));
        if shuffled.index(2) == 1 {
            order.reverse();
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(order.len())).collect();
        cuts.push(order.len());
        cuts.sort_unstable();
        let (mut usage, mut by_parts) = (Usage::default(), Table::default());
        let mut from = 0;
        for (place, cut) in cuts.iter().enumerate() {
            for line in &order[from..*cut] {
                usage.add(&one, entry(line));
            }
            from = *cut;
            let hours = 97 * (place as i64 + 1) / cuts.len() as i64;
            let clock = Clock { since_us: START_US, as_of_us: START_US + hours * HOUR_US };
            by_parts.step(&one, &usage, &segment, clock);
        }
        by_parts.step(&one, &usage, &segment, end);
        prop_assert_eq!(stands(&by_parts), stands(&at_once));
        // The last state shows what a reader of everything would see, to a per cent.
        let facts = &by_parts.facts[&segment];
        let (_, shown) = facts.state().expect("a state").clone();
        let (_, truth) = standing(&one, &segment, &usage, facts, end).expect("a period");
        prop_assert_eq!(shown.status(), truth.status());
        prop_assert_eq!(shown.enforcement(), truth.enforcement());
        prop_assert_eq!(shown.basis_points().div_euclid(100), truth.basis_points().div_euclid(100));
    }
}
