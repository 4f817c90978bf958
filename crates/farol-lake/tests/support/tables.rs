//! A lake in a directory, tables of traces in it, and a reader that is not the one under test.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use farol_events::Kind;
use farol_lake::{Commit, Lake, Outcome, Step, Table, TableSpec};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// 2026-01-01, the day of the traces in tests.
pub const DAY: i32 = 20_454;
/// The mark that appends move.
pub const NEXT: &str = "farol/cluster/llm.traces@topic/0#next";

/// A lake that is gone with its directory.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// A new one.
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory for the test"),
        }
    }

    /// A handle as another process would have it.
    pub async fn lake(&self) -> Lake {
        let uri = self.dir.path().to_str().expect("a path in UTF-8");
        Lake::open(uri, HashMap::new()).await.expect("a lake")
    }

    /// The traces table of such a handle.
    pub async fn traces(&self) -> Table {
        self.lake()
            .await
            .table("traces", &TableSpec::raw(Kind::Trace))
            .await
            .expect("the traces table")
    }

    /// The lake's directory.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Where the traces are.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("traces")
    }

    /// Every data file there is, live or not.
    pub fn data_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.path(), &mut files);
        files.retain(|file| {
            file.extension()
                .is_some_and(|extension| extension == "parquet")
        });
        files.sort();
        files
    }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|name| name == "_delta_log") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// Appends rows and moves the mark by their number.
pub async fn append(table: &Table, rows: RecordBatch) {
    let from = table.marks(NEXT).await.expect("marks").get(NEXT).copied();
    let next = from.unwrap_or(0) + rows.num_rows() as i64;
    let upload = table
        .upload(Some(DAY), vec![rows])
        .await
        .expect("an upload");
    let step = Step {
        guard: NEXT.to_owned(),
        from,
        marks: vec![(NEXT.to_owned(), next)],
    };
    let outcome = table
        .commit(&Commit::append(vec![step], vec![upload]))
        .await
        .expect("a commit");
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

/// The paths of the live files.
pub async fn live_files(table: &Table) -> Vec<PathBuf> {
    let snapshot = table.snapshot().await.expect("a snapshot");
    let files = snapshot.snapshot().expect("a loaded table").log_data();
    let mut files: Vec<_> = files
        .iter()
        .map(|file| PathBuf::from(file.path().as_ref()))
        .collect();
    files.sort();
    files
}

/// The rows of the live files, file by file, read with the `parquet` crate alone.
pub async fn rows_by_file(table: &Table, root: &Path) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    for file in live_files(table).await {
        let file = std::fs::File::open(root.join(file)).expect("a live file");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .expect("a Parquet file")
            .build()
            .expect("a reader");
        let read: Vec<_> = reader.collect::<Result<_, _>>().expect("rows");
        batches
            .push(arrow::compute::concat_batches(read[0].schema_ref(), &read).expect("one batch"));
    }
    batches
}

/// All rows of a table in the order of their offsets.
pub async fn rows(table: &Table, root: &Path) -> RecordBatch {
    let files = rows_by_file(table, root).await;
    let all = arrow::compute::concat_batches(files[0].schema_ref(), &files).expect("one batch");
    let offsets = all.column_by_name("kafka_offset").expect("offsets");
    let order = arrow::compute::sort_to_indices(offsets, None, None).expect("an order");
    arrow::compute::take_record_batch(&all, &order).expect("sorted rows")
}

/// The offsets of all rows, sorted.
pub async fn offsets(table: &Table, root: &Path) -> Vec<i64> {
    let rows = rows(table, root).await;
    rows.column_by_name("kafka_offset")
        .expect("offsets")
        .as_primitive::<Int64Type>()
        .values()
        .to_vec()
}
