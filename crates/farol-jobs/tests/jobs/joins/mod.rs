//! Feedback and evaluations join the call that they are about, once, whatever comes first and whoever dies.

mod arrival;
mod matching;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use farol_events::{Kind, table_schema};
use farol_jobs::join::{self, Joiner, Search};
use farol_jobs::step::Stepped;
use farol_lake::maintenance::{CompactOptions, VacuumOptions, compact, vacuum};
use farol_lake::{Commit, Joined, Lake, Step, Table, TableSpec};
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::place::{DAY_US, HOUR_US, Place, START_US};
use crate::rows;

const SECOND_US: i64 = 1_000_000;

/// Offsets of one partition that all tables share: no two rows of a test have the same.
static NEXT: AtomicI64 = AtomicI64::new(0);

/// A row of any of the tables: what a test sets, the rest is null.
#[derive(Debug, Clone, Default)]
struct Row {
    time_us: i64,
    texts: BTreeMap<&'static str, String>,
    value: Option<f64>,
}

impl Row {
    fn at(time_us: i64) -> Self {
        Self {
            time_us,
            ..Self::default()
        }
    }

    fn with(mut self, column: &'static str, text: impl Into<String>) -> Self {
        self.texts.insert(column, text.into());
        self
    }

    fn value(self, value: f64) -> Self {
        Self {
            value: Some(value),
            ..self
        }
    }
}

/// A call of a trace; a root where it has no parent.
fn call(trace: &str, span: &str, parent: Option<&str>, time_us: i64) -> Row {
    let row = Row::at(time_us)
        .with("event_id", format!("call-{trace}-{span}"))
        .with("trace_id", trace)
        .with("span_id", span)
        .with("response_id", format!("answer-{trace}-{span}"))
        .with("service", format!("service-{}", trace.len() % 3))
        .with("model", "gpt")
        .with("prompt_version", "3");
    match parent {
        Some(parent) => row.with("parent_span_id", parent),
        None => row,
    }
}

/// A thumb for what `about` names.
fn thumb(id: &str, about: &[(&'static str, &str)], time_us: i64) -> Row {
    let row = Row::at(time_us)
        .with("event_id", id)
        .with("kind", "thumbs")
        .value(1.0);
    about
        .iter()
        .fold(row, |row, (column, text)| row.with(column, *text))
}

fn batch(kind: Kind, rows_of: &[Row]) -> RecordBatch {
    let schema = table_schema(kind);
    let mut columns = rows::null_batch(&schema, rows_of.len()).columns().to_vec();
    for (index, field) in schema.fields().iter().enumerate() {
        let name = field.name().as_str();
        let count = rows_of.len() as i64;
        let column: ArrayRef = match name {
            "event_time" => {
                let times: Vec<_> = rows_of.iter().map(|row| row.time_us).collect();
                Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
            }
            "value" | "score" => {
                let values = rows_of.iter().map(|row| row.value);
                Arc::new(values.collect::<Float64Array>())
            }
            "kafka_partition" | "kafka_entry" => Arc::new(Int32Array::from(vec![0; rows_of.len()])),
            "kafka_offset" => {
                let first = NEXT.fetch_add(count, Ordering::Relaxed);
                Arc::new(Int64Array::from_iter_values(first..first + count))
            }
            "kafka_topic" => Arc::new(StringArray::from(vec![kind.table(); rows_of.len()])),
            _ if rows_of.iter().any(|row| row.texts.contains_key(name)) => {
                let texts = rows_of.iter().map(|row| row.texts.get(name));
                Arc::new(texts.collect::<StringArray>())
            }
            _ => continue,
        };
        columns[index] = column;
    }
    RecordBatch::try_new(schema, columns).unwrap()
}

async fn table(lake: &Lake, kind: Kind) -> Table {
    lake.table(kind.table(), &TableSpec::raw(kind))
        .await
        .unwrap()
}

/// Adds rows as one version of their table.
async fn add(lake: &Lake, kind: Kind, rows: &[Row]) {
    let table = table(lake, kind).await;
    let mut days = BTreeMap::<i64, Vec<Row>>::new();
    for row in rows {
        let day = row.time_us.div_euclid(DAY_US);
        days.entry(day).or_default().push(row.clone());
    }
    let mut uploads = Vec::new();
    for (day, rows) in days {
        let upload = table.upload(Some(day as i32), vec![batch(kind, &rows)]);
        uploads.push(upload.await.unwrap());
    }
    let id = format!("farol/c/{}@i/0", kind.table());
    let next = format!("{id}#next");
    let from = table.marks(&next).await.unwrap().get(&next).copied();
    let to = from.unwrap_or(0) + rows.len() as i64;
    let step = Step {
        guard: next.clone(),
        from,
        marks: vec![(next, to), (format!("{id}#watermark_us"), START_US + to)],
    };
    let commit = Commit::append(vec![step], uploads);
    table.commit(&commit).await.unwrap();
}

async fn level(joiner: &mut Joiner) {
    while joiner.step(Search::Now).await.unwrap() != Stepped::Level {}
}

/// A join that knows nothing but the lake, brought level.
async fn level_anew(lake: &Lake, joined: Joined) {
    level(&mut Joiner::new(lake, joined)).await;
}

/// What is joined: event, span of the call, and when the call was.
async fn joined(place: &Place) -> Vec<[String; 3]> {
    let rows = place
        .ask(
            "SELECT event_id, trace_id || '/' || trace_span_id, CAST(event_time AS BIGINT), CAST(trace_time AS BIGINT) \
             FROM feedback_joined ORDER BY 1, 2, 3",
        )
        .await;
    rows.into_iter()
        .map(|row| {
            assert_eq!(row[2], row[3]);
            [row[0].clone(), row[1].clone(), row[2].clone()]
        })
        .collect()
}

/// Read, joined, repeated, unmatched.
async fn counts(lake: &Lake, joined: Joined) -> [i64; 4] {
    let status = join::status(lake).await.unwrap();
    let of = status.iter().find(|of| of.table == joined.table()).unwrap();
    assert_eq!((of.behind, &of.error), (0, &None));
    [of.read, of.joined, of.repeated, of.unmatched]
}
