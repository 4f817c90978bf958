//! A table's files: their columns and the writer's properties, worked out once and shared.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterPropertiesPtr,
};
use parquet::schema::types::{ColumnPath, SchemaDescriptor, TypePtr};

use super::columns::{Treatment, nested_treatment, treatment};
use super::error::FileError;
use super::row_groups::MAX_ROWS;

/// How often a Bloom filter may say "perhaps" of an id that is not there.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Fresh rows, in the order in which they arrived: written as fast as possible.
    Ingest,
    /// Rows for good, sorted by [`sort_columns`]: with what makes reading cheap (statistics per page, a Bloom
    /// filter on the trace id).
    Compacted,
}

/// What compacted files of events are sorted by, where the table has such columns.
const SORT_COLUMNS: [&str; 2] = ["service", "event_time"];

/// What compacted files of windows are sorted by.
const WINDOW_SORT_COLUMNS: [&str; 1] = ["window_start"];

/// What compacted files of a table are sorted by.
pub fn sort_columns(schema: &Schema) -> &'static [&'static str] {
    let is_there = |name: &&str| schema.index_of(name).is_ok();
    if WINDOW_SORT_COLUMNS.iter().any(is_there) {
        &WINDOW_SORT_COLUMNS
    } else {
        &SORT_COLUMNS
    }
}

/// The columns of a table's files and how they are written. Partition columns are in the log, not in the files.
#[derive(Debug)]
pub struct Layout {
    schema: SchemaRef,
    parquet_schema: TypePtr,
    properties: WriterPropertiesPtr,
    leaves: Vec<usize>,
    logged: Vec<LoggedColumn>,
}

/// A column whose extremes go to the table's log.
#[derive(Debug)]
pub(crate) struct LoggedColumn {
    pub name: String,
    pub data_type: DataType,
    /// Its place among the file's leaf columns.
    pub leaf: usize,
}

impl Layout {
    /// Works out the layout of files of a table.
    ///
    /// # Errors
    /// Where a column has a type that Parquet cannot hold.
    pub fn new(
        table_schema: &Schema,
        partition_columns: &[String],
        purpose: Purpose,
    ) -> Result<Self, FileError> {
        let stored = table_schema
            .fields()
            .iter()
            .filter(|field| !partition_columns.contains(field.name()));
        let schema = Arc::new(Schema::new(stored.cloned().collect::<Vec<_>>()));
        let descriptor = ArrowSchemaConverter::new().convert(&schema)?;
        let mut leaves = vec![0; schema.fields().len()];
        for leaf in 0..descriptor.num_columns() {
            leaves[descriptor.get_column_root_idx(leaf)] += 1;
        }
        Ok(Self {
            properties: Arc::new(properties(&schema, &descriptor, purpose)?),
            logged: logged_columns(&schema, &leaves, purpose),
            parquet_schema: descriptor.root_schema_ptr(),
            schema,
            leaves,
        })
    }

    /// The files' columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The writer's properties.
    pub fn properties(&self) -> &WriterPropertiesPtr {
        &self.properties
    }

    pub(crate) fn parquet_schema(&self) -> &TypePtr {
        &self.parquet_schema
    }

    /// How many leaf columns the column at `index` has.
    pub(crate) fn leaves_of(&self, index: usize) -> usize {
        self.leaves[index]
    }

    pub(crate) fn logged(&self) -> &[LoggedColumn] {
        &self.logged
    }

