//! Jobs of a user's own: mistakes told with their place, and the limit of series.

use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use farol_jobs::step::Runner;
use farol_jobs::{Health, Jobs, RunOptions, Sources, load, progress, views};
use farol_lake::sql::Session;
use futures::TryStreamExt as _;
use tokio_util::sync::CancellationToken;

use crate::place::{Place, add, calls, level, sources};

/// The errors of one job's files.
async fn refused(yaml: &str, sql: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs")).unwrap();
    std::fs::write(dir.path().join("jobs/mine.yaml"), yaml).unwrap();
    std::fs::write(dir.path().join("jobs/mine.sql"), sql).unwrap();
    let sources = Sources {
        max_series: 10,
        ..sources(dir.path(), true)
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
        (YAML.replace("window: 5m", "window: 5m\nmode: recomptue"), SQL.to_owned(), "mine.yaml:4:7: there is no mode `recomptue`; did you mean `recompute`?"),
        (YAML.replace("window: 5m", "window: 5m\nreach: 5m"), SQL.to_owned(), "leave `reach` out, or say `mode: recompute`"),
        (YAML.replace("window: 5m", "window: 5m\nmode: recompute\nreach: far"), SQL.to_owned(), "mine.yaml:5:8: `far` is not a length of time"),
        (YAML.replace("window: 5m", "window: 5m\nmode: recompute\nreach: 2 days"), SQL.to_owned(), "a reach of 2 days is too long"),
        (YAML.to_owned(), "CREATE TABLE x AS SELECT 1".to_owned(), "DDL not supported"),
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
        max_series: 2,
        ..sources(dir.path(), false)
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

#[tokio::test]
async fn a_job_that_cannot_be_opened_says_so_in_the_status() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs")).unwrap();
    let place = Place::new();
    add(&place.traces().await, &calls(100)).await;
    let lake = place.lake().await;
    let mine = async |yaml: &str, sql: &str| {
        std::fs::write(dir.path().join("jobs/mine.yaml"), yaml).unwrap();
        std::fs::write(dir.path().join("jobs/mine.sql"), sql).unwrap();
        let sources = Sources {
            max_series: 10,
            ..sources(dir.path(), false)
        };
        load(&sources).await.unwrap()
    };
    let run = async |jobs: &Jobs| {
        let options = RunOptions {
            interval: Duration::from_millis(1),
            shutdown: CancellationToken::new(),
            finish: CancellationToken::new(),
            health: Health::default(),
        };
        options.finish.cancel();
        let ended = farol_jobs::run(lake.clone(), jobs.clone(), options).await;
        let status = progress::status(&lake, jobs).await.unwrap();
        (ended, status[0].error.clone())
    };
    let (ended, error) = run(&mine(YAML, SQL).await).await;
    assert!(ended.is_ok() && error.is_none(), "{ended:?}, {error:?}");
    // Another column than the table has: no process could go on with it.
    let yaml = YAML.replace("requests: sum", "requests: sum, errors: sum");
    let sql = SQL.replace("1 AS requests", "1 AS requests, 0 AS errors");
    let (ended, error) = run(&mine(&yaml, &sql).await).await;
    assert!(ended.is_err());
    let error = error.expect("the status says why");
    assert!(
        error.contains("job `mine` was changed since its partials were computed: partial `errors` was added; the SQL was changed"),
        "{error}"
    );
    // And takes it back when it is mended.
    let (ended, error) = run(&mine(YAML, SQL).await).await;
    assert!(ended.is_ok() && error.is_none(), "{ended:?}, {error:?}");
}

#[tokio::test]
async fn what_is_divided_by_zero_is_not_known() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs")).unwrap();
    let yaml = "name: mine\nreads: traces\nwindow: 1h\nsegments: []\npartials: {requests: sum, never: sum}\nmeasures:\n  \
                rate: {expr: requests / never}\n  part: {expr: never / requests}\n  rest: {expr: requests % never}\n  \
                odd: {expr: requests % 7}\n";
    std::fs::write(dir.path().join("jobs/mine.yaml"), yaml).unwrap();
    let sql = "SELECT event_time, 1 AS requests, 0 AS never FROM traces";
    std::fs::write(dir.path().join("jobs/mine.sql"), sql).unwrap();
    let sources = Sources {
        max_series: 10,
        ..sources(dir.path(), false)
    };
    let jobs = load(&sources).await.unwrap();
    let place = Place::new();
    add(&place.traces().await, &calls(100)).await;
    let mine = jobs.get("mine").unwrap().clone();
    level(&mut Runner::open(&place.lake().await, mine).await.unwrap()).await;
    let sql =
        "SELECT requests, rate IS NULL, part, rest IS NULL, odd FROM measures('mine', '4 days')";
    let rows = place.ask_of(&jobs, sql).await;
    assert_eq!(rows, [["100", "true", "0.0", "true", "2"]]);
}

#[tokio::test]
async fn what_is_likely_not_meant_is_said_of_ones_own_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = dir.path().join("jobs");
    std::fs::create_dir(&jobs).unwrap();
    let yaml = YAML.replace("requests: sum", "requests: sum, users: distinct");
    let sql = SQL.replace("1 AS requests", "1 AS requests, user_id AS users");
    std::fs::write(jobs.join("mine.yaml"), &yaml).unwrap();
    std::fs::write(jobs.join("mine.sql"), &sql).unwrap();
    std::fs::write(jobs.join("stray.sql"), "SELECT 1").unwrap();
    let sources = Sources {
        max_series: 10,
        ..sources(dir.path(), true)
    };
    let loaded = load(&sources).await.unwrap();
    let told = farol_jobs::warnings(&sources, &loaded).unwrap();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[0].contains("no measure uses partial `requests`"),
        "{told:?}"
    );
    assert!(
        told[1].contains("no measure uses partial `users`"),
        "{told:?}"
    );
    assert!(told[2].contains("stray.sql: there is no"), "{told:?}");
    // Two files for one job cannot both be meant.
    std::fs::write(jobs.join("mine.yml"), &yaml).unwrap();
    let error = load(&sources).await.unwrap_err().to_string();
    assert!(
        error.contains("mine.yml: job `mine` is defined by"),
        "{error}"
    );
}
