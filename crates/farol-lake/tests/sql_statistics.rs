//! Answers that an engine could take from the log's statistics are the rows' own: statistics are bounds, they are
//! cut short, and not every file has those of every column.

#[path = "support/rows.rs"]
#[allow(dead_code)]
mod rows;
#[path = "support/tables.rs"]
#[allow(dead_code)]
mod tables;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::util::display::array_value_to_string;
use farol_lake::maintenance::{CompactOptions, compact};
use farol_lake::sql::Session;
use futures::TryStreamExt as _;
use tables::{Place, append};

fn with(batch: &RecordBatch, column: &str, value: Option<&str>) -> RecordBatch {
    let values: StringArray = (0..batch.num_rows()).map(|_| value).collect();
    let mut columns = batch.columns().to_vec();
    columns[batch.schema().index_of(column).unwrap()] = Arc::new(values) as ArrayRef;
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

async fn answer(place: &Place, sql: &str) -> Vec<String> {
    let session = Session::open(&place.lake().await).await.unwrap();
    let (schema, stream) = session.query(sql).await.unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    let all = arrow::compute::concat_batches(&schema, &batches).unwrap();
    let row = all
        .columns()
        .iter()
        .map(|column| array_value_to_string(column, 0).unwrap());
    row.collect()
}

#[tokio::test]
async fn extremes_and_counts_are_those_of_the_rows() {
    let place = Place::new();
    let table = place.traces().await;
    let mut traces = rows::Traces::new(11);
    let (first, last) = ("a".repeat(100), format!("z{}", "y".repeat(100)));
    append(&table, with(&traces.batch(50), "service", Some(&last))).await;
    append(&table, with(&traces.batch(50), "service", Some(&first))).await;
    append(
        &table,
        with(&with(&traces.batch(50), "service", None), "model", None),
    )
    .await;
    for _ in 0..8 {
        append(&table, traces.batch(50)).await;
    }
    let questions = [
        "SELECT min(service), max(service), count(service), count(*) FROM traces",
        "SELECT min(model), max(model), count(model), count(DISTINCT model) FROM traces",
        "SELECT min(kafka_offset), max(kafka_offset), min(event_time), max(event_time) FROM traces",
        "SELECT count(*) FROM traces WHERE model IS NULL",
        "SELECT count(*) FROM traces WHERE service >= 'z'",
        "SELECT count(*) FROM traces WHERE status = 'error'",
        "SELECT count(*) FROM traces WHERE error_type IS NOT NULL",
    ];
    let mut before = Vec::new();
    for question in questions {
        before.push(answer(&place, question).await);
    }
    assert_eq!(before[0], [first, last, "500".into(), "550".into()]);
    assert_eq!(
        before[1][..3],
        ["claude-haiku-3-5-20241022", "mistral-large-2411", "500"]
    );
    assert_eq!(before[2][..2], ["0", "549"]);
    assert_eq!(
        (&before[3][0], &before[4][0], &before[6][0]),
        (&"50".into(), &"50".into(), &"0".into())
    );
    compact(&table, &CompactOptions::at_once()).await.unwrap();
    append(&table, traces.batch(0)).await;
    for (question, before) in questions.iter().zip(&before) {
        assert_eq!(&answer(&place, question).await, before, "{question}");
    }
}
