//! Edits, rollover, rolling periods and periods in which nothing happens.

use farol_jobs::Segment;

use super::super::definition::Enforcement;
use super::super::ledger::{Clock, Decision, Said};
use super::super::standing::Status;
use super::super::usage::{Entry, Usage};
use super::{Table, budget};

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

fn spent(day: i64, hour: i64, amount: &str) -> Entry {
    Entry {
        time_us: day * DAY_US + hour * HOUR_US,
        segment: Segment(Vec::new()),
        amount: amount.parse().expect("an amount"),
    }
}

fn at(since_day: i64, hours: i64) -> Clock {
    Clock {
        since_us: since_day * DAY_US,
        as_of_us: hours * HOUR_US,
    }
}

/// What was told as one line each: what, the day of its period, revision, sum of limit.
fn lines(decided: &[Decision]) -> Vec<String> {
    let line = |one: &Decision| {
        let (what, standing) = match &one.said {
            Said::Threshold {
                threshold,
                withdrawn,
                standing,
            } => {
                let sign = if *withdrawn { "-" } else { "+" };
                (format!("{sign}{}%", threshold.percent), standing)
            }
            Said::State(standing) => (standing.status().as_str().to_owned(), standing),
            Said::Statement(standing) => ("closed".to_owned(), standing),
        };
        let day = one.span.start_us.div_euclid(DAY_US);
        format!(
            "{what} {day} r{} {}/{}",
            one.revision, standing.used, standing.limit
        )
    };
    decided.iter().map(line).collect()
}

const DAILY: &str = "currency: USD\nperiod: daily\nthresholds:\n- {percent: 80, action: switch_to_cheaper_model}\n\
                     - {percent: 100, action: block_requests}";

#[test]
fn an_edit_does_not_reset_and_a_new_day_opens_by_event_time() {
    let segment = Segment(Vec::new());
    let (mut usage, mut table) = (Usage::default(), Table::default());
    let small = budget(&format!("limit: 100\n{DAILY}"));
    let large = budget(&format!("limit: 200\n{DAILY}"));
    usage.add(&small, spent(10, 1, "99.999999999999"));
    let decided = table.step(&small, &usage, &segment, at(10, 10 * 24 + 2));
    assert_eq!(
        lines(&decided),
        [
            "+80% 10 r0 99.999999999999/100",
            "warning 10 r0 99.999999999999/100"
        ]
    );
    usage.add(&small, spent(10, 2, "0.000000000001"));
    let decided = table.step(&small, &usage, &segment, at(10, 10 * 24 + 3));
    assert_eq!(
        lines(&decided),
        ["+100% 10 r0 100/100", "exhausted 10 r1 100/100"]
    );
    // A higher limit: what was spent stays spent, and what was said is taken back.
    let decided = table.step(&large, &usage, &segment, at(10, 10 * 24 + 3));
    assert_eq!(
        lines(&decided),
        [
            "-80% 10 r1 100/200",
            "-100% 10 r1 100/200",
            "ok 10 r2 100/200"
        ]
    );
    // Spend of the next day does not open it; the watermark does.
    usage.add(&large, spent(11, 0, "170"));
    assert_eq!(
        lines(&table.step(&large, &usage, &segment, at(10, 10 * 24 + 23))),
        [""; 0]
    );
    let decided = table.step(&large, &usage, &segment, at(10, 11 * 24));
    assert_eq!(
        lines(&decided),
        [
            "closed 10 r0 100/200",
            "+80% 11 r0 170/200",
            "warning 11 r0 170/200"
        ]
    );
    // Late costs correct the closed day, and nothing of the open one; an edit does not touch it.
    usage.add(&small, spent(10, 5, "60"));
    let decided = table.step(&large, &usage, &segment, at(10, 11 * 24));
    assert_eq!(
        lines(&decided),
        ["+80% 10 r2 160/200", "closed 10 r1 160/200"]
    );
    let decided = table.step(&small, &usage, &segment, at(10, 11 * 24 + 1));
    assert_eq!(
        lines(&decided),
        ["+100% 11 r0 170/100", "exhausted 11 r1 170/100"]
    );
    // The day after, nothing is spent: calls are let through again.
    let decided = table.step(&small, &usage, &segment, at(10, 12 * 24));
    assert_eq!(lines(&decided), ["closed 11 r0 170/100", "ok 12 r0 0/100"]);
}

