//! Which events of a replay are in their table already, under another record's coordinates: a producer that
//! sent a broken record may have sent the event again, whole.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::datasource::MemTable;
use farol_events::{Decoded, Kind, fingerprint};
use farol_lake::LakeError;
use farol_lake::sql::Session;
use futures::TryStreamExt as _;

use crate::error::IngestError;

/// The columns that fingerprints are made of, where the kind has them.
const KEYS: [&str; 4] = ["service", "event_id", "trace_id", "span_id"];

/// The fingerprints of rows that share an event id or a trace id with these events.
pub(super) async fn stored_already(
    session: &Session,
    kind: Kind,
    events: &Decoded,
) -> Result<HashSet<u128>, IngestError> {
    let columns = KEYS.map(|name| {
        let there = events.batch.column_by_name(name).is_some();
        if there {
            format!("stored.{name}")
        } else {
            format!("CAST(NULL AS VARCHAR) AS {name}")
        }
    });
    let mut found = HashSet::new();
    for key in ["event_id", "trace_id"] {
        let Some(ids) = events
            .batch
            .column_by_name(key)
            .filter(|ids| ids.null_count() < ids.len())
        else {
            continue;
        };
        register(session, ids)?;
        let table = kind.table();
        let sql = format!(
            "SELECT {} FROM {table} stored WHERE stored.{key} IN (SELECT id FROM replay_candidates)",
            columns.join(", ")
        );
        let (_, stream) = session.query(&sql).await?;
        let batches: Vec<RecordBatch> = stream.try_collect().await.map_err(LakeError::from)?;
        for batch in &batches {
            gather(kind, batch, &mut found)?;
        }
    }
    Ok(found)
}

fn register(session: &Session, ids: &ArrayRef) -> Result<(), IngestError> {
    let batch = RecordBatch::try_from_iter([("id", ids.clone())])?;
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(LakeError::from)?;
    let context = session.context();
    context
        .deregister_table("replay_candidates")
        .map_err(LakeError::from)?;
    context
        .register_table("replay_candidates", Arc::new(table))
        .map_err(LakeError::from)?;
    Ok(())
}

fn gather(kind: Kind, batch: &RecordBatch, found: &mut HashSet<u128>) -> Result<(), IngestError> {
    let columns = batch
        .columns()
        .iter()
        .map(|column| arrow::compute::cast(column, &DataType::Utf8));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let text = |index: usize, row: usize| {
        let column = columns[index].as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    };
    for row in 0..batch.num_rows() {
        found.extend(fingerprint(
            kind,
            text(0, row),
            text(1, row),
            text(2, row),
            text(3, row),
        ));
    }
    Ok(())
}
