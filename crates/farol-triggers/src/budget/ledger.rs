//! What is to be said of a budget: a pure function of what was spent, of what was said before, and of how far event time is.
//!
//! ```text
//! usage: sums by period ──┐
//! facts: what was told ───┼──▶ decide ──▶ thresholds crossed or withdrawn, statements of closed periods, the state
//! clock: the watermark ───┘
//! ```
//!
//! * A **threshold** is told once in a period. Where late costs, an adjustment or an edit of the budget take the sum under
//!   it again, that is told as a withdrawal, one revision higher; and if it is crossed again, one higher still.
//! * When the watermark passes a period's end, the period is closed: its **statement** tells the sum. What comes later for it
//!   corrects the statement, one revision higher. A closed period is judged by the limit and the thresholds of its
//!   statement, whatever the budget says by then.
//! * The **state** of the open period is told when a gateway or a person would see a difference: a threshold, the limit, the
//!   period, or a whole per cent.
//!
//! There is no state beside usage and facts. So after what was decided is told, the same question has no answer.

use std::collections::BTreeSet;

use farol_jobs::Segment;

use super::definition::{Budget, Enforcement, Period, Rollover, Threshold};
use super::facts::Facts;
use super::money::Money;
use super::period::Span;
use super::standing::Standing;
use super::usage::{Roll, Usage};

/// Closed periods that are still judged: what comes for older ones is in the measures, and told no more.
pub const PERIODS_MAX: usize = 400;

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A threshold was reached, or is not reached any more.
    Threshold {
        /// Which.
        threshold: Threshold,
        /// Whether it is withdrawn.
        withdrawn: bool,
        /// What the budget has come to.
        standing: Standing,
    },
    /// What the open period has come to.
    State(Standing),
    /// What a closed period has come to.
    Statement(Standing),
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Of which segment.
    pub segment: Segment,
    /// Of which period.
    pub span: Span,
    /// 0 at first; one higher each time that it is told anew.
    pub revision: i64,
    /// What.
    pub said: Said,
}

/// How far event time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// The watermark when the budget was first looked at: earlier periods are not judged.
    pub since_us: i64,
    /// The watermark now.
    pub as_of_us: i64,
}

/// The first period that is judged, given what time it is; `None` beyond the years 0 to 9999.
pub fn first_span(budget: &Budget, clock: Clock) -> Option<Span> {
    let since = budget.period_at(clock.since_us)?;
    let open = budget.period_at(clock.as_of_us)?;
    if let Period::Rolling { length_us, step_us } = budget.period {
        let end_us = since.end_us.max(open.end_us - length_us + step_us);
        return Some(Span {
            start_us: end_us - length_us,
            end_us,
        });
    }
    let mut first = open;
    for _ in 0..PERIODS_MAX {
        if first.start_us <= since.start_us {
            break;
        }
        first = budget.period_before(first)?;
    }
    Some(first)
}

/// The first time whose spend matters.
pub fn usage_from_us(budget: &Budget, clock: Clock) -> Option<i64> {
    let first = first_span(budget, clock)?;
    // Of a rolling budget, the period just before the first one says whether a threshold was crossed already.
    Some(budget.period_before(first)?.start_us.min(first.start_us))
}

/// Decides what is to be told of one segment, in order.
pub fn decide(
    budget: &Budget,
    segment: &Segment,
    usage: &Usage,
    facts: &Facts,
    clock: Clock,
) -> Vec<Decision> {
    let told = match budget.period {
        Period::Calendar(_) => of_calendar(budget, segment, usage, facts, clock),
        Period::Rolling { length_us, step_us } => {
            of_rolling(budget, segment, usage, facts, clock, (length_us, step_us))
        }
    };
    // A time that no calendar has: there is nothing to say.
    let told = told.unwrap_or_default();
    told.into_iter()
        .map(|(span, revision, said)| Decision {
            segment: segment.clone(),
            span,
            revision,
            said,
        })
        .collect()
}

type Told = (Span, i64, Said);

/// What a segment has come to in the open period.
pub fn standing(
    budget: &Budget,
    segment: &Segment,
    usage: &Usage,
    facts: &Facts,
    clock: Clock,
) -> Option<(Span, Standing)> {
    let open = budget.period_at(clock.as_of_us)?;
    let mut limit = budget.limit;
    if let Rollover::Unused { .. } = budget.rollover {
        let mut carried = Money::ZERO;
        let mut span = first_span(budget, clock)?;
        while span.start_us < open.start_us {
            let standing = standing_in(budget, segment, usage, facts, span, carried);
            carried = carried_from(budget, &standing);
            span = budget.period_after(span)?;
        }
        limit = limit.plus(carried);
    }
    let used = usage.of(budget, segment, open);
    Some((open, Standing::new(limit, used, &budget.thresholds)))
}

/// What a period has come to: a closed one by what its statement says that it was judged by.
fn standing_in(
    budget: &Budget,
    segment: &Segment,
    usage: &Usage,
    facts: &Facts,
    span: Span,
    carried: Money,
) -> Standing {
    let used = usage.of(budget, segment, span);
    match facts.statements.get(&span) {
        Some((_, statement)) => {
            let thresholds: Vec<_> = statement.thresholds.iter().map(|(one, _)| *one).collect();
            Standing::new(statement.limit, used, &thresholds)
        }
        None => Standing::new(budget.limit.plus(carried), used, &budget.thresholds),
    }
}

