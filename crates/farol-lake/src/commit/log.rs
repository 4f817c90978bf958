//! Reading a table's log: single entries, and the marks of a checkpoint.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use deltalake::kernel::{Add, Remove};
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;

use super::{COMMIT_ID, Marks};
use crate::error::LakeError;

/// What one version of a table's log says.
#[derive(Debug, Clone, Default)]
pub struct LogEntry {
    /// The version.
    pub version: i64,
    /// Application transactions: id and value.
    pub marks: Vec<(String, i64)>,
    /// Files added.
    pub adds: Vec<Add>,
    /// Files removed.
    pub removes: Vec<Remove>,
    /// The UUID of the commit, where Farol wrote it.
    pub commit_id: Option<String>,
    /// Whether the table's protocol was set.
    pub sets_protocol: bool,
}

impl LogEntry {
    /// Whether rows were added or dropped, rather than rewritten.
    pub fn changes_data(&self) -> bool {
        self.adds.iter().any(|add| add.data_change)
            || self.removes.iter().any(|remove| remove.data_change)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    txn: Option<Transaction>,
    add: Option<Add>,
    remove: Option<Remove>,
    commit_info: Option<serde_json::Map<String, serde_json::Value>>,
    protocol: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    app_id: String,
    version: i64,
}

/// Parses an entry of a table's log: one action per line, unknown ones passed over.
pub fn parse(version: i64, bytes: &[u8]) -> Result<LogEntry, String> {
    let mut entry = LogEntry {
        version,
        ..LogEntry::default()
    };
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let line: Line = serde_json::from_slice(line)
            .map_err(|error| format!("line {}: {error}", number + 1))?;
        entry
            .marks
            .extend(line.txn.map(|txn| (txn.app_id, txn.version)));
        entry.adds.extend(line.add);
        entry.removes.extend(line.remove);
        entry.sets_protocol |= line.protocol.is_some();
        if let Some(info) = line.commit_info {
            entry.commit_id = info
                .get(COMMIT_ID)
                .and_then(|id| id.as_str())
                .map(ToOwned::to_owned);
        }
    }
    Ok(entry)
}

/// The path of a version's entry.
pub fn entry_path(version: i64) -> Path {
    Path::from(format!("_delta_log/{version:020}.json"))
}

/// What the log's hint says of the newest checkpoint.
#[derive(Deserialize)]
struct LastCheckpoint {
    version: i64,
    parts: Option<i64>,
}

/// Reads the marks of the newest checkpoint: its version and what it holds; `None` where there is none.
pub async fn checkpoint_marks(
    store: &Arc<dyn ObjectStore>,
) -> Result<Option<(i64, Marks)>, LakeError> {
    let hint = match store.get(&Path::from("_delta_log/_last_checkpoint")).await {
        Ok(found) => found.bytes().await?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // A hint that cannot be read is no hint: the log itself is still there.
    let Ok(hint) = serde_json::from_slice::<LastCheckpoint>(&hint) else {
        return Ok(None);
    };
    let mut marks = Marks::new();
    for path in checkpoint_paths(&hint) {
        let bytes = store.get(&path).await?.bytes().await?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
        let Ok(index) = builder.schema().index_of("txn") else {
            continue;
        };
        let projection = ProjectionMask::roots(builder.parquet_schema(), [index]);
        for batch in builder.with_projection(projection).build()? {
            gather(&batch?, &mut marks)?;
        }
    }
    Ok(Some((hint.version, marks)))
}

fn checkpoint_paths(hint: &LastCheckpoint) -> Vec<Path> {
    let version = hint.version;
    match hint.parts {
        None => vec![Path::from(format!(
            "_delta_log/{version:020}.checkpoint.parquet"
        ))],
        Some(parts) => (1..=parts)
            .map(|part| {
                Path::from(format!(
                    "_delta_log/{version:020}.checkpoint.{part:010}.{parts:010}.parquet"
                ))
            })
            .collect(),
    }
}

fn gather(batch: &RecordBatch, marks: &mut Marks) -> Result<(), LakeError> {
    let wrong = || {
        arrow::error::ArrowError::SchemaError("a checkpoint's `txn` lacks appId or version".into())
    };
    let Some(transactions) = batch.column(0).as_struct_opt() else {
        return Err(wrong().into());
    };
    let ids = transactions.column_by_name("appId").ok_or_else(wrong)?;
    let ids = arrow::compute::cast(ids, &arrow::datatypes::DataType::Utf8)?;
    let ids = ids.as_string::<i32>();
    let values = transactions
        .column_by_name("version")
        .and_then(|column| column.as_primitive_opt::<Int64Type>());
    let values = values.ok_or_else(wrong)?;
    for row in (0..batch.num_rows()).filter(|row| transactions.is_valid(*row) && ids.is_valid(*row))
    {
        marks.insert(ids.value(row).to_owned(), values.value(row));
    }
    Ok(())
}

/// The oldest version whose entry the store still holds.
pub async fn oldest_entry(store: &Arc<dyn ObjectStore>) -> Result<Option<i64>, LakeError> {
    let mut oldest = None;
    let mut listing = store.list(Some(&Path::from("_delta_log")));
    while let Some(object) = listing.try_next().await? {
        let name = object.location.filename().unwrap_or_default();
        let version = name
            .strip_suffix(".json")
            .filter(|digits| digits.len() == 20);
        if let Some(version) = version.and_then(|digits| digits.parse::<i64>().ok()) {
            oldest = Some(oldest.map_or(version, |oldest: i64| oldest.min(version)));
        }
    }
    Ok(oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_line_by_line() {
        let text = concat!(
            r#"{"commitInfo":{"timestamp":1,"operation":"WRITE","farolCommitId":"0c5f"}}"#,
            "\n",
            r#"{"txn":{"appId":"farol/c/t@i/0#next","version":7}}"#,
            "\n",
            r#"{"somethingNew":{"a":1}}"#,
            "\n\n",
            r#"{"txn":{"appId":"x","version":-1,"lastUpdated":5}}"#,
        );
        let entry = parse(3, text.as_bytes()).unwrap();
        assert_eq!(
            entry.marks,
            [("farol/c/t@i/0#next".to_owned(), 7), ("x".to_owned(), -1)]
        );
        assert_eq!(entry.commit_id.as_deref(), Some("0c5f"));
        assert!(!entry.changes_data());
    }

    #[test]
    fn a_torn_entry_is_an_error_that_names_the_line() {
        let reason = parse(
            3,
            b"{\"txn\":{\"appId\":\"x\",\"version\":1}}\n{\"txn\":{\"ap",
        )
        .unwrap_err();
        assert!(reason.starts_with("line 2:"), "{reason}");
    }
}
