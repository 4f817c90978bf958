//! Jobs whose SQL looks at several rows: windows computed whole, the same whatever the order and the versions.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::util::display::array_value_to_string;
use farol_events::{Kind, table_schema};
use farol_jobs::compact::compact;
use farol_jobs::step::{Runner, Stepped};
use farol_jobs::{Job, JobError, Jobs, Sources, load, progress, replace, views};
use farol_lake::maintenance::CompactOptions;
use farol_lake::sql::Session;
use farol_lake::{Commit, Lake, Step, Table, TableSpec};
use futures::TryStreamExt as _;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::place::sources;
use crate::rows;

const MINUTE_US: i64 = 60_000_000;
/// 2026-01-02T00:00:00Z.
const START_US: i64 = 1_767_312_000_000_000;
/// Spans of one trace are at most so far apart.
const REACH_US: i64 = 5 * MINUTE_US;

const YAML: &str = "name: trace_times\nreads: traces\nwindow: 1m\nmode: recompute\nreach: 5m\nsegments: [service]\n\
    partials: {traces: sum, spans: sum, duration: quantiles}\n\
    measures:\n  spans_per_trace: {expr: spans / traces}\n  duration_p95_ms: {expr: 'quantile(duration, 0.95)'}\n";

/// A trace counts in the window in which it ends; those without an end are not measured.
const SQL: &str = "SELECT max(event_time) AS event_time, min(service) AS service, 1 AS traces, count(*) AS spans,\n\
    CAST(max(event_time) AS BIGINT) / 1000.0 - min(CAST(event_time AS BIGINT) / 1000.0 - latency_ms) AS duration\n\
    FROM traces GROUP BY trace_id HAVING NOT bool_or(status = 'timeout')\n";

#[derive(Debug, Clone)]
struct Span {
    trace: usize,
    time_us: i64,
    service: &'static str,
    status: &'static str,
    latency_ms: f64,
}

fn span(trace: usize, time_us: i64) -> Span {
    Span {
        trace,
        time_us,
        service: "search",
        status: "ok",
        latency_ms: 10.0,
    }
}

/// Traces of half an hour, each of a few spans within four minutes.
fn spans(traces: usize) -> Vec<Span> {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut spans = Vec::new();
    for trace in 0..traces {
        let begin = START_US + rng.random_range(0..30 * MINUTE_US);
        let service = ["checkout", "search"][rng.random_range(0..2)];
        for _ in 0..rng.random_range(1..6) {
            spans.push(Span {
                time_us: begin + rng.random_range(0..4 * MINUTE_US),
                service,
                latency_ms: f64::from(rng.random_range(1..500)),
                ..span(trace, 0)
            });
        }
    }
    spans
}

fn batch(spans: &[Span]) -> RecordBatch {
    let schema = table_schema(Kind::Trace);
    let nothing = rows::null_batch(&schema, spans.len());
    let mut columns = nothing.columns().to_vec();
    let mut set = |name: &str, column: ArrayRef| columns[schema.index_of(name).unwrap()] = column;
    let times = spans.iter().map(|span| span.time_us).collect::<Vec<_>>();
    let times = TimestampMicrosecondArray::from(times).with_timezone("UTC");
    set("event_time", Arc::new(times));
    let text = |of: &dyn Fn(&Span) -> String| -> ArrayRef {
        Arc::new(
            spans
                .iter()
                .map(|span| Some(of(span)))
                .collect::<StringArray>(),
        )
    };
    set("trace_id", text(&|span| format!("trace-{}", span.trace)));
    set("service", text(&|span| span.service.to_owned()));
    set("status", text(&|span| span.status.to_owned()));
    let latency = Float64Array::from_iter_values(spans.iter().map(|span| span.latency_ms));
    set("latency_ms", Arc::new(latency));
    RecordBatch::try_new(schema, columns).unwrap()
}

struct Place {
    root: tempfile::TempDir,
    jobs: Jobs,
}

async fn jobs(dir: &Path, yaml: &str, sql: &str) -> Jobs {
    std::fs::create_dir_all(dir.join("jobs")).unwrap();
    std::fs::write(dir.join("jobs/trace_times.yaml"), yaml).unwrap();
    std::fs::write(dir.join("jobs/trace_times.sql"), sql).unwrap();
    let sources = Sources {
        max_series: 100,
        ..sources(dir, false)
    };
    load(&sources).await.unwrap()
}

