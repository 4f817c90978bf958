//! Recounts what the marks claim: whoever doubts the accounting counts the rows.
//!
//! For each partition, rows = stored + replayed − expired, dead letters below `next` = dead_letters, no
//! record is there twice, and none lies at or past `next`. [`recount`] asks the tables, [`judge`] compares.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use farol_events::Kind;
use farol_lake::sql::Session;
use farol_lake::{Lake, LakeError};
use futures::TryStreamExt;
use serde::Serialize;

use crate::marks::{Marks, PartitionKey, by_partition};
use crate::tables::DEAD_LETTERS;

/// Tries to look at marks and rows of the same moment while others commit.
const ATTEMPTS: u32 = 50;

/// Why a recount could not be made.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The lake could not be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The rows could not be counted.
    #[error("counting rows: {0}")]
    Count(String),
    /// Commits came faster than marks and rows could be looked at together.
    #[error("the tables change too fast to be recounted; stop ingest for a moment")]
    Restless,
}

/// One partition, recounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The table of its rows.
    pub table: &'static str,
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// Rows that are there.
    pub rows: i64,
    /// Rows that the marks claim: stored + replayed − expired.
    pub rows_claimed: i64,
    /// Dead letters that are there.
    pub dead_letters: i64,
    /// Dead letters that the marks claim.
    pub dead_letters_claimed: i64,
    /// What does not hold; empty where all does.
    pub problems: Vec<String>,
}

/// A partition's name within one table, whatever log the name stood for.
type Place = (String, i32);

/// What is in the tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counted {
    rows: i64,
    newest: i64,
    doubled: i64,
    dead_letters: i64,
    dead_letters_doubled: i64,
}

/// Recounts every partition of every raw table.
pub async fn verify(lake: &Lake) -> Result<Vec<Verified>, VerifyError> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        if lake.existing(kind.table()).await?.is_some() {
            all.extend(verify_table(lake, kind).await?);
        }
    }
    Ok(all)
}

async fn verify_table(lake: &Lake, kind: Kind) -> Result<Vec<Verified>, VerifyError> {
    let (session, marks) = same_moment(lake, kind).await?;
    let mut places = BTreeMap::<Place, Vec<Marks>>::new();
    for (key, marks) in marks {
        places
            .entry((key.topic, key.partition))
            .or_default()
            .push(marks);
    }
    let counted = recount(&session, kind, &places).await?;
    let names: BTreeSet<_> = places.keys().chain(counted.keys()).cloned().collect();
    let none = Vec::new();
    Ok(names
        .into_iter()
        .map(|place| {
            let counted = counted.get(&place).copied().unwrap_or_default();
            judge(kind, &place, places.get(&place).unwrap_or(&none), counted)
        })
        .collect())
}

/// Tables and marks of one moment: where the marks are the same before and after the tables were opened, no
/// commit of ours came between.
async fn same_moment(
    lake: &Lake,
    kind: Kind,
) -> Result<(Session, BTreeMap<PartitionKey, Marks>), VerifyError> {
    let mut before = marks_of(lake, kind).await?;
    for _ in 0..ATTEMPTS {
        let session = Session::open(lake).await?;
        let after = marks_of(lake, kind).await?;
        if before == after {
            return Ok((session, after));
        }
        before = after;
    }
    Err(VerifyError::Restless)
}

async fn marks_of(lake: &Lake, kind: Kind) -> Result<BTreeMap<PartitionKey, Marks>, LakeError> {
    match lake.existing(kind.table()).await? {
        Some(table) => Ok(by_partition(&table.marks("farol/").await?)),
        None => Ok(BTreeMap::new()),
    }
}

