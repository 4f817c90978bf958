//! Looking rows up by an id: Bloom filters say which files may hold it, and only those are planned and read.
//!
//! ```text
//! trace_id = '…' ──hash──▶ one block of 32 bytes of each row group's filter ──▶ files that may hold it ──▶ scan
//! ```
//!
//! A split-block Bloom filter (Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", as Apache
//! Parquet has it) looks at one block of 256 bits for a value. So a filter of a megabyte is asked with one small read,
//! where reading it whole, for each row group of a large table, would take longer than the query. Where filters are is
//! kept for the session; a file without one, such as a fresh file, may hold anything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::{TableProvider, TableType};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_plan::{ExecutionPlan, Statistics};
use deltalake::DeltaTable;
use deltalake::delta_datafusion::DeltaScanNext;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use xxhash_rust::xxh64::xxh64;

use crate::error::LakeError;
use crate::table::Table;

/// The column that rows are looked up by.
const COLUMN: &str = "trace_id";

/// More ids than this at once are scanned for.
const IDS_MAX: usize = 100;

/// Files asked at a time.
const FILES_AT_ONCE: usize = 16;

/// Files whose filters' places are kept; beyond that all are read again.
const FILES_KEPT_MAX: usize = 20_000;

/// Bytes of a block of a filter.
const BLOCK_BYTES: u64 = 32;

/// Where a row group's filter is in its file: its blocks, without the header before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Blocks {
    offset: u64,
    count: u64,
}

/// The filters of a file's row groups; `None` where a row group has none.
type Filters = Option<Arc<[Blocks]>>;

/// Where the filters of files are. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownFilters(Arc<Mutex<HashMap<(String, Path), Filters>>>);

/// A table whose rows can be looked up by an id.
pub(super) struct LookedUp {
    table: Table,
    delta: DeltaTable,
    scan: DeltaScanNext,
    known: KnownFilters,
}

impl std::fmt::Debug for LookedUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LookedUp").field(&self.table).finish()
    }
}

/// A table as a snapshot has it, to be looked up in where it has the column.
pub(super) async fn provider(
    table: &Table,
    delta: DeltaTable,
    known: &KnownFilters,
) -> std::result::Result<Arc<dyn TableProvider>, LakeError> {
    let scan = delta.table_provider().build().await?;
    if scan.schema().field_with_name(COLUMN).is_err() {
        return Ok(Arc::new(scan));
    }
    Ok(Arc::new(LookedUp {
        table: table.clone(),
        delta,
        scan,
        known: known.clone(),
    }))
}

impl LookedUp {
    /// The files that may hold a row of one of these ids.
    async fn files_of(&self, ids: &[String]) -> Result<Vec<String>> {
        let state = self.delta.snapshot();
        let state = state.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let live = state.log_data();
        let files = live.iter().map(|view| ObjectMeta {
            location: view.object_store_path(),
            size: view.size().unsigned_abs(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            e_tag: None,
            version: None,
        });
        let asked = files
            .collect::<Vec<_>>()
            .into_iter()
            .map(|file| async move {
                let may_hold = self.may_hold(&file, ids).await?;
                Ok::<_, DataFusionError>(may_hold.then(|| file.location.to_string()))
            });
        futures::stream::iter(asked)
            .buffer_unordered(FILES_AT_ONCE)
            .try_filter_map(|file| std::future::ready(Ok(file)))
            .try_collect()
            .await
    }

    async fn may_hold(&self, file: &ObjectMeta, ids: &[String]) -> Result<bool> {
        let Some(filters) = self.filters(file).await? else {
            return Ok(true);
        };
        let asked = filters
            .iter()
            .flat_map(|blocks| ids.iter().map(move |id| (id, blocks.range_of(id))));
        let (ids, ranges): (Vec<_>, Vec<_>) = asked.unzip();
        let found = self
            .table
            .store()
            .get_ranges(&file.location, &ranges)
            .await?;
        let may_hold = |(id, block): (&String, &bytes::Bytes)| Sbbf::new(block).check(id.as_str());
        Ok(ids.into_iter().zip(&found).any(may_hold))
    }

    async fn filters(&self, file: &ObjectMeta) -> Result<Filters> {
        let key = (self.table.name().to_owned(), file.location.clone());
        if let Some(found) = self.known.lock().get(&key) {
            return Ok(found.clone());
        }
        let store: &dyn ObjectStore = self.table.store();
        let footer = DFParquetMetadata::new(store, file)
            .with_page_index_policy(Some(PageIndexPolicy::Skip))
            .fetch_metadata()
            .await?;
        let found = filters_in(&footer);
        let mut known = self.known.lock();
        if known.len() >= FILES_KEPT_MAX {
            known.clear();
        }
        known.insert(key, found.clone());
        Ok(found)
    }
}

impl KnownFilters {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Path), Filters>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Blocks {
    /// A filter's blocks are a power of two and follow its header, which is smaller than they are.
    fn of(offset: i64, length: i32) -> Option<Self> {
        let (offset, length) = (u64::try_from(offset).ok()?, u64::try_from(length).ok()?);
        let bytes = 1 << length.checked_ilog2()?;
        (bytes >= BLOCK_BYTES).then_some(Self {
            offset: offset + length - bytes,
            count: bytes / BLOCK_BYTES,
        })
    }