/// A job that computes its windows whole.
pub async fn job_of_whole_windows() -> Arc<Job> {
    let place = Place::new().await;
    place.jobs.get("trace_times").unwrap().clone()
}

impl Place {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let jobs = jobs(&root.path().join("pipelines"), YAML, SQL).await;
        Self { root, jobs }
    }

    async fn lake(&self) -> Lake {
        let uri = self.root.path().join("lake");
        Lake::open(uri.to_str().unwrap(), HashMap::new())
            .await
            .unwrap()
    }

    async fn traces(&self) -> Table {
        let spec = TableSpec::raw(Kind::Trace);
        self.lake().await.table("traces", &spec).await.unwrap()
    }

    async fn runner(&self) -> Runner {
        let job = self.jobs.get("trace_times").unwrap().clone();
        Runner::open(&self.lake().await, job).await.unwrap()
    }

    /// All rows of a query, as text.
    async fn ask(&self, sql: &str) -> Vec<Vec<String>> {
        let session = Session::open(&self.lake().await).await.unwrap();
        views::register(&session, &self.jobs).await.unwrap();
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

    /// Every window, sketches to the byte.
    async fn windows(&self) -> Vec<Vec<String>> {
        self.ask(
            "SELECT window_start, service, traces, spans, duration FROM trace_times ORDER BY 1, 2",
        )
        .await
    }
}

/// Adds rows as one version.
async fn add(table: &Table, spans: &[Span]) {
    let day = (START_US / (24 * 60 * MINUTE_US)) as i32;
    let upload = table.upload(Some(day), vec![batch(spans)]).await.unwrap();
    let id = "farol/c/llm.traces@i/0#next".to_owned();
    let from = table.marks(&id).await.unwrap().get(&id).copied();
    let step = Step {
        guard: id.clone(),
        from,
        marks: vec![(id, from.unwrap_or(0) + spans.len() as i64)],
    };
    table
        .commit(&Commit::append(vec![step], vec![upload]))
        .await
        .unwrap();
}

async fn level(runner: &mut Runner) {
    while runner.step().await.unwrap() != Stepped::Level {}
}

