//! Compaction and vacuum over real tables in a directory, and what those who read beside them see.

#[path = "maintenance/looking_up.rs"]
mod looking_up;
#[path = "maintenance/reading_on.rs"]
mod reading_on;
#[path = "support/rows.rs"]
#[allow(dead_code)]
mod rows;
#[path = "support/tables.rs"]
#[allow(dead_code)]
mod tables;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::TimestampMicrosecondType;
use farol_lake::maintenance::{CompactOptions, VacuumOptions, compact, expire, guard, vacuum};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tables::{DAY, NEXT, Place, append, live_files, offsets, rows_by_file};

const HOUR: Duration = Duration::from_hours(1);

async fn filled(place: &Place, files: usize, rows_each: usize) -> farol_lake::Table {
    let table = place.traces().await;
    let mut traces = rows::Traces::new(11);
    for _ in 0..files {
        append(&table, traces.batch(rows_each)).await;
    }
    table
}

fn is_sorted(rows: &RecordBatch) -> bool {
    let services = rows.column_by_name("service").unwrap().as_string::<i32>();
    let times = rows
        .column_by_name("event_time")
        .unwrap()
        .as_primitive::<TimestampMicrosecondType>();
    let key = |row: usize| (services.value(row), times.value(row));
    (1..rows.num_rows()).all(|row| key(row - 1) <= key(row))
}

/// Vacuum of everything that is not needed now, however young.
fn at_once() -> VacuumOptions {
    VacuumOptions {
        older_than: Duration::ZERO,
        dry_run: false,
        unsafe_age: true,
    }
}

#[tokio::test]
async fn compaction_changes_no_row_and_no_mark() {
    let place = Place::new();
    let table = filled(&place, 10, 500).await;
    let before = tables::rows(&table, &place.path()).await;
    let marks = table.marks(NEXT).await.unwrap();
    let report = compact(&table, &CompactOptions::default()).await.unwrap();
    assert_eq!(
        (
            report.commits,
            report.files_removed,
            report.files_added,
            report.rows
        ),
        (1, 10, 1, 5_000)
    );
    assert_eq!(live_files(&table).await.len(), 1);
    assert_eq!(tables::rows(&table, &place.path()).await, before);
    let reopened = place.traces().await;
    assert_eq!(reopened.marks(NEXT).await.unwrap(), marks);
    assert_eq!(
        reopened.marks("farol/maintenance/").await.unwrap()[&guard("traces")],
        1
    );
    let again = compact(&reopened, &CompactOptions::default())
        .await
        .unwrap();
    assert_eq!(again.commits, 0, "there is nothing left to merge");
    assert!(
        table.changes(table.version() - 1).await.unwrap().is_empty(),
        "no rows changed"
    );
}

#[tokio::test]
async fn compacted_files_are_sorted_and_made_for_reading() {
    let place = Place::new();
    let table = filled(&place, 8, 2_000).await;
    compact(&table, &CompactOptions::default()).await.unwrap();
    let files = rows_by_file(&table, &place.path()).await;
    assert_eq!(files.len(), 1);
    assert!(is_sorted(&files[0]));

    let path = place.path().join(&live_files(&table).await[0]);
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap();
    let columns = reader.metadata().row_group(0).columns();
    let column = |name: &str| {
        columns
            .iter()
            .find(|column| column.column_path().string() == name)
            .unwrap()
    };
    assert!(column("trace_id").bloom_filter_offset().is_some());
    assert!(
        column("event_time").column_index_offset().is_some(),
        "statistics per page"
    );
}

#[tokio::test]
async fn statistics_still_tell_files_apart() {
    let place = Place::new();
    let table = filled(&place, 8, 4_000).await;
    let small = CompactOptions {
        target_file_bytes: 1_000_000,
        memory_bytes: 16 << 20,
        ..CompactOptions::default()
    };
    let report = compact(&table, &small).await.unwrap();
    assert!(
        report.files_added >= 2 && report.commits_unsorted == 0,
        "{report:?}"
    );
    let snapshot = table.snapshot().await.unwrap();
    let mut ranges: Vec<(String, String)> = Vec::new();
    for file in snapshot.snapshot().unwrap().log_data().iter() {
        let stats: serde_json::Value = serde_json::from_str(&file.stats().unwrap()).unwrap();
        let text = |side: &str, column: &str| stats[side][column].as_str().unwrap().to_owned();
        assert!(text("minValues", "event_time") <= text("maxValues", "event_time"));
        assert!(stats["maxValues"]["kafka_offset"].is_i64());
        assert!(stats["minValues"].get("input").is_none());
        ranges.push((text("minValues", "service"), text("maxValues", "service")));
    }
    ranges.sort();
    assert!(
        ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0),
        "files overlap: {ranges:?}"
    );
}

