//! What SQL answers over jobs: at any grain, as it was, and what it refuses.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use farol_events::{Kind, table_schema};
use farol_jobs::step::Runner;
use farol_jobs::{load, views};
use farol_lake::Commit;
use farol_lake::sql::Session;
use futures::TryStreamExt as _;

use crate::place::{DAY_US, Place, START_US, add, calls, level, shipped, sources};
use crate::rows;

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

/// A few calls with what is often not known left out.
fn by_hand() -> RecordBatch {
    let schema = table_schema(Kind::Trace);
    let nothing = rows::null_batch(&schema, 5);
    let mut columns = nothing.columns().to_vec();
    let mut set = |name: &str, column: ArrayRef| columns[schema.index_of(name).unwrap()] = column;
    let minute = 60_000_000;
    let times = [0, 1, 2 * minute, 2 * minute + 5, 61 * minute].map(|after| START_US + after);
    set(
        "event_time",
        Arc::new(TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC")),
    );
    let text =
        |texts: [Option<&str>; 5]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    set(
        "service",
        text([Some("a"), Some("a"), Some("a"), None, Some("a")]),
    );
    set(
        "status",
        text([
            Some("ok"),
            Some("error"),
            Some("timeout"),
            None,
            Some("rate_limited"),
        ]),
    );
    set(
        "user_id",
        text([Some("u1"), Some("u1"), Some("u2"), None, Some("u3")]),
    );
    set(
        "currency",
        text([Some("USD"), Some("USD"), Some("EUR"), None, None]),
    );
    let whole =
        |numbers: [Option<i64>; 5]| -> ArrayRef { Arc::new(Int64Array::from(numbers.to_vec())) };
    set("retries", whole([None, Some(2), None, None, Some(1)]));
    set(
        "input_tokens",
        whole([Some(100), Some(200), None, None, Some(50)]),
    );
    set(
        "output_tokens",
        whole([Some(10), Some(30), Some(5), Some(7), None]),
    );
    let double =
        |numbers: [Option<f64>; 5]| -> ArrayRef { Arc::new(Float64Array::from(numbers.to_vec())) };
    set(
        "latency_ms",
        double([Some(100.0), Some(300.0), Some(1_000.0), None, Some(20.0)]),
    );
    set(
        "time_to_first_token_ms",
        double([Some(50.0), None, None, None, Some(30.0)]),
    );
    let cost = arrow::array::Decimal128Array::from(vec![
        Some(123),
        Some(1_000_000_000_000),
        Some(5),
        None,
        None,
    ]);
    set(
        "cost",
        Arc::new(cost.with_precision_and_scale(38, 12).unwrap()),
    );
    RecordBatch::try_new(schema, columns).unwrap()
}

#[tokio::test]
async fn what_sql_answers_is_as_it_was() {
    let place = Place::new();
    let table = place.traces().await;
    let day = START_US.div_euclid(DAY_US) as i32;
    let upload = table.upload(Some(day), vec![by_hand()]).await.unwrap();
    table
        .commit(&Commit::append(Vec::new(), vec![upload]))
        .await
        .unwrap();
    for job in ["performance", "spend"] {
        level(&mut place.runner(job).await).await;
    }
    let mut told = String::new();
    for sql in [
        "SELECT window_start, window_end, service, requests, errors, timeouts, rate_limits, retries, error_rate, \
         retries_per_request FROM performance ORDER BY window_start, service",
        "SELECT window_start, service, round(latency_p50_ms, 1) AS p50, round(latency_p95_ms, 1) AS p95, \
         round(time_to_first_token_p50_ms, 1) AS first, round(tokens_per_second, 2) AS per_second, distinct_users \
         FROM performance ORDER BY window_start, service",
        "SELECT window_start, window_end, requests, error_rate, distinct_users FROM measures('performance', '1 hour') ORDER BY 1",
        "SELECT window_start, currency, requests, cost, input_tokens, output_tokens, round(cost_per_request, 6) AS each, \
         cost_coverage FROM measures('spend', '1 day', 'currency') ORDER BY currency NULLS FIRST",
        "SELECT window_start, segment['service'] AS service, value FROM series WHERE job = 'performance' AND measure = 'error_rate' ORDER BY 1, 2",
        "SELECT count(*), min(window_start), max(window_start) FROM partials.performance",
    ] {
        let session = Session::open(&place.lake().await).await.unwrap();
        views::register(&session, &shipped().await).await.unwrap();
        let (_, stream) = session.query(sql).await.unwrap();
        let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
        let rows = arrow::util::pretty::pretty_format_batches(&batches).unwrap();
        writeln!(told, "{sql}\n{rows}\n").unwrap();
    }
    insta::assert_snapshot!("golden", told);
}

#[tokio::test]
async fn every_measure_is_in_the_series_also_of_jobs_without_segments() {
    let place = Place::new();
    add(&place.traces().await, &calls(300)).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs")).unwrap();
    let yaml = "name: whole\nreads: traces\nwindow: 1m\nsegments: []\npartials: {requests: sum, failures: sum}\n\
                measures: {failure_rate: {expr: failures / requests, unit: ratio}}\n";
    let sql = "SELECT event_time, 1 AS requests, CASE WHEN status = 'ok' THEN 0 ELSE 1 END AS failures FROM traces";
    std::fs::write(dir.path().join("jobs/whole.yaml"), yaml).unwrap();
    std::fs::write(dir.path().join("jobs/whole.sql"), sql).unwrap();
    let jobs = load(&sources(dir.path(), true)).await.unwrap();
    for name in ["whole", "performance"] {
        let job = jobs.get(name).unwrap().clone();
        level(&mut Runner::open(&place.lake().await, job).await.unwrap()).await;
    }
    let ask = async |sql: &str| place.ask_of(&jobs, sql).await;
    let of_whole = ask("SELECT measure, count(*), count(segment), round(sum(value)) FROM series WHERE job = 'whole' \
                        AND measure <> 'failure_rate' GROUP BY 1 ORDER BY 1").await;
    let windows = ask("SELECT count(*) FROM whole").await[0][0].clone();
    let failures = ask("SELECT CAST(sum(failures) AS DOUBLE) FROM whole").await[0][0].clone();
    let expected = [
        ["failures", &windows, "0", &failures],
        ["requests", &windows, "0", "300.0"],
    ];
    assert_eq!(of_whole, expected);
    // Of all jobs at once, whatever the filter reaches.
    let both = ask("SELECT job, sum(value) FROM series WHERE measure = 'requests' AND window_start > '2020-01-01' \
                    GROUP BY 1 HAVING sum(value) > 0 ORDER BY 1").await;
    assert_eq!(both, [["performance", "300.0"], ["whole", "300.0"]]);
    let all = ask("SELECT count(DISTINCT job || '.' || measure) > 10 FROM series").await;
    assert_eq!(all, [["true"]]);
    let none = ask("SELECT * FROM series WHERE measure = 'nothing'").await;
    assert!(none.is_empty());
}