/// What the SQL means, worked out by hand: traces and spans by the window and service in which a trace ends.
fn expected(spans: &[Span]) -> BTreeMap<(i64, &'static str), (i64, i64)> {
    let mut traces = BTreeMap::<usize, (i64, &'static str, i64)>::new();
    for span in spans {
        let known = traces.entry(span.trace).or_insert((0, span.service, 0));
        known.0 = known.0.max(span.time_us);
        known.2 += 1;
    }
    let mut windows = BTreeMap::<_, (i64, i64)>::new();
    for (end_us, service, spans) in traces.into_values() {
        let window = windows
            .entry((end_us - end_us.rem_euclid(MINUTE_US), service))
            .or_default();
        window.0 += 1;
        window.1 += spans;
    }
    windows
}

#[tokio::test]
async fn windows_are_whole_whatever_the_order_the_versions_and_the_writers() {
    let spans = spans(400);
    let orderly = Place::new().await;
    add(&orderly.traces().await, &spans).await;
    level(&mut orderly.runner().await).await;
    let windows = orderly.windows().await;
    let by_hand = expected(&spans);
    assert_eq!(windows.len(), by_hand.len());
    for (window, ((_, service), (traces, count))) in windows.iter().zip(&by_hand) {
        let told = [*service, &traces.to_string(), &count.to_string()];
        assert_eq!(window[1..4], told, "{window:?}");
    }

    // Spans of one trace in different versions, taken by two runners that get in each other's way.
    let shuffled = Place::new().await;
    let table = shuffled.traces().await;
    let mut other = spans.clone();
    other.shuffle(&mut ChaCha8Rng::seed_from_u64(3));
    let (mut one, mut two) = (shuffled.runner().await, shuffled.runner().await);
    let mut overtaken = 0;
    for part in other.chunks(spans.len() / 5 + 1) {
        add(&table, part).await;
        let (first, second) = tokio::join!(one.step(), two.step());
        for stepped in [first.unwrap(), second.unwrap()] {
            overtaken += u32::from(stepped == Stepped::Overtaken);
        }
    }
    level(&mut one).await;
    assert!(overtaken > 0, "the fence was never needed");
    assert_eq!(shuffled.windows().await, windows);

    // A wider window is the merge of whole windows.
    let totals = shuffled
        .ask("SELECT sum(traces), sum(spans) FROM measures('trace_times', '1 hour')")
        .await;
    assert_eq!(totals[0], ["400".to_owned(), spans.len().to_string()]);

    // Superseded revisions go with compaction, and nothing else does.
    let count = "SELECT count(*) FROM partials.trace_times";
    let before: usize = shuffled.ask(count).await[0][0].parse().unwrap();
    let report = compact(&mut one, &CompactOptions::at_once()).await.unwrap();
    assert!(report.files_removed > 0);
    let after: usize = shuffled.ask(count).await[0][0].parse().unwrap();
    assert!(after < before, "{before} became {after}");
    assert_eq!(shuffled.windows().await, windows);

    // Computed again over the range, it is the same.
    let (from, to) = (START_US, START_US + 40 * MINUTE_US);
    let mut plan = replace::plan(&one, from, to).await.unwrap();
    while plan.done < plan.pieces.len() {
        replace::next_piece(&mut one, &mut plan).await.unwrap();
    }
    assert_eq!(shuffled.windows().await, windows);
    let version = shuffled.traces().await.refresh().await.unwrap();
    let at = progress::progress(one.output(), one.job()).await.unwrap();
    assert_eq!(at.version, Some(version));
}

#[tokio::test]
async fn a_window_that_loses_all_it_had_is_empty_and_a_later_revision_fills_it_again() {
    let place = Place::new().await;
    let table = place.traces().await;
    let mut runner = place.runner().await;
    add(&table, &[span(1, START_US), span(2, START_US + MINUTE_US)]).await;
    level(&mut runner).await;
    let windows = place.windows().await;
    assert_eq!(windows.len(), 2);
    let revision = "SELECT max(revision) FROM trace_times";
    let first: i64 = place.ask(revision).await[0][0].parse().unwrap();

    // A later span moves the end of the first trace to another window.
    add(&table, &[span(1, START_US + 3 * MINUTE_US)]).await;
    level(&mut runner).await;
    let times = |windows: &[Vec<String>]| -> Vec<String> {
        windows.iter().map(|window| window[0].clone()).collect()
    };
    let moved = place.windows().await;
    assert_eq!(moved.len(), 2);
    assert_ne!(times(&moved), times(&windows));
    let second: i64 = place.ask(revision).await[0][0].parse().unwrap();
    assert!(second > first, "{first}, then {second}");

    // A compaction keeps what says that the first window is empty.
    compact(&mut runner, &CompactOptions::at_once())
        .await
        .unwrap();
    assert_eq!(place.windows().await, moved);

    // One that ends with nothing at all: every span of the second trace is in a trace that is not measured.
    let mut timeout = span(2, START_US + MINUTE_US + 1);
    timeout.status = "timeout";
    add(&table, &[timeout]).await;
    level(&mut runner).await;
    assert_eq!(times(&place.windows().await), times(&moved)[1..]);
    add(&table, &[span(3, START_US + MINUTE_US)]).await;
    level(&mut runner).await;
    assert_eq!(times(&place.windows().await), times(&moved));
}

#[tokio::test]
async fn rows_out_of_reach_cause_no_work() {
    let place = Place::new().await;
    let table = place.traces().await;
    let mut runner = place.runner().await;
    add(&table, &[span(1, START_US)]).await;
    level(&mut runner).await;
    add(&table, &[span(2, START_US + 2 * REACH_US + MINUTE_US)]).await;
    level(&mut runner).await;
    let revisions = place
        .ask("SELECT DISTINCT revision FROM trace_times ORDER BY 1")
        .await;
    assert_eq!(revisions.len(), 2, "the first window kept its revision");
}

#[tokio::test]
async fn a_job_that_changes_its_mode_is_told_so() {
    let place = Place::new().await;
    add(&place.traces().await, &[span(1, START_US)]).await;
    level(&mut place.runner().await).await;
    let dir = place.root.path().join("other");
    let yaml = YAML.replace("mode: recompute\nreach: 5m\n", "");
    let sql =
        "SELECT event_time, service, 1 AS traces, 1 AS spans, latency_ms AS duration FROM traces";
    let changed = jobs(&dir, &yaml, sql).await;
    let job = changed.get("trace_times").unwrap().clone();
    match Runner::open(&place.lake().await, job).await {
        Err(JobError::Changed { differences, .. }) => assert_eq!(
            differences,
            [
                "mode is incremental, and was recompute",
                "the SQL was changed"
            ]
        ),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was opened"),
    }
}