    /// Puts a batch's columns in the files' order, leaving out those that files do not hold. Copies no data.
    ///
    /// # Errors
    /// Where a column is missing or has another type.
    pub fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch, FileError> {
        let columns = self.schema.fields().iter().map(|field| {
            let column =
                batch
                    .column_by_name(field.name())
                    .ok_or_else(|| FileError::MissingColumn {
                        column: field.name().clone(),
                    })?;
            check_type(field.name(), column, field.data_type())?;
            Ok(Arc::clone(column))
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, FileError>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

fn check_type(column: &str, array: &ArrayRef, expected: &DataType) -> Result<(), FileError> {
    if array.data_type() == expected {
        return Ok(());
    }
    Err(FileError::ColumnType {
        column: column.to_owned(),
        found: array.data_type().clone(),
        expected: expected.clone(),
    })
}

fn logged_columns(schema: &Schema, leaves: &[usize], purpose: Purpose) -> Vec<LoggedColumn> {
    let mut leaf = 0;
    let mut logged = Vec::new();
    for (field, leaves) in schema.fields().iter().zip(leaves) {
        if is_logged(treatment(field.name(), field.data_type()), purpose) {
            let (name, data_type) = (field.name().clone(), field.data_type().clone());
            logged.push(LoggedColumn {
                name,
                data_type,
                leaf,
            });
        }
        leaf += leaves;
    }
    logged
}

fn is_logged(treatment: Treatment, purpose: Purpose) -> bool {
    match purpose {
        Purpose::Ingest => treatment.logged_at_once,
        Purpose::Compacted => treatment.logged,
    }
}

fn properties(
    schema: &Schema,
    descriptor: &SchemaDescriptor,
    purpose: Purpose,
) -> Result<WriterProperties, FileError> {
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("farol ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(MAX_ROWS));
    if purpose == Purpose::Compacted {
        builder = builder.set_sorting_columns(sorting_columns(schema, descriptor));
    }
    for leaf in 0..descriptor.num_columns() {
        let field = schema.field(descriptor.get_column_root_idx(leaf));
        let treatment = if field.data_type().is_nested() {
            nested_treatment(field.name(), &leaf_type(descriptor, leaf))
        } else {
            treatment(field.name(), field.data_type())
        };
        builder = column_properties(
            builder,
            descriptor.column(leaf).path().clone(),
            treatment,
            purpose,
        );
    }
    Ok(builder.build())
}

fn column_properties(
    builder: WriterPropertiesBuilder,
    path: ColumnPath,
    treatment: Treatment,
    purpose: Purpose,
) -> WriterPropertiesBuilder {
    let compacted = purpose == Purpose::Compacted;
    let statistics = match (is_logged(treatment, purpose), compacted) {
        (true, true) => EnabledStatistics::Page,
        (true, false) => EnabledStatistics::Chunk,
        // A fresh file is small and soon merged: what prunes it is in the log.
        (false, true) if treatment.statistics => EnabledStatistics::Chunk,
        (false, _) => EnabledStatistics::None,
    };
    let mut builder = builder
        .set_column_encoding(path.clone(), treatment.encoding)
        .set_column_dictionary_enabled(path.clone(), treatment.dictionary)
        .set_column_statistics_enabled(path.clone(), statistics);
    if compacted && treatment.bloom_filter {
        builder = builder
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_fpp(path, BLOOM_FALSE_POSITIVES);
    }
    builder
}

/// The Arrow type that stands for a leaf inside a list or map: only text and doubles are treated apart.
fn leaf_type(descriptor: &SchemaDescriptor, leaf: usize) -> DataType {
    match descriptor.column(leaf).physical_type() {
        parquet::basic::Type::DOUBLE => DataType::Float64,
        parquet::basic::Type::INT64 => DataType::Int64,
        _ => DataType::Utf8,
    }
}

fn sorting_columns(schema: &Schema, descriptor: &SchemaDescriptor) -> Option<Vec<SortingColumn>> {
    let leaf_of = |name: &str| {
        let index = schema.index_of(name).ok()?;
        (0..descriptor.num_columns()).find(|leaf| descriptor.get_column_root_idx(*leaf) == index)
    };
    let columns: Vec<_> = sort_columns(schema)
        .iter()
        .filter_map(|name| leaf_of(name))
        .map(|leaf| SortingColumn {
            column_idx: leaf as i32,
            descending: false,
            nulls_first: true,
        })
        .collect();
    (!columns.is_empty()).then_some(columns)
}

#[cfg(test)]
mod tests {
    use farol_events::{Kind, dead_letter_schema, table_schema};
    use parquet::basic::Encoding;

    use super::*;

    fn layout(kind: Kind, purpose: Purpose) -> Layout {
        Layout::new(&table_schema(kind), &["event_date".to_owned()], purpose).unwrap()
    }

    fn path(parts: &[&str]) -> ColumnPath {
        ColumnPath::new(parts.iter().map(|part| (*part).to_owned()).collect())
    }

    #[test]
    fn the_partition_column_is_not_in_the_file() {
        let layout = layout(Kind::Trace, Purpose::Ingest);
        assert_eq!(
            layout.schema().fields().len(),
            table_schema(Kind::Trace).fields().len() - 1
        );
        assert!(layout.schema().field_with_name("event_date").is_err());
    }

    #[test]
    fn properties_reach_nested_leaves() {
        let layout = layout(Kind::Trace, Purpose::Ingest);
        let properties = layout.properties();
        let score = path(&["scores", "key_value", "value"]);
        assert_eq!(
            properties.encoding(&score),
            Some(Encoding::BYTE_STREAM_SPLIT)
        );
        let text = path(&["retrieved", "list", "element", "text"]);
        assert!(!properties.dictionary_enabled(&text));
        let tag = path(&["tags", "key_value", "value"]);
        assert!(properties.dictionary_enabled(&tag));
        assert_eq!(properties.statistics_enabled(&tag), EnabledStatistics::None);
    }

    #[test]
    fn only_compacted_files_have_page_statistics_and_a_bloom_filter() {
        let trace_id = path(&["trace_id"]);
        let event_time = path(&["event_time"]);
        let fresh = layout(Kind::Trace, Purpose::Ingest);
        assert!(
            fresh
                .properties()
                .bloom_filter_properties(&trace_id)
                .is_none()
        );
        assert_eq!(
            fresh.properties().statistics_enabled(&event_time),
            EnabledStatistics::Chunk
        );
        let compacted = layout(Kind::Trace, Purpose::Compacted);
        assert!(
            compacted
                .properties()
                .bloom_filter_properties(&trace_id)
                .is_some()
        );
        assert_eq!(
            compacted.properties().statistics_enabled(&event_time),
            EnabledStatistics::Page
        );
        assert_eq!(
            compacted.properties().sorting_columns().map(Vec::len),
            Some(2)
        );
    }

    #[test]
    fn rows_that_do_not_fit_are_refused_by_name() {
        let layout = Layout::new(&dead_letter_schema(), &[], Purpose::Ingest).unwrap();
        let empty = RecordBatch::new_empty(Arc::new(Schema::empty()));
        assert!(matches!(
            layout.conform(&empty),
            Err(FileError::MissingColumn { column }) if column == "event_date"
        ));
    }
}
