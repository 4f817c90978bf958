//! Rebuilding the memory of entries seen from the lake's recent rows, when a partition is taken over.
//!
//! ```text
//! rows of each second ──▶ since when they fit the memory ──▶ rows since then, streamed ──▶ fingerprints
//! ```
//!
//! A busy lake has millions of recent rows. They are counted first, so that rows are neither sorted nor held: what
//! stays of each is its fingerprint and its origin.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use farol_events::{Kind, fingerprint};
use farol_lake::sql::Session;
use farol_lake::{Lake, LakeError};
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
    let Some((since_us, rows)) = fitting(&counts(&session, wanted).await?, wanted.max_rows) else {
        return Ok(Vec::new());
    };
    let mut seen = Vec::with_capacity(rows);
    let mut batches = session.query(&rows_query(wanted, since_us)).await?.1;
    while let Some(batch) = batches.try_next().await.map_err(LakeError::from)? {
        gather(wanted, &batch, &mut seen)?;
    }
    seen.sort_unstable_by_key(|entry| entry.ingested_at_us);
    Ok(seen)
}

/// How many rows were ingested in each second, the newest first: its begin in microseconds, and its rows.
async fn counts(
    session: &Session,
    wanted: &RecentRows<'_>,
) -> Result<Vec<(i64, usize)>, IngestError> {
    let sql = format!(
        "SELECT date_trunc('second', ingested_at) AS second, count(*) AS rows FROM {} GROUP BY 1 ORDER BY 1 DESC",
        recent_rows(wanted, wanted.since_us),
    );
    let mut batches = session.query(&sql).await?.1;
    let mut counts = Vec::new();
    while let Some(batch) = batches.try_next().await.map_err(LakeError::from)? {
        let seconds = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        let rows = batch.column(1).as_primitive::<Int64Type>();
        let both = seconds.values().iter().zip(rows.values());
        counts.extend(both.map(|(second, rows)| (*second, rows.unsigned_abs() as usize)));
    }
    Ok(counts)
}

/// Since when, and how many rows are taken: whole seconds, the newest first, as many as fit; the newest in any case.
fn fitting(counts: &[(i64, usize)], max_rows: usize) -> Option<(i64, usize)> {
    let mut taken = None;
    for (second_us, rows) in counts {
        let held = taken.map_or(0, |(_, held)| held);
        if taken.is_some() && held + rows > max_rows {
            break;
        }
        taken = Some((*second_us, held + rows));
    }
    taken
}

fn rows_query(wanted: &RecentRows<'_>, since_us: i64) -> String {
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
    format!(
        "SELECT {}, {}, {}, {}, kafka_partition, kafka_offset, kafka_entry, ingested_at FROM {}",
        column("service"),
        column("event_id"),
        column("trace_id"),
        column("span_id"),
        recent_rows(wanted, since_us.max(wanted.since_us)),
    )
}

/// The table and the condition of rows that were ingested since a time.
fn recent_rows(wanted: &RecentRows<'_>, since_us: i64) -> String {
    let partitions: Vec<_> = wanted
        .partitions
        .iter()
        .map(|(number, _)| number.to_string())
        .collect();
    format!(
        "{} WHERE ingested_at >= to_timestamp_micros({since_us}) AND kafka_topic = '{}' AND kafka_partition IN ({})",
        wanted.kind.table(),
        wanted.topic.replace('\'', "''"),
        partitions.join(", "),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_whole_seconds_are_taken_as_fit() {
        let counts = [(90, 4), (80, 3), (50, 2), (40, 9)];
        assert_eq!(fitting(&counts, 100), Some((40, 18)));
        assert_eq!(fitting(&counts, 9), Some((50, 9)));
        assert_eq!(fitting(&counts, 8), Some((80, 7)));
        assert_eq!(fitting(&counts, 1), Some((90, 4)), "the newest in any case");
        assert_eq!(fitting(&[], 8), None);
    }
}
