//! Jobs over a lake on disk: the same measures whatever the order, the versions, the writers, and what was replaced.

#[path = "../../farol-lake/tests/support/rows.rs"]
#[allow(dead_code)]
mod rows;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::Int64Type;
use arrow::util::display::array_value_to_string;
use farol_events::{Kind, table_schema};
use farol_jobs::compact::compact;
use farol_jobs::step::{Runner, Stepped};
use farol_jobs::{Jobs, Sources, load, progress, replace, views};
use farol_lake::maintenance::CompactOptions;
use farol_lake::sql::Session;
use farol_lake::{Commit, Lake, Step, Table, TableSpec};
use futures::TryStreamExt as _;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const HOUR_US: i64 = 3_600_000_000;
/// 2026-01-02T00:00:00Z.
const START_US: i64 = 1_767_312_000_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// A call.
#[derive(Debug, Clone)]
struct Call {
    time_us: i64,
    service: &'static str,
    status: &'static str,
    latency_ms: f64,
    tokens: i64,
    user: String,
}

/// Calls of two hours, a tenth of them up to a day late.
fn calls(count: usize) -> Vec<Call> {
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

fn batch(calls: &[Call]) -> RecordBatch {
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

struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    async fn lake(&self) -> Lake {
        Lake::open(
            self.root.path().to_str().unwrap(),
            std::collections::HashMap::new(),
        )
        .await
        .unwrap()
    }

    async fn traces(&self) -> Table {
        let lake = self.lake().await;
        lake.table("traces", &TableSpec::raw(Kind::Trace))
            .await
            .unwrap()
    }

    async fn runner(&self, job: &str) -> Runner {
        let jobs = shipped().await;
        Runner::open(&self.lake().await, jobs.get(job).unwrap().clone())
            .await
            .unwrap()
    }

    /// All rows of a query, as text.
    async fn ask(&self, sql: &str) -> Vec<Vec<String>> {
        let session = Session::open(&self.lake().await).await.unwrap();
        views::register(&session, &shipped().await).await.unwrap();
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

    async fn measures(&self) -> Vec<Vec<String>> {
        self.ask("SELECT * FROM performance ORDER BY window_start, service")
            .await
    }
}

async fn shipped() -> Jobs {
    load(&Sources {
        dir: PathBuf::from("/nowhere"),
        builtin: true,
        max_series: 100_000,
    })
    .await
    .unwrap()
}

/// Adds rows as one version, a file a day of event time.
async fn add(table: &Table, calls: &[Call]) {
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
    let id = "farol/c/llm.traces@i/0".to_owned();
    let next = format!("{id}#next");
    let from = table.marks(&next).await.unwrap().get(&next).copied();
    let to = from.unwrap_or(0) + calls.len() as i64;
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

async fn level(runner: &mut Runner) -> u64 {
    let mut partials = 0;
    loop {
        match runner.step().await.unwrap() {
            Stepped::Level => return partials,
            Stepped::Advanced { partials: more, .. } => partials += more,
            Stepped::Overtaken => {}
        }
    }
}

#[tokio::test]
async fn measures_are_exact() {
    let place = Place::new();
    let table = place.traces().await;
    let calls = calls(20_000);
    for part in calls.chunks(2_000) {
        add(&table, part).await;
    }
    let mut runner = place.runner("performance").await;
    level(&mut runner).await;
    let mut expected =
        BTreeMap::<&str, (i64, i64, Vec<f64>, std::collections::BTreeSet<&str>)>::new();
    for call in &calls {
        let of = expected.entry(call.service).or_default();
        of.0 += 1;
        of.1 += i64::from(call.status == "error");
        of.2.push(call.latency_ms);
        of.3.insert(&call.user);
    }
    let got = place
        .ask("SELECT service, requests, errors, error_rate, latency_p95_ms, distinct_users FROM measures('performance', '2 days', 'service') ORDER BY 1")
        .await;
    let two_windows = got.len() > expected.len();
    assert!(!two_windows || got.len() == 2 * expected.len(), "{got:?}");
    let got = place
        .ask("SELECT service, sum(requests), sum(errors), quantile(merge_quantiles(latency), 0.95), distinct_count(merge_distinct(users)) FROM performance GROUP BY service ORDER BY 1")
        .await;
    assert_eq!(got.len(), 3);
    for row in got {
        let (requests, errors, latencies, users) = expected.get_mut(row[0].as_str()).unwrap();
        assert_eq!(
            (
                row[1].parse::<i64>().unwrap(),
                row[2].parse::<i64>().unwrap()
            ),
            (*requests, *errors)
        );
        latencies.sort_by(f64::total_cmp);
        let exact = latencies[(0.95 * (latencies.len() - 1) as f64) as usize];
        let p95: f64 = row[3].parse().unwrap();
        assert!(
            (p95 - exact).abs() <= 0.01 * exact,
            "{p95}, exactly {exact}"
        );
        let distinct: f64 = row[4].parse().unwrap();
        assert!(
            (distinct - users.len() as f64).abs() < 0.06 * users.len() as f64,
            "{distinct}"
        );
    }
    let at = progress::progress(runner.output(), runner.job())
        .await
        .unwrap();
    assert_eq!(at.version, Some(table.refresh().await.unwrap()));
    assert_eq!(at.watermark_us, Some(START_US + 20_000));
}

#[tokio::test]
async fn order_versions_and_writers_do_not_show() {
    let calls = calls(6_000);
    let orderly = Place::new();
    add(&orderly.traces().await, &calls).await;
    level(&mut orderly.runner("performance").await).await;
    let expected = orderly.measures().await;
    assert!(expected.len() > 300);

    // Shuffled, in many versions, by two runners that take turns at the same steps.
    let shuffled = Place::new();
    let table = shuffled.traces().await;
    let mut other = calls.clone();
    other.shuffle(&mut ChaCha8Rng::seed_from_u64(3));
    let (mut one, mut two) = (
        shuffled.runner("performance").await,
        shuffled.runner("performance").await,
    );
    let mut overtaken = 0;
    for part in other.chunks(500) {
        add(&table, part).await;
        let (first, second) = tokio::join!(one.step(), two.step());
        for stepped in [first.unwrap(), second.unwrap()] {
            overtaken += u32::from(stepped == Stepped::Overtaken);
        }
    }
    level(&mut one).await;
    assert!(overtaken > 0, "the fence was never needed");
    assert_eq!(shuffled.measures().await, expected);

    // Partials merged: fewer of them, the same measures.
    let count = "SELECT count(*) FROM partials.performance";
    let before: u64 = shuffled.ask(count).await[0][0].parse().unwrap();
    let report = compact(&mut one, &CompactOptions::at_once()).await.unwrap();
    assert!(report.files_removed > 0);
    let after: u64 = shuffled.ask(count).await[0][0].parse().unwrap();
    assert!(
        after < before && after == expected.len() as u64,
        "{before} became {after}"
    );
    assert_eq!(shuffled.measures().await, expected);

    // Windows replaced: the same again, and nobody counts them twice.
    let mut plan = replace::plan(&one, START_US - HOUR_US, START_US + HOUR_US)
        .await
        .unwrap();
    assert_eq!(plan.pieces.len(), 2);
    replace::next_piece(&mut one, &mut plan).await.unwrap();
    let mut resumed = replace::plan(&two, START_US - HOUR_US, START_US + HOUR_US)
        .await
        .unwrap();
    assert_eq!(
        (resumed.done, resumed.pieces.len()),
        (1, 2),
        "it goes on where it was stopped"
    );
    replace::next_piece(&mut two, &mut resumed).await.unwrap();
    assert_eq!(
        replace::plan(&two, START_US - HOUR_US, START_US + HOUR_US)
            .await
            .unwrap()
            .done,
        0
    );
    assert_eq!(shuffled.measures().await, expected);
    assert_eq!(level(&mut two).await, 0);
}

#[tokio::test]
async fn a_job_that_missed_the_log_rebuilds_from_a_snapshot() {
    let calls = calls(3_000);
    let expected = Place::new();
    add(&expected.traces().await, &calls).await;
    level(&mut expected.runner("performance").await).await;

    let place = Place::new();
    let table = place.traces().await;
    for part in calls.chunks(500) {
        add(&table, part).await;
    }
    // A file of an early version is compacted away and vacuumed before the job reads it.
    farol_lake::maintenance::compact(&table, &CompactOptions::at_once())
        .await
        .unwrap();
    let vacuum = farol_lake::maintenance::VacuumOptions {
        older_than: std::time::Duration::ZERO,
        unsafe_age: true,
        ..farol_lake::maintenance::VacuumOptions::default()
    };
    // Files removed at this very millisecond are still respected.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while farol_lake::maintenance::vacuum(&table, vacuum)
        .await
        .unwrap()
        .files
        .is_empty()
    {
        assert!(std::time::Instant::now() < deadline, "nothing was vacuumed");
        tokio::task::yield_now().await;
    }
    let mut runner = place.runner("performance").await;
    level(&mut runner).await;
    assert_eq!(place.measures().await, expected.measures().await);
    add(&table, &calls[..10]).await;
    assert!(level(&mut runner).await > 0, "it goes on from there");
}

#[tokio::test]
async fn views_merge_at_any_grain_and_refuse_what_is_not_there() {
    let place = Place::new();
    add(&place.traces().await, &calls(2_000)).await;
    level(&mut place.runner("performance").await).await;
    let whole = place.ask("SELECT sum(requests) FROM performance").await;
    let daily = place
        .ask("SELECT sum(requests) FROM measures('performance', '1 day')")
        .await;
    assert_eq!(
        (whole[0][0].as_str(), daily[0][0].as_str()),
        ("2000", "2000")
    );
    let hour = "SELECT service, requests FROM measures('performance', '1 hour', 'service') \
                WHERE window_start >= '2026-01-02T00:00:00Z' AND window_start < '2026-01-02T01:00:00Z' ORDER BY 1";
    let counted = "SELECT service, count(*) FROM traces WHERE event_time >= '2026-01-02T00:00:00Z' \
                   AND event_time < '2026-01-02T01:00:00Z' GROUP BY 1 ORDER BY 1";
    assert_eq!(place.ask(hour).await, place.ask(counted).await);
    let long = "SELECT sum(value) FROM series WHERE job = 'performance' AND measure = 'requests' AND segment['service'] = 'search'";
    let wide = "SELECT CAST(sum(requests) AS DOUBLE) FROM performance WHERE service = 'search'";
    assert_eq!(place.ask(long).await, place.ask(wide).await);

    let session = Session::open(&place.lake().await).await.unwrap();
    views::register(&session, &shipped().await).await.unwrap();
    for (sql, told) in [
        (
            "SELECT * FROM measures('performence', '1 hour')",
            "did you mean `performance`?",
        ),
        (
            "SELECT * FROM measures('performance', '1 hour', 'serivce')",
            "did you mean `service`?",
        ),
        (
            "SELECT * FROM measures('performance', '90 s')",
            "whole windows of 1 minute",
        ),
        ("SELECT * FROM measures('performance')", "such as measures("),
        (
            "SELECT quantile(requests, 0.5) FROM performance",
            "takes a sketch",
        ),
        (
            "SELECT merge_quantiles(service) FROM performance",
            "for values write quantiles(x)",
        ),
    ] {
        let error = match session.query(sql).await {
            Err(error) => error.to_string(),
            Ok((_, stream)) => stream
                .try_collect::<Vec<_>>()
                .await
                .unwrap_err()
                .to_string(),
        };
        assert!(error.contains(told), "{sql}: {error}");
    }
}

/// The errors of one job's files.
async fn refused(yaml: &str, sql: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs")).unwrap();
    std::fs::write(dir.path().join("jobs/mine.yaml"), yaml).unwrap();
    std::fs::write(dir.path().join("jobs/mine.sql"), sql).unwrap();
    let sources = Sources {
        dir: dir.path().to_owned(),
        builtin: true,
        max_series: 10,
    };
    let error = load(&sources).await.unwrap_err().to_string();
    error.replace(&format!("{}/jobs/", dir.path().display()), "")
}

const YAML: &str = "name: mine\nreads: traces\nwindow: 5m\nsegments: [service]\npartials: {requests: sum, latency: quantiles}\nmeasures:\n  p95: {expr: 'quantile(latency, 0.95)'}\n";
const SQL: &str = "SELECT event_time, service, 1 AS requests, latency_ms AS latency\nFROM traces\n";

#[tokio::test]
async fn mistakes_are_told_with_their_place_and_what_to_write() {
    let cases = [
        (YAML.replace("latency, 0.95", "latncy, 0.95"), SQL.to_owned(), "mine.yaml:7:24: there is no partial `latncy`; did you mean `latency`?"),
        (YAML.replace("latency, 0.95", "requests, 0.95"), SQL.to_owned(), "takes a sketch"),
        (YAML.replace("'quantile(latency, 0.95)'", "latency"), SQL.to_owned(), "not a number"),
        (YAML.replace("requests: sum", "requests: summ"), SQL.to_owned(), "mine.yaml:5:22: `summ` is no kind of partial; did you mean `sum`?"),
        (YAML.replace("latency: quantiles", "latency: sum"), SQL.to_owned(), "depends on their order"),
        (YAML.replace("[service]", "[servise]"), SQL.to_owned(), "mine.yaml:4:12: segment `servise` is not a column of mine.sql; did you mean `service`?"),
        (YAML.replace("reads: traces", "reads: trace"), SQL.to_owned(), "mine.yaml:2:8: there is no table `trace` to read; did you mean `traces`?"),
        (YAML.replace("window: 5m", "window: 7m"), SQL.to_owned(), "a day is not made of whole windows"),
        (YAML.replace("window: 5m", "windows: 5m"), SQL.to_owned(), "mine.yaml:3:1:"),
        (YAML.to_owned(), SQL.replace("latency_ms", "latency_msec"), "mine.sql:1:44: there is no column `latency_msec`; did you mean `latency_ms`?"),
        (YAML.to_owned(), SQL.replace("FROM", "FORM"), "mine.sql:2:"),
        (YAML.to_owned(), "SELECT event_time, service, count(*) AS requests, avg(latency_ms) AS latency FROM traces GROUP BY 1, 2".to_owned(), "looks at more than one row"),
        (YAML.to_owned(), SQL.replace("event_time", "start_time"), "no column `event_time`"),
    ];
    for (yaml, sql, told) in cases {
        let error = refused(&yaml, &sql).await;
        assert!(error.contains(told), "expected `{told}`, got: {error}");
    }
}

#[tokio::test]
async fn series_beyond_the_limit_are_other_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs")).unwrap();
    std::fs::write(dir.path().join("jobs/mine.yaml"), YAML).unwrap();
    std::fs::write(dir.path().join("jobs/mine.sql"), SQL).unwrap();
    let sources = Sources {
        dir: dir.path().to_owned(),
        builtin: false,
        max_series: 2,
    };
    let jobs = load(&sources).await.unwrap();
    assert_eq!(jobs.names(), ["mine"]);
    let place = Place::new();
    add(&place.traces().await, &calls(1_000)).await;
    let lake = place.lake().await;
    let mut runner = Runner::open(&lake, jobs.get("mine").unwrap().clone())
        .await
        .unwrap();
    level(&mut runner).await;
    let session = Session::open(&lake).await.unwrap();
    views::register(&session, &jobs).await.unwrap();
    let sql = "SELECT service, CAST(sum(requests) AS BIGINT) FROM mine GROUP BY 1 ORDER BY 1";
    let (schema, stream) = session.query(sql).await.unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    let all = arrow::compute::concat_batches(&schema, &batches).unwrap();
    let services = arrow::compute::cast(all.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
    let services: Vec<_> = services
        .as_string::<i32>()
        .iter()
        .flatten()
        .map(str::to_owned)
        .collect();
    assert_eq!(services.len(), 3);
    assert!(services.contains(&"other".to_owned()), "{services:?}");
    let total: i64 = all
        .column(1)
        .as_primitive::<Int64Type>()
        .values()
        .iter()
        .sum();
    assert_eq!(total, 1_000);
    let status = progress::status(&lake, &jobs).await.unwrap();
    assert!(
        status[0].overflowed > 0 && status[0].behind == Some(0),
        "{status:?}"
    );
}
