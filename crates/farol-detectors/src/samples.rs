//! Traces that show what an alert or a finding is about.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::DataFusionError;
use datafusion::datasource::TableProvider;
use datafusion::prelude::SessionContext;
use farol_jobs::segment::{Segment, name_list};
use farol_jobs::time::rfc3339;
use farol_lake::{Lake, LakeError, Table};
use futures::TryStreamExt as _;

/// Trace ids that an action shows.
const SAMPLES: usize = 5;

/// Segments that the query itself picks out; of more, the rows of the whole window are looked at.
const SEGMENTS_NAMED: usize = 32;

/// The tables that jobs read. The handles are kept: each has read its log, and reads on from there.
#[derive(Default)]
pub struct Inputs(BTreeMap<String, Table>);

impl Inputs {
    /// A table's rows as they are now; `None` where it is not there.
    ///
    /// # Errors
    /// Where the lake cannot be read.
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

/// Where to look for traces.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub reads: &'a str,
    /// The columns that segments are made of.
    pub by: &'a [String],
    /// The beginning of the range of event times, in microseconds.
    pub from_us: i64,
    /// Its end, which is not included.
    pub to_us: i64,
}

/// The rows of a table at one version: all that a step decides is shown by the same.
pub struct Input {
    /// The version.
    pub version: i64,
    rows: Arc<dyn TableProvider>,
}

/// Which traces show what happened to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// Those that failed, the slowest of them first; then the slowest.
    Failed,
    /// The slowest.
    Slowest,
}

impl Telling {
    /// What a measure is told by.
    pub fn of(measure: Option<&str>) -> Self {
        match measure {
            Some(measure) if measure.ends_with("_ms") => Self::Slowest,
            _ => Self::Failed,
        }
    }
}

impl Input {
    /// Finds some trace ids of each segment in one pass over the range. `None` where a segment is no column of the
    /// table.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    pub async fn find(
        &self,
        place: Place<'_>,
        wanted: &[(Segment, Telling)],
    ) -> Result<Option<HashMap<Segment, Vec<String>>>, DataFusionError> {
        let schema = self.rows.schema();
        let has = |name: &String| schema.field_with_name(name).is_ok();
        if !place.by.iter().all(has) {
            return Ok(None);
        }
        let context = SessionContext::new();
        context.register_table(place.reads, self.rows.clone())?;
        let mut found: HashMap<_, _> = wanted
            .iter()
            .map(|(segment, telling)| (segment.clone(), Top::new(*telling)))
            .collect();
        let sql = query(place, wanted);
        let mut batches = context.sql(&sql).await?.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            take(&mut found, &batch)?;
        }
        let ids = |top: Top| top.rows.into_iter().map(|row| row.trace_id).collect();
        Ok(Some(
            found
                .into_iter()
                .map(|(segment, top)| (segment, ids(top)))
                .collect(),
        ))
    }
}

/// The query for the rows of a range: trace id, whether it failed, how long it took, and its segment.
fn query(place: Place<'_>, wanted: &[(Segment, Telling)]) -> String {
    let segments = if wanted.len() > SEGMENTS_NAMED {
        String::new()
    } else {
        let segments = wanted
            .iter()
            .map(|(segment, _)| format!("(true{})", segment.to_sql(place.by)));
        format!(" AND ({})", segments.collect::<Vec<_>>().join(" OR "))
    };
    format!(
        "SELECT trace_id, status IS NOT NULL AND status <> 'ok' AS failed, latency_ms{} FROM {} \
         WHERE event_time >= TIMESTAMP '{}' AND event_time < TIMESTAMP '{}' AND trace_id IS NOT NULL{segments}",
        name_list(place.by.iter()),
        place.reads,
        rfc3339(place.from_us),
        rfc3339(place.to_us),
    )
}

/// One trace.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    failed: bool,
    latency_ms: Option<f64>,
    trace_id: String,
}

