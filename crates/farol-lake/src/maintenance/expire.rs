//! Retention: whole dates are dropped, and counted, so that rows = stored + replayed − expired stays true.
//!
//! The rows of each Kafka partition are counted in the very version whose files are removed, and the partitions'
//! `expired` marks move in the commit that removes them, under the guard of all maintenance.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use chrono::NaiveDate;
use datafusion::prelude::SessionContext;
use deltalake::kernel::LogicalFileView;

use super::compact::{guard, next};
use super::snapshot::{self, Snapshot};
use crate::commit::{Commit, Marks, Operation, Outcome, Step};
use crate::error::LakeError;
use crate::table::Table;

/// What retention did to a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ExpireReport {
    /// The table.
    pub table: String,
    /// Files removed.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Whether another maintenance commit came in between, so that it is left for the next time.
    pub overtaken: bool,
}

/// Rows by the Kafka partition that they came from.
type Counts = BTreeMap<(String, i32), i64>;

/// Removes the rows of all dates before `before` from a table partitioned by `event_date`. `expired_mark` names the
/// mark that counts the dropped rows of a topic's partition.
///
/// # Errors
/// Where a partition's mark has no name, or the table cannot be read or committed to. Nothing is removed then.
pub async fn expire(
    table: &Table,
    before: NaiveDate,
    expired_mark: impl Fn(&str, i32) -> Option<String>,
) -> Result<ExpireReport, LakeError> {
    let mut report = ExpireReport {
        table: table.name().to_owned(),
        ..ExpireReport::default()
    };
    let marks = table.marks("farol/").await?;
    let snapshot = Snapshot::load(table).await?;
    let removed: Vec<_> = snapshot
        .views()?
        .into_iter()
        .filter(|view| is_before(view, before))
        .collect();
    if removed.is_empty() {
        return Ok(report);
    }
    let counts = count(&snapshot, before).await?;
    let guard = guard(table.name());
    let turn = marks.get(&guard).copied();
    let moved =
        moved(&marks, &counts, expired_mark).map_err(|partition| LakeError::Maintenance {
            table: table.name().to_owned(),
            reason: format!("no mark counts what expires of partition {partition}"),
        })?;
    let step = Step {
        marks: [(guard.clone(), next(turn))]
            .into_iter()
            .chain(moved)
            .collect(),
        guard,
        from: turn,
    };
    let removes = removed
        .iter()
        .map(|view| snapshot::remove(view, true))
        .collect();
    let commit = Commit::new(Operation::Delete, vec![step], Vec::new(), removes);
    match table.commit(&commit).await {
        Ok(Outcome::Committed { .. }) => {
            report.files = removed.len() as u64;
            report.rows = counts.values().sum::<i64>().unsigned_abs();
        }
        Ok(Outcome::Overtaken { .. }) | Err(LakeError::FileGone { .. }) => report.overtaken = true,
        Err(error) => return Err(error),
    }
    Ok(report)
}

/// Whether all of a file's rows are of a date before `before`. A file without a date stays.
fn is_before(view: &LogicalFileView, before: NaiveDate) -> bool {
    let date = view.partition_values_map().into_values().next().flatten();
    date.and_then(|date| date.parse::<NaiveDate>().ok())
        .is_some_and(|date| date < before)
}

/// The marks to set; the partition whose mark has no name where there is such.
fn moved(
    marks: &Marks,
    counts: &Counts,
    expired_mark: impl Fn(&str, i32) -> Option<String>,
) -> Result<Vec<(String, i64)>, String> {
    counts
        .iter()
        .map(|((topic, partition), rows)| {
            let mark =
                expired_mark(topic, *partition).ok_or_else(|| format!("{topic}/{partition}"))?;
            let value = marks.get(&mark).copied().unwrap_or(0) + rows;
            Ok((mark, value))
        })
        .collect()
}

async fn count(snapshot: &Snapshot, before: NaiveDate) -> Result<Counts, LakeError> {
    let context = SessionContext::new();
    snapshot
        .delta()
        .update_datafusion_session(&context.state())?;
    context.register_table("expiring", snapshot.delta().table_provider().await?)?;
    let sql = format!(
        "SELECT kafka_topic, kafka_partition, count(*) FROM expiring \
         WHERE event_date < DATE '{before}' GROUP BY kafka_topic, kafka_partition"
    );
    let mut counts = Counts::new();
    for batch in context.sql(&sql).await?.collect().await? {
        let topics = cast(batch.column(0), &DataType::Utf8)?;
        let partitions = cast(batch.column(1), &DataType::Int32)?;
        let (topics, partitions) = (
            topics.as_string::<i32>(),
            partitions.as_primitive::<Int32Type>(),
        );
        let rows = batch.column(2).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let partition = (topics.value(row).to_owned(), partitions.value(row));
            *counts.entry(partition).or_default() += rows.value(row);
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_grow_by_what_is_dropped() {
        let counts = Counts::from([(("t".into(), 0), 5), (("t".into(), 1), 7)]);
        let marks = Marks::from([("t/0#expired".into(), 10)]);
        let name = |topic: &str, partition: i32| Some(format!("{topic}/{partition}#expired"));
        let expected = [
            ("t/0#expired".to_owned(), 15),
            ("t/1#expired".to_owned(), 7),
        ];
        assert_eq!(moved(&marks, &counts, name).unwrap(), expected);
    }

    #[test]
    fn rows_that_no_mark_would_count_are_not_dropped() {
        let counts = Counts::from([(("unknown".into(), 3), 5)]);
        assert_eq!(
            moved(&Marks::new(), &counts, |_, _| None),
            Err("unknown/3".to_owned())
        );
    }
}