async fn recount(
    session: &Session,
    kind: Kind,
    places: &BTreeMap<Place, Vec<Marks>>,
) -> Result<BTreeMap<Place, Counted>, VerifyError> {
    let table = kind.table();
    let mut counted = BTreeMap::<Place, Counted>::new();
    let rows = format!(
        "SELECT kafka_topic, kafka_partition, count(*), max(kafka_offset) FROM {table} GROUP BY kafka_topic, kafka_partition"
    );
    for (place, [rows, newest]) in grouped(session, &rows).await? {
        let entry = counted.entry(place).or_default();
        (entry.rows, entry.newest) = (rows, newest);
    }
    for (place, [doubled, _]) in grouped(session, &doubled_query(table, "true")).await? {
        counted.entry(place).or_default().doubled = doubled;
    }
    // Dead letters of a flush whose primary commit has not landed yet lie at or past `next`.
    let known = committed_condition(places);
    let letters = format!(
        "SELECT kafka_topic, kafka_partition, count(*), max(kafka_offset) FROM {DEAD_LETTERS} WHERE {known} \
         GROUP BY kafka_topic, kafka_partition"
    );
    for (place, [letters, _]) in grouped(session, &letters).await? {
        counted.entry(place).or_default().dead_letters = letters;
    }
    for (place, [doubled, _]) in grouped(session, &doubled_query(DEAD_LETTERS, &known)).await? {
        counted.entry(place).or_default().dead_letters_doubled = doubled;
    }
    Ok(counted)
}

fn doubled_query(table: &str, condition: &str) -> String {
    format!(
        "SELECT kafka_topic, kafka_partition, count(*), sum(copies) FROM (SELECT kafka_topic, kafka_partition, \
         kafka_offset, kafka_entry, count(*) AS copies FROM {table} WHERE {condition} \
         GROUP BY kafka_topic, kafka_partition, kafka_offset, kafka_entry HAVING count(*) > 1) \
         GROUP BY kafka_topic, kafka_partition"
    )
}

/// The SQL for "below what was committed"; a partition that nothing was committed of has nothing below.
fn committed_condition(places: &BTreeMap<Place, Vec<Marks>>) -> String {
    let below = places.iter().filter_map(|((topic, partition), marks)| {
        let next = marks.iter().filter_map(|marks| marks.next).max()?;
        let topic = topic.replace('\'', "''");
        Some(format!(
            "(kafka_topic = '{topic}' AND kafka_partition = {partition} AND kafka_offset < {next})"
        ))
    });
    let below: Vec<_> = below.collect();
    if below.is_empty() {
        "false".to_owned()
    } else {
        below.join(" OR ")
    }
}

/// Runs a query of a topic, a partition and two numbers.
async fn grouped(session: &Session, query: &str) -> Result<Vec<(Place, [i64; 2])>, VerifyError> {
    let counting = |error: &dyn std::fmt::Display| VerifyError::Count(error.to_string());
    let (_, stream) = session.query(query).await?;
    let batches: Vec<RecordBatch> = stream
        .try_collect()
        .await
        .map_err(|error| counting(&error))?;
    let mut rows = Vec::new();
    for batch in &batches {
        let topics = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8)
            .map_err(|error| counting(&error))?;
        let topics = topics.as_string::<i32>();
        let numbers = |index: usize| batch.column(index).as_primitive_opt::<Int64Type>();
        let (Some(partitions), Some(first), Some(second)) = (
            batch.column(1).as_primitive_opt::<Int32Type>(),
            numbers(2),
            numbers(3),
        ) else {
            return Err(counting(&"unexpected column types"));
        };
        for row in 0..batch.num_rows() {
            let place = (topics.value(row).to_owned(), partitions.value(row));
            let second = if second.is_null(row) {
                0
            } else {
                second.value(row)
            };
            rows.push((place, [first.value(row), second]));
        }
    }
    Ok(rows)
}

