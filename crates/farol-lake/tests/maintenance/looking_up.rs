//! Looking traces up by their ids finds every row, in files with Bloom filters and in those without.

use std::collections::BTreeMap;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use farol_lake::maintenance::{CompactOptions, compact};
use farol_lake::sql::Session;
use futures::TryStreamExt as _;

use super::tables::{Place, append, live_files};
use super::{filled, rows};

async fn asked(session: &Session, sql: &str) -> Vec<RecordBatch> {
    let (_, rows) = session.query(sql).await.expect(sql);
    rows.try_collect().await.expect(sql)
}

async fn count(session: &Session, condition: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM traces WHERE {condition}");
    let batches = asked(session, &sql).await;
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

/// How many rows each trace has, by a scan of all.
async fn by_trace(session: &Session) -> BTreeMap<String, i64> {
    let sql = "SELECT CAST(trace_id AS VARCHAR), count(*) FROM traces WHERE trace_id IS NOT NULL GROUP BY 1";
    let mut found = BTreeMap::new();
    for batch in asked(session, sql).await {
        let ids = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8);
        let ids = ids.expect("texts");
        let counts = batch.column(1).as_primitive::<Int64Type>();
        for (id, count) in ids.as_string::<i32>().iter().zip(counts.values()) {
            found.insert(id.expect("an id").to_owned(), *count);
        }
    }
    found
}

#[tokio::test]
async fn ids_find_their_rows_wherever_they_are() {
    let place = Place::new();
    let table = filled(&place, 8, 4_000).await;
    let small = CompactOptions {
        target_file_bytes: 1_000_000,
        memory_bytes: 16 << 20,
        ..CompactOptions::default()
    };
    let report = compact(&table, &small).await.unwrap();
    assert!(report.files_added >= 2, "{report:?}");
    let mut fresh = rows::Traces::new(12);
    append(&table, fresh.batch(50)).await;
    assert!(live_files(&table).await.len() >= 3);

    let session = Session::open(&place.lake().await).await.unwrap();
    let traces = by_trace(&session).await;
    assert!(traces.len() > 1_000, "{}", traces.len());
    let total: i64 = traces.values().sum();
    assert_eq!(count(&session, "trace_id IS NOT NULL").await, total);
    for (id, rows) in traces.iter().step_by(traces.len() / 60) {
        let found = count(&session, &format!("trace_id = '{id}'")).await;
        assert_eq!(found, *rows, "{id}");
        let turned = count(
            &session,
            &format!("'{id}' = trace_id AND kafka_offset >= 0"),
        )
        .await;
        assert_eq!(turned, *rows, "{id}");
    }
    let some: Vec<_> = traces.keys().step_by(traces.len() / 20).collect();
    let listed: Vec<_> = some.iter().map(|id| format!("'{id}'")).collect();
    let expected: i64 = some.iter().map(|id| traces[*id]).sum();
    let listed = format!("trace_id IN ({})", listed.join(", "));
    assert_eq!(count(&session, &listed).await, expected);
    // What no filter of an id may leave out.
    let either = format!("trace_id = '{}' OR kafka_offset < 0", some[0]);
    assert_eq!(count(&session, &either).await, traces[some[0]]);
    let others = format!("trace_id <> '{}'", some[0]);
    assert_eq!(count(&session, &others).await, total - traces[some[0]]);
    assert_eq!(count(&session, "trace_id = 'never'").await, 0);
    assert_eq!(count(&session, "trace_id = NULL").await, 0);
}
