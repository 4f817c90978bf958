//! Sessions and handles that read on, while files are rewritten and taken and the log is cleaned away behind them.

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use farol_lake::maintenance::{CompactOptions, compact, vacuum};
use farol_lake::sql::Session;
use futures::TryStreamExt as _;

use super::tables::{Place, append, live_files};
use super::{at_once, filled, rows};

async fn counted(session: &Session) -> i64 {
    let query = "SELECT count(*) FROM traces WHERE kafka_offset >= 0";
    let (_, rows) = session.query(query).await.unwrap();
    let batches: Vec<RecordBatch> = rows.try_collect().await.unwrap();
    let counts = batches[0].column(0).as_primitive::<Int64Type>();
    counts.value(0)
}

#[tokio::test]
async fn a_session_that_reads_on_sees_what_a_new_one_sees() {
    let place = Place::new();
    let lake = place.lake().await;
    let session = Session::open(&lake).await.unwrap();
    let early = Session::open(&lake).await.unwrap();
    let table = filled(&place, 10, 10).await;
    let mut traces = rows::Traces::new(12);
    let reader = place.traces().await;
    session.refresh().await.unwrap();
    early.refresh().await.unwrap();
    assert_eq!(counted(&session).await, 100);
    // Appends, a rewrite of files that it has listed, and their end.
    append(&table, traces.batch(10)).await;
    session.refresh().await.unwrap();
    compact(&table, &CompactOptions::default()).await.unwrap();
    vacuum(&table, at_once()).await.unwrap();
    assert_eq!(live_files(&table).await.len(), 1);
    session.refresh().await.unwrap();
    assert_eq!(counted(&session).await, 110);
    // Past a checkpoint, before which the log is cleaned away.
    while table.version() < 110 {
        append(&table, traces.batch(1)).await;
    }
    let rows = counted(&Session::open(&lake).await.unwrap()).await;
    let log = place.path().join("_delta_log");
    for version in 0..100 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    for session in [&session, &early] {
        session.refresh().await.unwrap();
        assert_eq!(counted(session).await, rows);
    }
    // One handle, asked for the newest, then for what was, then for the newest again.
    let at = async |version: i64| {
        let context = SessionContext::new();
        let rows = reader.rows_at(version).await.unwrap();
        context.read_table(rows).unwrap().count().await.unwrap() as i64
    };
    let newest = reader.refresh().await.unwrap();
    assert_eq!(at(newest).await, rows);
    assert_eq!(at(newest - 5).await, rows - 5);
    assert_eq!(at(newest).await, rows);
}
