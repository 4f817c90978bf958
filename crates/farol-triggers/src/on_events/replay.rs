//! History through a rule on single events: when it would have fired.

use std::sync::Arc;

use farol_jobs::time::{floor, now_us};
use farol_lake::Lake;

use super::{EventBook, Seen, rows};
use crate::error::TriggerError;
use crate::lifecycle::Range;
use crate::replay::Replay;
use crate::rule::EventRule;

/// Runs a rule over the events from one time to another, as if nothing had been published before. Writes nothing.
///
/// # Errors
/// Where events cannot be read.
pub async fn replay(
    lake: &Lake,
    rule: &Arc<EventRule>,
    from_us: i64,
    to_us: i64,
) -> Result<Replay, TriggerError> {
    let width_us = rule.rule.window_us;
    let (from_us, to_us) = (floor(from_us, width_us), floor(to_us, width_us));
    let mut book = EventBook::new(rule.clone());
    let Some(table) = lake.existing(&rule.table).await? else {
        return Ok(Replay::nothing(from_us, to_us, width_us));
    };
    let seen = Seen::of(&table, rule).await?;
    // As in a drain, all that there is counts, though the watermark may be behind it.
    let to_us = to_us.min(floor(now_us(), width_us)).max(from_us);
    let events_from_us = from_us.saturating_sub(rule.within_us);
    let all = table.rows_at(seen.version).await?;
    rows::count(rule, all, (events_from_us, to_us), &mut book.counts).await?;
    let range = Range {
        horizon_us: from_us,
        ..book.book.range(from_us, to_us)
    };
    let (decided, counts) = book.judge(range, to_us);
    let told = decided.iter().map(|(segment, one)| {
        let evidence = book.evidence(segment, one, seen.version);
        book.action(segment, one, &evidence, &counts)
    });
    Ok(Replay {
        actions: told.collect(),
        from_us,
        to_us,
        segments: book.book.history.segments().count(),
        first_us: book.book.history.first_us(from_us),
        window_us: width_us,
    })
}
