//! Traces of a window that show what an alert is about.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::datasource::TableProvider;
use datafusion::prelude::SessionContext;
use farol_lake::{Lake, LakeError, Table};

use crate::error::TriggerError;
use crate::rule::Rule;
use crate::segment::Segment;
use crate::time::rfc3339;

/// Trace ids that an action shows.
const SAMPLES: usize = 5;

/// The tables that jobs read. The handles are kept: each has read its log, and reads on from there.
#[derive(Default)]
pub(crate) struct Inputs(BTreeMap<String, Table>);

impl Inputs {
    /// A table's rows as they are now; `None` where it is not there.
    pub async fn open(&mut self, lake: &Lake, name: &str) -> Result<Option<Input>, LakeError> {
        let table = match self.0.get(name) {
            Some(table) => table.clone(),
            None => match lake.existing(name).await? {
                Some(table) => self.0.entry(name.to_owned()).or_insert(table).clone(),
                None => return Ok(None),
            },
        };
        let version = table.refresh().await?;
        let rows = table.rows_at(version).await?;
        Ok(Some(Input { version, rows }))
    }
}

/// The rows of a table at one version: all that a step decides of a rule is shown by the same.
pub(crate) struct Input {
    /// The version.
    pub version: i64,
    rows: Arc<dyn TableProvider>,
}

impl Input {
    /// Finds some trace ids: those that failed first, or, for a measure of time, the slowest. `None` where a job's
    /// segment is no column of the table.
    pub async fn find(
        &self,
        rule: &Rule,
        segment: &Segment,
        window_us: i64,
        measure: Option<&str>,
    ) -> Result<Option<Vec<String>>, TriggerError> {
        let schema = self.rows.schema();
        if !rule
            .by
            .iter()
            .all(|name| schema.field_with_name(name).is_ok())
        {
            return Ok(None);
        }
        let context = SessionContext::new();
        context.register_table(rule.reads.as_str(), self.rows.clone())?;
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
        Ok(Some(samples))
    }
}