/// Compares what is there with what is claimed. `logs` are the marks of every log that had the name.
fn judge(kind: Kind, place: &Place, logs: &[Marks], counted: Counted) -> Verified {
    let sum = |of: fn(&Marks) -> i64| logs.iter().map(of).sum::<i64>();
    let rows_claimed = sum(|marks| marks.stored + marks.replayed - marks.expired);
    let dead_letters_claimed = sum(|marks| marks.dead_letters);
    let mut problems = Vec::new();
    let mut check = |holds: bool, problem: String| {
        if !holds {
            problems.push(problem);
        }
    };
    check(
        logs.iter()
            .all(|marks| marks.read == marks.stored + marks.duplicates + marks.dead_letters),
        "read is not stored + duplicates + dead letters".to_owned(),
    );
    check(
        counted.rows == rows_claimed,
        format!("{} rows, the marks claim {rows_claimed}", counted.rows),
    );
    check(
        counted.dead_letters == dead_letters_claimed,
        format!(
            "{} dead letters, the marks claim {dead_letters_claimed}",
            counted.dead_letters
        ),
    );
    // Another log under the same name counts its offsets from zero again.
    if let [marks] = logs {
        check(
            counted.doubled == 0,
            format!("{} records are there more than once", counted.doubled),
        );
        check(
            counted.dead_letters_doubled == 0,
            format!(
                "{} dead letters are there more than once",
                counted.dead_letters_doubled
            ),
        );
        check(
            counted.rows == 0 || marks.next.is_some_and(|next| counted.newest < next),
            format!(
                "a row of offset {}, but {:?} is to be read next",
                counted.newest, marks.next
            ),
        );
    }
    let (topic, partition) = place.clone();
    let (rows, dead_letters) = (counted.rows, counted.dead_letters);
    Verified {
        table: kind.table(),
        topic,
        partition,
        rows,
        rows_claimed,
        dead_letters,
        dead_letters_claimed,
        problems,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks() -> Marks {
        Marks {
            next: Some(11),
            read: 10,
            stored: 7,
            duplicates: 1,
            dead_letters: 2,
            replayed: 1,
            ..Marks::default()
        }
    }

    fn counted() -> Counted {
        Counted {
            rows: 8,
            newest: 10,
            dead_letters: 2,
            ..Counted::default()
        }
    }

    fn problems(logs: &[Marks], counted: Counted) -> Vec<String> {
        judge(Kind::Trace, &("t".to_owned(), 0), logs, counted).problems
    }

    #[test]
    fn what_holds_has_no_problems() {
        assert_eq!(problems(&[marks()], counted()), Vec::<String>::new());
        assert_eq!(problems(&[], Counted::default()), Vec::<String>::new());
    }

    #[test]
    fn each_claim_is_checked() {
        let one = |logs: &[Marks], counted| {
            let problems = problems(logs, counted);
            assert_eq!(problems.len(), 1, "{problems:?}");
            problems[0].clone()
        };
        assert!(
            one(
                &[Marks {
                    read: 11,
                    ..marks()
                }],
                counted()
            )
            .starts_with("read is not")
        );
        assert_eq!(
            one(
                &[marks()],
                Counted {
                    rows: 7,
                    ..counted()
                }
            ),
            "7 rows, the marks claim 8"
        );
        assert_eq!(
            one(
                &[Marks {
                    expired: 1,
                    ..marks()
                }],
                counted()
            ),
            "8 rows, the marks claim 7"
        );
        assert!(
            one(
                &[marks()],
                Counted {
                    dead_letters: 3,
                    ..counted()
                }
            )
            .starts_with("3 dead letters")
        );
        assert!(
            one(
                &[marks()],
                Counted {
                    doubled: 1,
                    ..counted()
                }
            )
            .starts_with("1 records")
        );
        assert!(
            one(
                &[marks()],
                Counted {
                    dead_letters_doubled: 1,
                    ..counted()
                }
            )
            .contains("dead letters are there")
        );
        assert!(
            one(
                &[marks()],
                Counted {
                    newest: 11,
                    ..counted()
                }
            )
            .starts_with("a row of offset 11")
        );
        assert!(
            one(
                &[],
                Counted {
                    rows: 8,
                    ..Counted::default()
                }
            )
            .starts_with("8 rows")
        );
    }

    #[test]
    fn logs_of_one_name_are_counted_together() {
        let twice = Counted {
            rows: 16,
            newest: 10,
            doubled: 8,
            dead_letters: 4,
            dead_letters_doubled: 2,
        };
        assert_eq!(problems(&[marks(), marks()], twice), Vec::<String>::new());
    }

    #[test]
    fn only_committed_dead_letters_are_counted() {
        let places = BTreeMap::from([
            (("o'k".to_owned(), 2), vec![marks()]),
            (("new".to_owned(), 0), vec![]),
        ]);
        assert_eq!(
            committed_condition(&places),
            "(kafka_topic = 'o''k' AND kafka_partition = 2 AND kafka_offset < 11)"
        );
        assert_eq!(committed_condition(&BTreeMap::new()), "false");
    }
}