/// The rows of one segment that tell most.
struct Top {
    telling: Telling,
    /// The most telling first.
    rows: Vec<Row>,
}

impl Top {
    fn new(telling: Telling) -> Self {
        Self {
            telling,
            rows: Vec::with_capacity(SAMPLES + 1),
        }
    }

    /// Whether one row is to be shown rather than another.
    fn order(&self, a: &Row, b: &Row) -> Ordering {
        let failed = match self.telling {
            Telling::Failed => b.failed.cmp(&a.failed),
            Telling::Slowest => Ordering::Equal,
        };
        let unknown = a.latency_ms.is_none().cmp(&b.latency_ms.is_none());
        let time = |row: &Row| row.latency_ms.unwrap_or_default();
        failed
            .then(unknown)
            .then_with(|| time(b).total_cmp(&time(a)))
            .then_with(|| a.trace_id.cmp(&b.trace_id))
    }

    fn take(&mut self, row: Row) {
        let place = self
            .rows
            .partition_point(|known| self.order(known, &row).is_lt());
        // A trace has many calls; it is shown once, for the one that tells most.
        let same = |known: &Row| known.trace_id == row.trace_id;
        if place >= SAMPLES || self.rows[..place].iter().any(same) {
            return;
        }
        self.rows.retain(|known| !same(known));
        self.rows.insert(place, row);
        self.rows.truncate(SAMPLES);
    }
}

fn take(found: &mut HashMap<Segment, Top>, batch: &RecordBatch) -> Result<(), DataFusionError> {
    let texts = |column: usize| cast(batch.column(column), &DataType::Utf8);
    let ids = texts(0)?;
    let ids = ids.as_string::<i32>();
    let failed = batch.column(1).as_boolean();
    let latency = cast(batch.column(2), &DataType::Float64)?;
    let latency = latency.as_primitive::<Float64Type>();
    let segments = (3..batch.num_columns())
        .map(texts)
        .collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        let segment = segments.iter().map(|column| {
            let column = column.as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_owned())
        });
        if let Some(top) = found.get_mut(&Segment(segment.collect())) {
            top.take(Row {
                failed: failed.is_valid(row) && failed.value(row),
                latency_ms: latency.is_valid(row).then(|| latency.value(row)),
                trace_id: ids.value(row).to_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(trace_id: &str, failed: bool, latency_ms: Option<f64>) -> Row {
        Row {
            failed,
            latency_ms,
            trace_id: trace_id.to_owned(),
        }
    }

    fn shown(telling: Telling, rows: &[Row]) -> Vec<String> {
        let mut top = Top::new(telling);
        for row in rows {
            top.take(row.clone());
        }
        top.rows.into_iter().map(|row| row.trace_id).collect()
    }

    #[test]
    fn what_failed_or_was_slow_is_shown_first_whatever_the_order() {
        let mut rows = vec![
            row("unknown", false, None),
            row("slow", false, Some(900.0)),
            row("failed", true, Some(10.0)),
            row("failed-late", true, Some(20.0)),
            row("failed-unknown", true, None),
            row("quick", false, Some(1.0)),
            row("same", false, Some(1.0)),
            row("failed", false, Some(15.0)),
        ];
        let failed = ["failed-late", "failed", "failed-unknown", "slow", "quick"];
        let slowest = ["slow", "failed-late", "failed", "quick", "same"];
        for _ in 0..rows.len() {
            rows.rotate_left(1);
            assert_eq!(shown(Telling::Failed, &rows), failed);
            assert_eq!(shown(Telling::Slowest, &rows), slowest);
        }
    }

    #[test]
    fn the_measure_says_what_tells() {
        assert_eq!(Telling::of(Some("latency_p95_ms")), Telling::Slowest);
        assert_eq!(Telling::of(Some("error_rate")), Telling::Failed);
        assert_eq!(Telling::of(None), Telling::Failed);
    }
}
