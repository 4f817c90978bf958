//! Traces of a window that show what an alert is about.

use arrow::array::{Array as _, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::prelude::SessionContext;
use farol_lake::Lake;

use crate::error::TriggerError;
use crate::rule::Rule;
use crate::segment::Segment;
use crate::time::rfc3339;

/// Trace ids that an action shows.
const SAMPLES: usize = 5;

/// Finds some trace ids: those that failed first, or, for a measure of time, the slowest. With the version of `traces`
/// that was read. Where a job's segment is no column of the table, there are none.
pub(crate) async fn find(
    lake: &Lake,
    rule: &Rule,
    segment: &Segment,
    window_us: i64,
    measure: Option<&str>,
) -> Result<(Option<i64>, Vec<String>), TriggerError> {
    let Some(table) = lake.existing(&rule.reads).await? else {
        return Ok((None, Vec::new()));
    };
    let has = |name: &String| table.schema().field_with_name(name).is_ok();
    if !rule.by.iter().all(has) {
        return Ok((None, Vec::new()));
    }
    let version = table.refresh().await?;
    let context = SessionContext::new();
    context.register_table(rule.reads.as_str(), table.rows_at(version).await?)?;
    let failed = "(status IS NOT NULL AND status <> 'ok') DESC, ";
    let first = if measure.is_some_and(|measure| measure.ends_with("_ms")) {
        ""
    } else {
        failed
    };
    let sql = format!(
        "SELECT trace_id FROM {} WHERE event_time >= TIMESTAMP '{}' AND event_time < TIMESTAMP '{}' \
         AND trace_id IS NOT NULL{} ORDER BY {first}latency_ms DESC NULLS LAST, trace_id LIMIT {SAMPLES}",
        rule.reads,
        rfc3339(window_us),
        rfc3339(window_us + rule.window_us),
        segment.to_sql(&rule.by),
    );
    let mut samples = Vec::new();
    for batch in context.sql(&sql).await?.collect().await? {
        let ids = cast(batch.column(0), &DataType::Utf8)?;
        let ids = ids.as_string::<i32>();
        samples.extend((0..ids.len()).map(|row| ids.value(row).to_owned()));
    }
    Ok((Some(version), samples))
}