/// What is added to the next period's limit.
fn carried_from(budget: &Budget, standing: &Standing) -> Money {
    match budget.rollover {
        Rollover::None => Money::ZERO,
        Rollover::Unused { cap } => standing.limit.minus(standing.used).clamp(Money::ZERO, cap),
    }
}

fn of_calendar(
    budget: &Budget,
    segment: &Segment,
    usage: &Usage,
    facts: &Facts,
    clock: Clock,
) -> Option<Vec<Told>> {
    let open = budget.period_at(clock.as_of_us)?;
    let mut span = first_span(budget, clock)?;
    let mut carried = Money::ZERO;
    let mut told = Vec::new();
    while span.start_us < open.start_us {
        let standing = standing_in(budget, segment, usage, facts, span, carried);
        carried = carried_from(budget, &standing);
        crossings(&mut told, facts, span, &standing);
        match facts.statements.get(&span) {
            Some((_, statement)) if *statement == standing => {}
            Some((revision, _)) => told.push((span, revision + 1, Said::Statement(standing))),
            // Of a period in which nothing happened, nothing is told.
            None if standing.used == Money::ZERO && !facts.states.contains_key(&span) => {}
            None => told.push((span, 0, Said::Statement(standing))),
        }
        span = budget.period_after(span)?;
    }
    let used = usage.of(budget, segment, open);
    let standing = Standing::new(budget.limit.plus(carried), used, &budget.thresholds);
    crossings(&mut told, facts, open, &standing);
    let is_known = match &facts.state {
        Some((span, known)) if *span == open => known.shows(&standing),
        // Who spends nothing any more, and had spent next to nothing, is not told of each day again.
        Some((_, known)) => {
            budget.by.is_some() && used == Money::ZERO && known.is_clean() && standing.is_clean()
        }
        None => budget.by.is_some() && used == Money::ZERO,
    };
    if !is_known {
        let revision = facts.next_state_revision(open);
        told.push((open, revision, Said::State(standing)));
    }
    Some(told)
}

/// Thresholds of a period that are to be told, or withdrawn.
fn crossings(told: &mut Vec<Told>, facts: &Facts, span: Span, standing: &Standing) {
    let crossed = standing.thresholds.iter().filter(|(_, crossed)| *crossed);
    let crossed: BTreeSet<_> = crossed.map(|(threshold, _)| *threshold).collect();
    let known = |threshold: &Threshold| facts.thresholds.get(&(span, *threshold)).copied();
    let mut tell = |threshold: Threshold, withdrawn: bool, revision: i64| {
        let said = Said::Threshold {
            threshold,
            withdrawn,
            standing: standing.clone(),
        };
        told.push((span, revision, said));
    };
    for threshold in &crossed {
        match known(threshold) {
            Some((_, true)) => {}
            Some((revision, false)) => tell(*threshold, false, revision + 1),
            None => tell(*threshold, false, 0),
        }
    }
    for ((_, threshold), (revision, stands)) in of_span(facts, span) {
        if *stands && !crossed.contains(threshold) {
            tell(*threshold, true, revision + 1);
        }
    }
}

/// What was told of the thresholds of a period.
fn of_span(facts: &Facts, span: Span) -> impl Iterator<Item = (&(Span, Threshold), &(i64, bool))> {
    let least = Threshold {
        percent: 0,
        action: Enforcement::NotifyTeam,
    };
    facts
        .thresholds
        .range((span, least)..)
        .take_while(move |((of, _), _)| *of == span)
}

fn of_rolling(
    budget: &Budget,
    segment: &Segment,
    usage: &Usage,
    facts: &Facts,
    clock: Clock,
    (length_us, step_us): (i64, i64),
) -> Option<Vec<Told>> {
    let since = budget.period_at(clock.since_us)?;
    let open = budget.period_at(clock.as_of_us)?;
    let first = first_span(budget, clock)?;
    let sums = usage.rolling(
        segment,
        Roll {
            length_us,
            step_us,
            first_us: first.end_us - step_us,
            last_us: open.end_us,
        },
    );
    let mut before = BTreeSet::new();
    let mut told = Vec::new();
    let mut now = Standing::new(budget.limit, Money::ZERO, &budget.thresholds);
    for (end_us, used) in sums {
        now = Standing::new(budget.limit, used, &budget.thresholds);
        let crossed = now.thresholds.iter().filter(|(_, crossed)| *crossed);
        let crossed: BTreeSet<_> = crossed.map(|(threshold, _)| *threshold).collect();
        let span = Span {
            start_us: end_us - length_us,
            end_us,
        };
        if end_us >= first.end_us {
            // What is crossed stays told by the period in which it began.
            let mut begins = now.clone();
            for (threshold, crossed) in &mut begins.thresholds {
                *crossed = *crossed && !before.contains(threshold);
            }
            let from = told.len();
            crossings(&mut told, facts, span, &begins);
            for (_, _, said) in &mut told[from..] {
                if let Said::Threshold { standing, .. } = said {
                    *standing = now.clone();
                }
            }
            before = crossed;
        } else if first.end_us > since.end_us {
            before = crossed;
        }
    }
    let is_known = match &facts.state {
        Some((_, known)) => known.shows(&now),
        None => budget.by.is_some() && now.used == Money::ZERO,
    };
    if !is_known {
        let revision = facts.next_state_revision(open);
        told.push((open, revision, Said::State(now)));
    }
    Some(told)
}