#[tokio::test]
async fn sorting_spills_what_does_not_fit() {
    let place = Place::new();
    let table = filled(&place, 8, 10_000).await;
    let before = tables::rows(&table, &place.path()).await;
    let narrow = CompactOptions {
        memory_bytes: 12 << 20,
        ..CompactOptions::default()
    };
    let report = compact(&table, &narrow).await.unwrap();
    assert_eq!(
        (report.commits, report.commits_unsorted, report.rows),
        (1, 0, 80_000)
    );
    assert!(is_sorted(&rows_by_file(&table, &place.path()).await[0]));
    assert_eq!(tables::rows(&table, &place.path()).await, before);
}

#[tokio::test]
async fn where_there_is_no_room_to_sort_rows_are_still_merged() {
    let place = Place::new();
    let table = filled(&place, 8, 2_000).await;
    let before = tables::rows(&table, &place.path()).await;
    let hopeless = CompactOptions {
        memory_bytes: 4 << 10,
        ..CompactOptions::default()
    };
    let report = compact(&table, &hopeless).await.unwrap();
    assert_eq!(
        (report.commits, report.commits_unsorted, report.rows),
        (1, 1, 16_000)
    );
    assert_eq!(tables::rows(&table, &place.path()).await, before);
}

#[tokio::test]
async fn rows_of_megabytes_are_merged_a_few_at_a_time() {
    let place = Place::new();
    let table = place.traces().await;
    let mut traces = rows::Traces::new(11);
    for _ in 0..8 {
        let batch = traces.batch(6);
        let long = Arc::new(StringArray::from_iter_values(
            (0..6).map(|n| n.to_string().repeat(1 << 20)),
        )) as ArrayRef;
        let mut columns = batch.columns().to_vec();
        columns[batch.schema().index_of("input").unwrap()] = long;
        append(
            &table,
            RecordBatch::try_new(batch.schema(), columns).unwrap(),
        )
        .await;
    }
    let before = tables::rows(&table, &place.path()).await;
    let options = CompactOptions {
        memory_bytes: 16 << 20,
        ..CompactOptions::default()
    };
    let report = compact(&table, &options).await.unwrap();
    assert_eq!((report.commits_unsorted, report.rows), (0, 48));
    assert_eq!(tables::rows(&table, &place.path()).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_compactors_at_once_never_double_rows() {
    let place = Place::new();
    let table = filled(&place, 12, 200).await;
    for _ in 0..3 {
        let (one, two) = (place.traces().await, place.traces().await);
        let options = CompactOptions {
            target_file_bytes: 64 << 10,
            ..CompactOptions::default()
        };
        let (one, two) = tokio::join!(compact(&one, &options), compact(&two, &options));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(
            one.commits == 0 || two.commits == 0 || !(one.overtaken && two.overtaken),
            "{one:?} {two:?}"
        );
        assert_eq!(
            offsets(&table, &place.path()).await,
            (0..2_400).collect::<Vec<_>>()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_goes_on_beside_appends_and_readers() {
    const APPENDS: usize = 40;
    let place = Place::new();
    let table = place.traces().await;
    let mut traces = rows::Traces::new(11);
    append(&table, traces.batch(50)).await;
    let done = Arc::new(AtomicBool::new(false));
    let appender = {
        let (table, done) = (place.traces().await, done.clone());
        tokio::spawn(async move {
            for _ in 1..APPENDS {
                append(&table, traces.batch(50)).await;
            }
            done.store(true, Ordering::SeqCst);
        })
    };
    let compactor = {
        let (table, done) = (place.traces().await, done.clone());
        tokio::spawn(async move {
            let options = CompactOptions {
                files_per_tier: 3,
                ..CompactOptions::default()
            };
            let mut commits = 0;
            while !done.load(Ordering::SeqCst) {
                commits += compact(&table, &options).await.unwrap().commits;
            }
            commits
        })
    };
    while !done.load(Ordering::SeqCst) {
        let seen = offsets(&table, &place.path()).await;
        assert_eq!(
            seen,
            (0..seen.len() as i64).collect::<Vec<_>>(),
            "a reader sees each row once"
        );
    }
    appender.await.unwrap();
    assert!(
        compactor.await.unwrap() > 0,
        "appends do not keep compaction from committing"
    );
    assert_eq!(offsets(&table, &place.path()).await.len(), APPENDS * 50);
    assert_eq!(
        table.marks(NEXT).await.unwrap()[NEXT],
        (APPENDS * 50) as i64
    );
}

#[tokio::test]
async fn vacuum_takes_what_is_old_and_unneeded_and_nothing_else() {
    let place = Place::new();
    let table = filled(&place, 8, 100).await;
    compact(&table, &CompactOptions::default()).await.unwrap();
    append(&table, rows::Traces::new(1).batch(10)).await;
    let orphan = table
        .upload(Some(DAY), vec![rows::Traces::new(2).batch(5)])
        .await
        .unwrap();
    assert_eq!(orphan.rows, 5);
    assert_eq!(place.data_files().len(), 8 + 1 + 1 + 1);
    let log_before = std::fs::read_dir(place.path().join("_delta_log"))
        .unwrap()
        .count();

    let refused = vacuum(
        &table,
        VacuumOptions {
            older_than: HOUR,
            ..at_once()
        },
    )
    .await
    .unwrap();
    assert!(
        refused.files.is_empty(),
        "nothing is an hour old: {refused:?}"
    );
    let would = vacuum(
        &table,
        VacuumOptions {
            dry_run: true,
            ..at_once()
        },
    )
    .await
    .unwrap();
    assert_eq!(would.files.len(), 9);
    assert_eq!(place.data_files().len(), 11);
    let did = vacuum(&table, at_once()).await.unwrap();
    assert_eq!((did.files, did.bytes), (would.files, would.bytes));

    let live: Vec<_> = live_files(&table)
        .await
        .iter()
        .map(|file| place.path().join(file))
        .collect();
    assert_eq!(place.data_files(), live);
    assert_eq!(
        std::fs::read_dir(place.path().join("_delta_log"))
            .unwrap()
            .count(),
        log_before
    );
    assert_eq!(tables::rows(&table, &place.path()).await.num_rows(), 810);
}

#[tokio::test]
async fn a_file_removed_lately_stays_for_its_readers_however_old_it_is() {
    let place = Place::new();
    let table = filled(&place, 8, 100).await;
    for file in place.data_files() {
        let two_days_ago = SystemTime::now() - 48 * HOUR;
        std::fs::File::options()
            .append(true)
            .open(file)
            .unwrap()
            .set_modified(two_days_ago)
            .unwrap();
    }
    compact(&table, &CompactOptions::default()).await.unwrap();
    let vacuumed = vacuum(&table, VacuumOptions::default()).await.unwrap();
    assert!(vacuumed.files.is_empty(), "{vacuumed:?}");
    assert_eq!(place.data_files().len(), 9);
}

#[tokio::test]
async fn dates_beyond_retention_are_dropped_and_counted() {
    let place = Place::new();
    let table = filled(&place, 2, 100).await;
    let old = table
        .upload(Some(DAY - 3), vec![rows::Traces::new(5).batch(70)])
        .await
        .unwrap();
    let commit = farol_lake::Commit::append(Vec::new(), vec![old]);
    table.commit(&commit).await.unwrap();
    let before = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
    let mark = |topic: &str, partition: i32| {
        Some(format!("farol/cluster/{topic}@topic/{partition}#expired"))
    };
    let refused = expire(&table, before, |_, _| None).await.unwrap_err();
    assert!(refused.to_string().contains("llm.traces/0"), "{refused}");

    let expired = expire(&table, before, mark).await.unwrap();
    assert_eq!(
        (expired.files, expired.rows, expired.overtaken),
        (1, 70, false)
    );
    assert_eq!(
        expire(&table, before, mark).await.unwrap().rows,
        0,
        "there is nothing left to drop"
    );
    assert_eq!(
        offsets(&table, &place.path()).await,
        (0..200).collect::<Vec<_>>()
    );
    let marks = place.traces().await.marks("farol/").await.unwrap();
    assert_eq!(marks["farol/cluster/llm.traces@topic/0#expired"], 70);
    assert_eq!((marks[NEXT], marks[&guard("traces")]), (200, 1));
}

#[tokio::test]
async fn vacuum_below_a_day_needs_leave() {
    let place = Place::new();
    let table = place.traces().await;
    let hasty = VacuumOptions {
        older_than: HOUR,
        ..VacuumOptions::default()
    };
    let error = vacuum(&table, hasty).await.unwrap_err();
    assert!(error.to_string().contains("24 h"), "{error}");
}

#[tokio::test]
async fn an_interrupted_compaction_leaves_orphans_that_vacuum_takes() {
    let place = Place::new();
    let table = filled(&place, 8, 20_000).await;
    let before = offsets(&table, &place.path()).await;
    let options = CompactOptions::default();
    let cut_short =
        tokio::time::timeout(Duration::from_millis(60), compact(&table, &options)).await;
    assert!(cut_short.is_err(), "the compaction was to be interrupted");
    assert_eq!(offsets(&table, &place.path()).await, before);
    vacuum(&table, at_once()).await.unwrap();
    assert_eq!(place.data_files().len(), 8);
    assert_eq!(compact(&table, &options).await.unwrap().rows, 160_000);
    assert_eq!(offsets(&table, &place.path()).await, before);
}
