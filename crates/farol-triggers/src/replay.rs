//! History through a rule: when it would have fired.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use farol_jobs::{Jobs, Progress, views};
use farol_lake::sql::Session;
use farol_lake::{ACTIONS, Lake};

use crate::action::{Action, action};
use crate::book::{Book, closed_id};
use crate::error::TriggerError;
use crate::evidence::evidence_of;
use crate::lifecycle::Range;
use crate::outbox::MARKS;
use crate::rule::Rule;
use farol_jobs::time::floor;

/// What a replay shows.
#[derive(Debug)]
pub struct Replay {
    /// What would have been published, in order.
    pub actions: Vec<Action>,
    /// The first window that was evaluated, in microseconds.
    pub from_us: i64,
    /// The end of the last one: not past the watermark.
    pub to_us: i64,
    /// Segments that have rows.
    pub segments: usize,
    /// The first window of the range that has rows; `None` where none has.
    pub first_us: Option<i64>,
    /// The width of its windows, in microseconds.
    pub window_us: i64,
}

/// One hour, in microseconds.
const HOUR_US: i64 = 3_600_000_000;

/// How much of a range a rule would have been firing, by the hours that have rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firing {
    /// Hours in which it would have been firing for any segment, at least for a while.
    pub hours: i64,
    /// Hours of the range, from the first row on.
    pub of_hours: i64,
}

impl Replay {
    /// A replay that finds no rows.
    pub(crate) fn nothing(from_us: i64, to_us: i64, window_us: i64) -> Self {
        Self {
            actions: Vec::new(),
            from_us,
            to_us,
            segments: 0,
            first_us: None,
            window_us,
        }
    }

    /// Counts the hours in which the rule would have been firing.
    #[must_use]
    pub fn firing(&self) -> Firing {
        let hour = |time_us: i64| time_us.div_euclid(HOUR_US);
        let Some(first_us) = self.first_us.filter(|first_us| *first_us < self.to_us) else {
            return Firing {
                hours: 0,
                of_hours: 0,
            };
        };
        // Actions come by time, so the one before of a segment is the last that was seen.
        let mut since: BTreeMap<&str, i64> = BTreeMap::new();
        let mut hours = BTreeSet::new();
        for action in &self.actions {
            if action.transition.state.fires() {
                since.entry(&action.segment).or_insert(action.window_us);
            } else if let Some(from_us) = since.remove(action.segment.as_str()) {
                hours.extend(hour(from_us)..=hour(action.window_us - self.window_us));
            }
        }
        for from_us in since.into_values() {
            hours.extend(hour(from_us)..=hour(self.to_us - self.window_us));
        }
        Firing {
            hours: i64::try_from(hours.len()).unwrap_or(i64::MAX),
            of_hours: hour(self.to_us - self.window_us) - hour(first_us) + 1,
        }
    }
}

/// Runs a rule over the newest windows that are closed, as far back as `span_us`. `None` where none is.
///
/// # Errors
/// Where measures cannot be read.
pub async fn replay_newest(
    lake: &Lake,
    jobs: &Jobs,
    rule: &Arc<Rule>,
    span_us: i64,
) -> Result<Option<Replay>, TriggerError> {
    let Some(closed_us) = closed_us(lake, jobs, rule).await? else {
        return Ok(None);
    };
    let from_us = closed_us.saturating_sub(span_us);
    replay(lake, jobs, rule, from_us, closed_us).await.map(Some)
}

/// The end of the windows that are closed; `None` where the job has not come to any.
async fn closed_us(
    lake: &Lake,
    jobs: &Jobs,
    rule: &Arc<Rule>,
) -> Result<Option<i64>, TriggerError> {
    let Some(job) = jobs.get(&rule.job) else {
        return Ok(None);
    };
    let Some(partials) = lake.existing(&job.table_name()).await? else {
        return Ok(None);
    };
    let marks = partials.marks(&job.app_id()).await?;
    let watermark_us = Progress::of(job, &marks).watermark_us;
    let closed_us = watermark_us.map(|time_us| floor(time_us, rule.window_us));
    // A drain closes windows ahead of the watermark.
    let evaluated_us = match lake.existing(ACTIONS).await? {
        Some(actions) => actions.marks(MARKS).await?.get(&closed_id(rule)).copied(),
        None => None,
    };
    Ok(closed_us.max(evaluated_us))
}

