//! The rows of a table that a rule is about: counted by minute and segment, and some of them as samples.
//!
//! ```text
//! rows that versions added ─┐
//! rows at a version ────────┴──when (SQL)──▶ counts by minute and segment; the first trace ids of a range
//! ```

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::datasource::TableProvider;
use farol_jobs::segment::name_list;
use farol_jobs::time::rfc3339;
use farol_jobs::{Segment, definition, duration};
use futures::TryStreamExt as _;

use super::counts::{Counts, is_others};
use crate::error::TriggerError;
use crate::rule::EventRule;

/// Trace ids that an action shows.
const SAMPLES: usize = 5;

/// Adds the rows of a range that a rule is about to its counts.
pub(super) async fn count(
    rule: &EventRule,
    rows: Arc<dyn TableProvider>,
    (from_us, to_us): (i64, i64),
    counts: &mut Counts,
) -> Result<(), TriggerError> {
    let by = &rule.rule.by;
    let window = duration::words(rule.rule.window_us);
    let names = name_list(by.iter());
    let sql = format!(
        "SELECT date_bin(INTERVAL '{window}', {time}) AS window_start{names}, count(*) AS events FROM {table} WHERE {range} \
         GROUP BY window_start{names} ORDER BY window_start{names}",
        time = rule.time,
        table = rule.table,
        range = range(rule, None, from_us, to_us),
    );
    let context = definition::context();
    context.register_table(&rule.table, rows)?;
    let mut batches = context.sql(&sql).await?.execute_stream().await?;
    while let Some(batch) = batches.try_next().await? {
        take(&batch, by.len(), counts)?;
    }
    Ok(())
}

fn take(batch: &RecordBatch, segments: usize, counts: &mut Counts) -> Result<(), TriggerError> {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let windows = cast(batch.column(0), &time)?;
    let windows = windows.as_primitive::<TimestampMicrosecondType>();
    let texts = (1..=segments)
        .map(|column| cast(batch.column(column), &DataType::Utf8))
        .collect::<Result<Vec<_>, _>>()?;
    let events = cast(batch.column(segments + 1), &DataType::Int64)?;
    let events = events.as_primitive::<Int64Type>();
    for row in 0..batch.num_rows() {
        let segment = texts.iter().map(|column| {
            let column = column.as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_owned())
        });
        let count = u64::try_from(events.value(row)).unwrap_or(0);
        counts.add(Segment(segment.collect()), windows.value(row), count);
    }
    Ok(())
}

/// What shows the first events of a segment in a range: trace ids; of dead letters the records' places.
pub(super) async fn samples(
    rule: &EventRule,
    rows: Arc<dyn TableProvider>,
    segment: &Segment,
    (from_us, to_us): (i64, i64),
) -> Result<Vec<String>, TriggerError> {
    let shown = match rule.table.as_str() {
        "dead_letters" => "concat(kafka_topic, '/', kafka_partition, '/', kafka_offset)",
        "costs" => "coalesce(trace_id, event_id)",
        _ => "trace_id",
    };
    let sql = format!(
        "SELECT {shown} AS shown FROM {table} WHERE {range} AND {shown} IS NOT NULL \
         GROUP BY shown ORDER BY min({time}), shown LIMIT {SAMPLES}",
        table = rule.table,
        range = range(rule, Some(segment), from_us, to_us),
        time = rule.time,
    );
    let context = definition::context();
    context.register_table(&rule.table, rows)?;
    let mut found = Vec::new();
    for batch in context.sql(&sql).await?.collect().await? {
        let column = cast(batch.column(0), &DataType::Utf8)?;
        let texts = column.as_string::<i32>().iter().flatten();
        found.extend(texts.map(ToOwned::to_owned));
    }
    Ok(found)
}

/// The query that gives how many events of a range a rule counts; `None` for a segment that stands for many.
pub(super) fn value_sql(
    rule: &EventRule,
    segment: &Segment,
    (from_us, to_us): (i64, i64),
) -> Option<String> {
    let range = range(rule, Some(segment), from_us, to_us);
    (!is_others(segment))
        .then(|| format!("SELECT count(*) AS value FROM {} WHERE {range}", rule.table))
}

/// The condition for a rule's rows in a range. The end of a line ends a comment that `when` may end with.
fn range(rule: &EventRule, segment: Option<&Segment>, from_us: i64, to_us: i64) -> String {
    let segment = segment.filter(|segment| !is_others(segment));
    let segment = segment.map_or_else(String::new, |segment| segment.to_sql(&rule.rule.by));
    format!(
        "{time} >= TIMESTAMP '{from}' AND {time} < TIMESTAMP '{to}'{segment} AND ({when}\n)",
        time = rule.time,
        from = rfc3339(from_us),
        to = rfc3339(to_us),
        when = rule.when.trim(),
    )
}