#[test]
fn what_is_unused_rolls_over_up_to_the_cap_and_follows_late_costs() {
    let segment = Segment(Vec::new());
    let (mut usage, mut table) = (Usage::default(), Table::default());
    let one = budget(&format!(
        "limit: 100\nrollover: unused\nrollover_cap: 50\n{DAILY}"
    ));
    usage.add(&one, spent(10, 1, "70"));
    table.step(&one, &usage, &segment, at(10, 10 * 24 + 2));
    let decided = table.step(&one, &usage, &segment, at(10, 11 * 24));
    assert_eq!(lines(&decided), ["closed 10 r0 70/100", "ok 11 r0 0/130"]);
    // Nothing is spent for a day: 130 are left, and 50 roll over.
    let decided = table.step(&one, &usage, &segment, at(10, 12 * 24));
    assert_eq!(lines(&decided), ["closed 11 r0 0/130", "ok 12 r0 0/150"]);
    // A late cost of the second day takes some of it.
    usage.add(&one, spent(11, 1, "100"));
    let decided = table.step(&one, &usage, &segment, at(10, 12 * 24));
    assert_eq!(lines(&decided), ["closed 11 r1 100/130", "ok 12 r1 0/130"]);
}

#[test]
fn a_rolling_budget_is_told_once_for_as_long_as_it_is_over() {
    let segment = Segment(Vec::new());
    let (mut usage, mut table) = (Usage::default(), Table::default());
    let one = budget(
        "limit: 100\ncurrency: USD\nperiod: rolling\nlength: 48h\nthresholds:\n- {percent: 100, action: block_requests}",
    );
    usage.add(&one, spent(10, 0, "60"));
    assert_eq!(
        lines(&table.step(&one, &usage, &segment, at(10, 240))),
        ["ok 8 r0 60/100"]
    );
    usage.add(&one, spent(10, 10, "60"));
    let decided = table.step(&one, &usage, &segment, at(10, 250));
    assert_eq!(
        lines(&decided),
        ["+100% 8 r0 120/100", "exhausted 8 r0 120/100"]
    );
    for hour in 251..288 {
        assert_eq!(
            lines(&table.step(&one, &usage, &segment, at(10, hour))),
            [""; 0],
            "{hour}"
        );
    }
    // The first has left the last two days: the block is lifted, which withdraws nothing.
    let decided = table.step(&one, &usage, &segment, at(10, 288));
    assert_eq!(lines(&decided), ["ok 10 r0 60/100"]);
    // Over once more: told once more, of another period.
    usage.add(&one, spent(12, 5, "45"));
    let decided = table.step(&one, &usage, &segment, at(10, 293));
    assert_eq!(
        lines(&decided),
        ["+100% 10 r0 105/100", "exhausted 10 r0 105/100"]
    );
    // And an adjustment takes it back.
    usage.add(&one, spent(12, 5, "-10"));
    let decided = table.step(&one, &usage, &segment, at(10, 293));
    assert_eq!(lines(&decided), ["-100% 10 r1 95/100", "ok 10 r1 95/100"]);
}

#[test]
fn the_strictest_action_is_enforced() {
    let segment = Segment(Vec::new());
    let (mut usage, mut table) = (Usage::default(), Table::default());
    let one = budget(&format!(
        "limit: 100\n{DAILY}\n- {{percent: 10, action: notify_finance}}"
    ));
    let mut enforced = Vec::new();
    for hour in 0..4 {
        usage.add(&one, spent(10, hour, "30"));
        for decision in table.step(&one, &usage, &segment, at(10, 241 + hour)) {
            if let Said::State(standing) = decision.said {
                enforced.push((standing.status(), standing.enforcement()));
            }
        }
    }
    let cheaper = Some(Enforcement::SwitchToCheaperModel);
    assert_eq!(
        enforced,
        [
            (Status::Warning, None),
            (Status::Warning, None),
            (Status::Warning, cheaper),
            (Status::Exhausted, Some(Enforcement::BlockRequests))
        ]
    );
}