    /// Where the block of a value is: the upper half of its hash picks it.
    fn range_of(self, value: &str) -> std::ops::Range<u64> {
        let hash = xxh64(value.as_bytes(), 0);
        let block = ((hash >> 32) * self.count) >> 32;
        let start = self.offset + block * BLOCK_BYTES;
        start..start + BLOCK_BYTES
    }
}

fn filters_in(footer: &ParquetMetaData) -> Filters {
    let columns = footer.file_metadata().schema_descr().columns();
    let leaf = columns
        .iter()
        .position(|column| column.path().parts() == [COLUMN])?;
    let groups = footer.row_groups().iter().map(|group| {
        let column = group.column(leaf);
        Blocks::of(column.bloom_filter_offset()?, column.bloom_filter_length()?)
    });
    groups.collect()
}

/// The ids that filters, all of which must hold, ask for; `None` where none of them does.
fn ids_asked_for(filters: &[Expr]) -> Option<Vec<String>> {
    filters.iter().find_map(|filter| match filter {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => match (is_column(left), is_column(right)) {
            (true, false) => Some(vec![text_of(right)?]),
            (false, true) => Some(vec![text_of(left)?]),
            _ => None,
        },
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) if is_column(expr) && list.len() <= IDS_MAX => list.iter().map(text_of).collect(),
        _ => None,
    })
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(column) if column.name == COLUMN)
}

fn text_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(value, _) => match value.cast_to(&DataType::Utf8) {
            Ok(ScalarValue::Utf8(text)) => text,
            _ => None,
        },
        _ => None,
    }
}

#[async_trait]
impl TableProvider for LookedUp {
    fn schema(&self) -> SchemaRef {
        self.scan.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.scan.supports_filters_pushdown(filters)
    }

    fn statistics(&self) -> Option<Statistics> {
        self.scan.statistics()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(ids) = ids_asked_for(filters) else {
            return self.scan.scan(state, projection, filters, limit).await;
        };
        let files = self.files_of(&ids).await?;
        let scan = self.scan.clone().with_file_paths(files);
        scan.scan(state, projection, filters, limit).await
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    #[test]
    fn one_block_answers_for_the_whole_filter() {
        let mut filter = Sbbf::new_with_ndv_fpp(5_000, 0.01).unwrap();
        let id = |number: u32| format!("trace-{number}");
        for number in 0..5_000 {
            filter.insert(id(number).as_str());
        }
        let mut written = vec![0; 7];
        filter.write(&mut written).unwrap();
        let length = i32::try_from(written.len() - 7).unwrap();
        let blocks = Blocks::of(7, length).unwrap();
        assert_eq!(blocks.count, filter.num_blocks() as u64);
        for number in 0..20_000 {
            let range = blocks.range_of(&id(number));
            let block = &written[range.start as usize..range.end as usize];
            let expected = filter.check(id(number).as_str());
            assert_eq!(Sbbf::new(block).check(id(number).as_str()), expected);
            assert!(expected || number >= 5_000);
        }
        assert_eq!(Blocks::of(7, 20), None);
    }

    #[test]
    fn ids_are_found_among_filters() {
        let asked = |filter: Expr| ids_asked_for(&[col("service").eq(lit("a")), filter]);
        assert_eq!(asked(col("trace_id").eq(lit("x"))), Some(vec!["x".into()]));
        assert_eq!(asked(lit("x").eq(col("trace_id"))), Some(vec!["x".into()]));
        let two = col("trace_id").in_list(vec![lit("x"), lit("y")], false);
        assert_eq!(asked(two), Some(vec!["x".into(), "y".into()]));
        let others = col("trace_id").in_list(vec![lit("x")], true);
        assert_eq!(asked(others), None);
        assert_eq!(asked(col("trace_id").not_eq(lit("x"))), None);
        assert_eq!(asked(col("span_id").eq(lit("x"))), None);
        let either = col("trace_id").eq(lit("x")).or(col("service").eq(lit("b")));
        assert_eq!(asked(either), None);
    }
}
