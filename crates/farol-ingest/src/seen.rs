//! Rebuilding the memory of entries seen from the lake's recent rows, when a partition is taken over.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use farol_events::{Kind, fingerprint};
use farol_lake::Lake;
use farol_lake::sql::Session;
use futures::TryStreamExt as _;

use crate::dedup::Origin;
use crate::error::IngestError;

/// An entry that is in the lake already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub fingerprint: u128,
    pub origin: Origin,
    /// When it was ingested, microseconds since the epoch.
    pub ingested_at_us: i64,
}

/// Partitions of one topic whose recent rows are wanted.
pub(crate) struct RecentRows<'a> {
    pub kind: Kind,
    pub topic: &'a str,
    /// Partition number and digest.
    pub partitions: &'a [(i32, u64)],
    /// Rows ingested since then, microseconds since the epoch.
    pub since_us: i64,
    /// Rows taken at the most, the newest first.
    pub max_rows: usize,
}

/// Reads the recent rows of some partitions as entries seen, oldest first.
pub(crate) async fn recent(lake: &Lake, wanted: &RecentRows<'_>) -> Result<Vec<Seen>, IngestError> {
    let session = Session::open(lake).await?;
    let (_, stream) = session.query(&query(wanted)).await?;
    let batches: Vec<RecordBatch> = stream
        .try_collect()
        .await
        .map_err(|error| IngestError::Lake(error.into()))?;
    let mut seen = Vec::new();
    for batch in &batches {
        gather(wanted, batch, &mut seen)?;
    }
    seen.sort_unstable_by_key(|entry| entry.ingested_at_us);
    Ok(seen)
}

fn query(wanted: &RecentRows<'_>) -> String {
    let has = |name: &str| {
        farol_events::field::fields(wanted.kind)
            .iter()
            .any(|field| field.name == name)
    };
    let column = |name: &str| {
        if has(name) {
            name.to_owned()
        } else {
            format!("CAST(NULL AS VARCHAR) AS {name}")
        }
    };
    let partitions: Vec<_> = wanted
        .partitions
        .iter()
        .map(|(number, _)| number.to_string())
        .collect();
    format!(
        "SELECT {}, {}, {}, {}, kafka_partition, kafka_offset, kafka_entry, ingested_at FROM {} \
         WHERE ingested_at >= to_timestamp_micros({}) AND kafka_topic = '{}' AND kafka_partition IN ({}) \
         ORDER BY ingested_at DESC LIMIT {}",
        column("service"),
        column("event_id"),
        column("trace_id"),
        column("span_id"),
        wanted.kind.table(),
        wanted.since_us,
        wanted.topic.replace('\'', "''"),
        partitions.join(", "),
        wanted.max_rows,
    )
}

fn gather(
    wanted: &RecentRows<'_>,
    batch: &RecordBatch,
    seen: &mut Vec<Seen>,
) -> Result<(), IngestError> {
    let utf8 =
        |index: usize| arrow::compute::cast(batch.column(index), &arrow::datatypes::DataType::Utf8);
    let texts = [utf8(0)?, utf8(1)?, utf8(2)?, utf8(3)?];
    let text = |index: usize, row: usize| {
        let column = texts[index].as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    };
    let partitions = batch.column(4).as_primitive::<Int32Type>();
    let offsets = batch.column(5).as_primitive::<Int64Type>();
    let entries = batch.column(6).as_primitive::<Int32Type>();
    let times = batch.column(7).as_primitive::<TimestampMicrosecondType>();
    for row in 0..batch.num_rows() {
        let key = fingerprint(
            wanted.kind,
            text(0, row),
            text(1, row),
            text(2, row),
            text(3, row),
        );
        let digest = wanted
            .partitions
            .iter()
            .find(|(number, _)| *number == partitions.value(row));
        if let (Some(fingerprint), Some((_, digest))) = (key, digest) {
            let origin = Origin::new(*digest, offsets.value(row), entries.value(row));
            seen.push(Seen {
                fingerprint,
                origin,
                ingested_at_us: times.value(row),
            });
        }
    }
    Ok(())
}
