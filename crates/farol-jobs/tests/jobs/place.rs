//! A lake on disk, calls to put into its traces, and jobs brought level with them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::util::display::array_value_to_string;
use farol_events::{Kind, table_schema};
use farol_jobs::step::{Runner, Stepped};
use farol_jobs::{Jobs, Sources, Tags, load, views};
use farol_lake::sql::Session;
use farol_lake::{Commit, Lake, Step, Table, TableSpec, Upload};
use futures::TryStreamExt as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::rows;

pub const HOUR_US: i64 = 3_600_000_000;
/// 2026-01-02T00:00:00Z.
pub const START_US: i64 = 1_767_312_000_000_000;
pub const DAY_US: i64 = 24 * HOUR_US;

/// A call.
#[derive(Debug, Clone)]
pub struct Call {
    pub time_us: i64,
    pub service: &'static str,
    pub status: &'static str,
    pub latency_ms: f64,
    pub tokens: i64,
    pub user: String,
}

/// Calls of two hours, a tenth of them up to a day late.
pub fn calls(count: usize) -> Vec<Call> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    (0..count)
        .map(|index| {
            let late = if rng.random_bool(0.1) {
                rng.random_range(0..DAY_US)
            } else {
                0
            };
            Call {
                time_us: START_US + (index as i64 * 2 * HOUR_US) / count as i64 - late,
                service: ["checkout", "search", "support"][rng.random_range(0..3)],
                status: if rng.random_bool(0.2) { "error" } else { "ok" },
                latency_ms: (rng.random::<f64>() * 8.0).exp(),
                tokens: rng.random_range(1..2_000),
                user: format!("user-{}", rng.random_range(0..800)),
            }
        })
        .collect()
}

pub fn batch(calls: &[Call]) -> RecordBatch {
    let schema = table_schema(Kind::Trace);
    let nothing = rows::null_batch(&schema, calls.len());
    let mut columns = nothing.columns().to_vec();
    let mut set = |name: &str, column: ArrayRef| columns[schema.index_of(name).unwrap()] = column;
    let times = calls.iter().map(|call| call.time_us).collect::<Vec<_>>();
    set(
        "event_time",
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
    );
    let text = |of: &dyn Fn(&Call) -> String| -> ArrayRef {
        Arc::new(
            calls
                .iter()
                .map(|call| Some(of(call)))
                .collect::<StringArray>(),
        )
    };
    set("service", text(&|call| call.service.to_owned()));
    set("status", text(&|call| call.status.to_owned()));
    set("user_id", text(&|call| call.user.clone()));
    set(
        "latency_ms",
        Arc::new(Float64Array::from_iter_values(
            calls.iter().map(|c| c.latency_ms),
        )),
    );
    set(
        "output_tokens",
        Arc::new(Int64Array::from_iter_values(calls.iter().map(|c| c.tokens))),
    );
    RecordBatch::try_new(schema, columns).unwrap()
}

pub struct Place {
    root: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self) -> &std::path::Path {
        self.root.path()
    }

    pub async fn lake(&self) -> Lake {
        Lake::open(
            self.root.path().to_str().unwrap(),
            std::collections::HashMap::new(),
        )
        .await
        .unwrap()
    }

    pub async fn traces(&self) -> Table {
        let lake = self.lake().await;
        lake.table("traces", &TableSpec::raw(Kind::Trace))
            .await
            .unwrap()
    }

    pub async fn runner(&self, job: &str) -> Runner {
        let jobs = shipped().await;
        Runner::open(&self.lake().await, jobs.get(job).unwrap().clone())
            .await
            .unwrap()
    }

    /// All rows of a query, as text.
    pub async fn ask(&self, sql: &str) -> Vec<Vec<String>> {
        self.ask_of(&shipped().await, sql).await
    }

    /// All rows of a query over these jobs, as text.
    pub async fn ask_of(&self, jobs: &Jobs, sql: &str) -> Vec<Vec<String>> {
        let session = Session::open(&self.lake().await).await.unwrap();
        views::register(&session, jobs).await.unwrap();
        let (_, stream) = session.query(sql).await.unwrap();
        let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
        let mut all = Vec::new();
        for batch in batches {
            for row in 0..batch.num_rows() {
                let cells = batch.columns().iter();
                all.push(
                    cells
                        .map(|c| array_value_to_string(c, row).unwrap())
                        .collect(),
                );
            }
        }
        all
    }

    /// Why a query is refused.
    pub async fn refused(&self, sql: &str) -> String {
        let session = Session::open(&self.lake().await).await.unwrap();
        views::register(&session, &shipped().await).await.unwrap();
        let refused = session.query(sql).await;
        refused.err().expect("a query that is refused").to_string()
    }

    pub async fn measures(&self) -> Vec<Vec<String>> {
        self.ask("SELECT * FROM performance ORDER BY window_start, service")
            .await
    }
}

pub async fn shipped() -> Jobs {
    load(&sources("/nowhere", true)).await.unwrap()
}

/// Jobs from a directory, and perhaps those that are part of Farol, as the configuration's defaults have them.
pub fn sources(dir: impl Into<PathBuf>, builtin: bool) -> Sources {
    Sources {
        dir: dir.into(),
        builtin,
        max_series: 100_000,
        tags: Tags::default(),
    }
}

/// Adds rows as one version, a file a day of event time.
pub async fn add(table: &Table, calls: &[Call]) {
    let mut days = BTreeMap::<i64, Vec<Call>>::new();
    for call in calls {
        days.entry(call.time_us.div_euclid(DAY_US))
            .or_default()
            .push(call.clone());
    }
    let mut uploads = Vec::new();
    for (day, calls) in days {
        uploads.push(
            table
                .upload(Some(day as i32), vec![batch(&calls)])
                .await
                .unwrap(),
        );
    }
    commit(table, uploads).await;
}

/// Commits files as one version of the traces, with the progress that they stand for.
pub async fn commit(table: &Table, uploads: Vec<Upload>) {
    let id = "farol/c/llm.traces@i/0".to_owned();
    let next = format!("{id}#next");
    let from = table.marks(&next).await.unwrap().get(&next).copied();
    let rows: u64 = uploads.iter().map(|upload| upload.rows).sum();
    let to = from.unwrap_or(0) + rows as i64;
    let step = Step {
        guard: next.clone(),
        from,
        marks: vec![(next, to), (format!("{id}#watermark_us"), START_US + to)],
    };
    table
        .commit(&Commit::append(vec![step], uploads))
        .await
        .unwrap();
}

pub async fn level(runner: &mut Runner) -> u64 {
    let mut partials = 0;
    loop {
        match runner.step().await.unwrap() {
            Stepped::Level => return partials,
            Stepped::Advanced { partials: more, .. } => partials += more,
            Stepped::Overtaken => {}
        }
    }
}