/// Runs a rule over the windows from one time to another, as if nothing had been published before. Writes nothing.
///
/// # Errors
/// Where measures cannot be read.
pub async fn replay(
    lake: &Lake,
    jobs: &Jobs,
    rule: &Arc<Rule>,
    from_us: i64,
    to_us: i64,
) -> Result<Replay, TriggerError> {
    let session = Session::open(lake).await?;
    views::register(&session, jobs).await?;
    let from_us = floor(from_us, rule.window_us);
    let mut to_us = floor(to_us, rule.window_us);
    if let Some(closed_us) = closed_us(lake, jobs, rule).await? {
        to_us = to_us.min(closed_us);
    }
    let mut book = Book::new(rule.clone());
    let to_us = to_us.max(from_us);
    let range = Range {
        horizon_us: from_us,
        ..book.range(from_us, to_us)
    };
    let rows_from_us = book.rows_from_us(range);
    book.history
        .load(&session, rule, rows_from_us, Some(to_us))
        .await?;
    let segments = book.history.segments().count();
    let first_us = book.history.first_us(from_us);
    let decided = book.decide(range);
    let actions = decided
        .iter()
        .map(|(segment, one)| action(rule, segment, one, &evidence_of(&book, segment, one)));
    Ok(Replay {
        actions: actions.collect(),
        from_us,
        to_us,
        segments,
        first_us,
        window_us: rule.window_us,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Message;
    use crate::lifecycle::{Cause, Decided, State, Transition};
    use crate::rule::Severity;

    const MINUTE_US: i64 = 60_000_000;

    fn action(segment: &str, minute: i64, previous: State, state: State) -> Action {
        let decided = Decided {
            window_us: minute * MINUTE_US,
            transition: Transition {
                cause: Cause::Changed,
                state,
                previous,
                severity: Severity::Warning,
                since_us: minute * MINUTE_US,
            },
            revision: 0,
        };
        let message = Message {
            rule: "r",
            segment: serde_json::json!({"service": segment}),
            width_us: MINUTE_US,
            decided: &decided,
            evidence: serde_json::Value::Null,
            runbook: None,
            error: None,
            finding: None,
            count: None,
        };
        message.action()
    }

    fn firing(actions: Vec<Action>, first_minute: Option<i64>) -> (i64, i64) {
        let replay = Replay {
            actions,
            from_us: 0,
            to_us: 600 * MINUTE_US,
            segments: 2,
            first_us: first_minute.map(|minute| minute * MINUTE_US),
            window_us: MINUTE_US,
        };
        let Firing { hours, of_hours } = replay.firing();
        (hours, of_hours)
    }

    #[test]
    fn hours_of_firing_are_counted_once_whoever_fires() {
        let (ok, warning, recovered) = (State::Ok, State::Warning, State::Recovered);
        assert_eq!(firing(Vec::new(), Some(0)), (0, 10));
        assert_eq!(firing(Vec::new(), Some(130)), (0, 8));
        assert_eq!(firing(Vec::new(), None), (0, 0));
        let both = vec![
            action("a", 70, ok, warning),
            action("b", 75, ok, warning),
            action("a", 180, warning, recovered),
            action("b", 181, warning, recovered),
        ];
        assert_eq!(
            firing(both, Some(0)),
            (3, 10),
            "hours 1 and 2, and a minute of 3"
        );
        let on = vec![
            action("a", 70, ok, warning),
            action("a", 370, warning, warning),
        ];
        assert_eq!(firing(on, Some(0)), (9, 10), "it does not recover");
    }
}
