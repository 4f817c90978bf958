//! The bounds of queries, each by itself.

use std::time::{Duration, Instant};

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use tempfile::TempDir;

use super::*;

/// What no machine gets through.
const ENDLESS: &str = "SELECT sum(a.value % 7 + b.value % 11) FROM generate_series(1, 3000000) a, \
                       generate_series(1, 3000000) b";

/// More rows than the channel holds.
const MANY: &str = "SELECT value FROM generate_series(1, 1000000)";

fn options() -> QueryOptions {
    QueryOptions {
        timeout: Duration::from_secs(30),
        memory_bytes: 64 << 20,
        spill_bytes: 256 << 20,
        concurrent_max: 2,
        queue_timeout: Duration::from_millis(200),
        write_timeout: Duration::from_secs(30),
    }
}

/// A service over an empty lake, which lives as long as the directory.
async fn service(options: QueryOptions) -> (TempDir, QueryService) {
    let directory = tempfile::tempdir().unwrap();
    let uri = directory.path().to_str().unwrap().to_owned();
    let lake = Lake::open(&uri, std::collections::HashMap::new())
        .await
        .unwrap();
    let service = QueryService::new(lake, Jobs::default(), options).unwrap();
    (directory, service)
}

/// All rows of the one column of a query.
async fn all(service: &QueryService, sql: &str) -> Result<Vec<i64>, QueryError> {
    let mut rows = service.run_sql(sql.to_owned()).await?;
    let mut values = Vec::new();
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        values.extend(batch.column(0).as_primitive::<Int64Type>().values().iter());
    }
    Ok(values)
}

async fn kind(service: &QueryService, sql: &str) -> Kind {
    all(service, sql).await.expect_err(sql).kind
}

#[tokio::test]
async fn queries_are_answered_and_nothing_is_changed() {
    let (_lake, service) = service(options()).await;
    assert_eq!(
        all(&service, "SELECT count(*) FROM traces").await.unwrap(),
        [0]
    );
    assert_eq!(all(&service, MANY).await.unwrap().len(), 1_000_000);
    for sql in [
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "DROP VIEW dead_letters_open",
        "INSERT INTO traces (trace_id) VALUES ('x')",
        "COPY (SELECT 1) TO 'out.csv'",
        "SET datafusion.execution.batch_size = 1",
    ] {
        assert_eq!(kind(&service, sql).await, Kind::ReadOnly, "{sql}");
    }
    let long = format!("SELECT length('{}')", "x".repeat(STATEMENT_BYTES_MAX));
    assert_eq!(kind(&service, &long).await, Kind::TooLong);
}

#[tokio::test]
async fn a_query_ends_when_its_time_is_over() {
    let (_lake, service) = service(QueryOptions {
        timeout: Duration::from_secs(3),
        ..options()
    })
    .await;
    let begun = Instant::now();
    assert_eq!(kind(&service, ENDLESS).await, Kind::TimedOut);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    // A client may want less than is configured, never more.
    let patience = Patience {
        timeout: Some(Duration::from_secs(3_600)),
        unread: None,
    };
    let plan =
        |context: SessionContext| async move { context.state().create_logical_plan(ENDLESS).await };
    let mut rows = service.run(plan, patience).await.unwrap();
    let ended = rows.next().await.unwrap().unwrap_err();
    assert_eq!(ended.kind, Kind::TimedOut);
    assert!(
        rows.next().await.is_none(),
        "after an error there is nothing more"
    );
}

#[tokio::test]
async fn a_place_is_waited_for_and_comes_free_with_whoever_leaves() {
    let (_lake, service) = service(options()).await;
    let first = service.run_sql(ENDLESS.to_owned()).await.unwrap();
    let second = service.run_sql(ENDLESS.to_owned()).await.unwrap();
    assert_eq!(kind(&service, "SELECT 1").await, Kind::Busy);
    drop(first);
    let begun = Instant::now();
    while all(&service, "SELECT 1").await.is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the place does not come free"
        );
    }
    drop(second);
}

#[tokio::test]
async fn rows_that_nobody_reads_end_their_query() {
    let (_lake, service) = service(QueryOptions {
        write_timeout: Duration::from_millis(300),
        concurrent_max: 1,
        ..options()
    })
    .await;
    let mut rows = service.run_sql(MANY.to_owned()).await.unwrap();
    // Its place comes free while its client still holds on to it.
    let begun = Instant::now();
    while service.place().await.is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the place does not come free"
        );
    }
    let mut read = 0;
    let ended = loop {
        match rows.next().await.expect("it does not look whole") {
            Ok(batch) => read += batch.num_rows(),
            Err(error) => break error.kind,
        }
    };
    assert_eq!(ended, Kind::NotRead);
    assert!(read < 1_000_000, "{read}");
}

#[tokio::test]
async fn what_does_not_fit_is_spilled_or_refused_and_what_spills_too_much_fails() {
    let sorted = "SELECT value FROM (SELECT value, repeat(CAST(value AS VARCHAR), 60) AS wide \
                  FROM generate_series(1, 600000)) ORDER BY wide, value";
    let (_lake, service_) = service(QueryOptions {
        memory_bytes: 128 << 20,
        ..options()
    })
    .await;
    assert_eq!(all(&service_, sorted).await.unwrap().len(), 600_000);
    let (_lake, service_) = service(QueryOptions {
        memory_bytes: 64 << 20,
        spill_bytes: 1 << 20,
        ..options()
    })
    .await;
    let error = all(&service_, sorted).await.unwrap_err();
    assert!(matches!(error.kind, Kind::Disk | Kind::Memory), "{error}");
    assert!(error.to_string().contains("server.query."), "{error}");
    // What cannot spill fails for want of memory.
    let joined = "SELECT count(*) FROM generate_series(1, 12000000) a JOIN generate_series(1, 12000000) b ON a.value = b.value";
    let error = all(&service_, joined).await.unwrap_err();
    assert_eq!(error.kind, Kind::Memory, "{error}");
}
