//! History through a rule: when it would have fired.

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
}

impl Replay {
    /// A replay that finds no rows.
    pub(crate) fn nothing(from_us: i64, to_us: i64) -> Self {
        Self {
            actions: Vec::new(),
            from_us,
            to_us,
            segments: 0,
        }
    }
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
    if let Some(job) = jobs.get(&rule.job)
        && let Some(partials) = lake.existing(&job.table_name()).await?
    {
        let marks = partials.marks(&job.app_id()).await?;
        let watermark_us = Progress::of(job, &marks).watermark_us;
        let closed_us = watermark_us.map(|time_us| floor(time_us, rule.window_us));
        // A drain closes windows ahead of the watermark.
        let evaluated_us = match lake.existing(ACTIONS).await? {
            Some(actions) => actions.marks(MARKS).await?.get(&closed_id(rule)).copied(),
            None => None,
        };
        if let Some(closed_us) = closed_us.max(evaluated_us) {
            to_us = to_us.min(closed_us);
        }
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
    let decided = book.decide(range);
    let actions = decided
        .iter()
        .map(|(segment, one)| action(rule, segment, one, &evidence_of(&book, segment, one)));
    Ok(Replay {
        actions: actions.collect(),
        from_us,
        to_us,
        segments,
    })
}
