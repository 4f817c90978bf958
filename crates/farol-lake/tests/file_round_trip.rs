//! What goes into a file comes out of it, and its statistics are bounds of what is in it.

#[path = "support/rows.rs"]
#[allow(dead_code)]
mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};
use bytes::Bytes;
use farol_events::{Kind, dead_letter_schema, table_schema};
use farol_lake::file::{Encoded, FileEncoder, Layout, Purpose, RowGroupLimits, encode};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use serde_json::Value;

const PURPOSES: [Purpose; 2] = [Purpose::Ingest, Purpose::Compacted];

fn schemas() -> Vec<SchemaRef> {
    Kind::ALL
        .into_iter()
        .map(table_schema)
        .chain([dead_letter_schema()])
        .collect()
}

fn layout(schema: &SchemaRef, purpose: Purpose) -> Arc<Layout> {
    Arc::new(Layout::new(schema, &["event_date".to_owned()], purpose).unwrap())
}

fn read(bytes: Vec<u8>) -> RecordBatch {
    let reader: ParquetRecordBatchReader =
        ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))
            .unwrap()
            .with_batch_size(777)
            .build()
            .unwrap();
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let batches: Vec<_> = reader.collect::<Result<_, _>>().unwrap();
    concat_batches(&schema, &batches).unwrap()
}

fn check(layout: &Arc<Layout>, batches: &[RecordBatch], limits: RowGroupLimits) -> Encoded {
    let conformed: Vec<_> = batches
        .iter()
        .map(|batch| layout.conform(batch).unwrap())
        .collect();
    let expected = concat_batches(layout.schema(), &conformed).unwrap();
    let encoded = encode(layout, batches.iter().cloned(), limits).unwrap();
    assert_eq!(encoded.rows as usize, expected.num_rows());
    let found = read(encoded.bytes.clone());
    assert_eq!(found.num_columns(), expected.num_columns());
    for (field, (found, expected)) in layout
        .schema()
        .fields()
        .iter()
        .zip(found.columns().iter().zip(expected.columns()))
    {
        assert_eq!(found.data_type(), field.data_type(), "{}", field.name());
        assert_eq!(found, expected, "{}", field.name());
    }
    check_statistics(&expected, &encoded.statistics);
    encoded
}

/// Every bound in the statistics holds, and what could be bounded is.
fn check_statistics(rows: &RecordBatch, statistics: &str) {
    let statistics: BTreeMap<String, Value> = serde_json::from_str(statistics).unwrap();
    assert_eq!(statistics["numRecords"], rows.num_rows());
    for (name, nulls) in statistics["nullCount"].as_object().unwrap() {
        let column = rows.column_by_name(name).unwrap();
        assert_eq!(*nulls, column.null_count(), "{name}");
        let bounds = (
            statistics["minValues"].get(name),
            statistics["maxValues"].get(name),
        );
        let (min, max) = match bounds {
            (None, None) => {
                let times = matches!(column.data_type(), DataType::Timestamp(..));
                assert!(
                    times || column.null_count() == column.len(),
                    "{name} has no bounds"
                );
                continue;
            }
            (Some(min), Some(max)) => (min, max),
            lopsided => panic!("{name} has {lopsided:?}"),
        };
        match column.data_type() {
            DataType::Utf8 => {
                let (min, max) = (min.as_str().unwrap(), max.as_str().unwrap());
                let texts = column.as_string::<i32>();
                assert!(
                    texts
                        .iter()
                        .flatten()
                        .all(|text| min <= text && text <= max),
                    "{name}"
                );
                let longest = texts.iter().flatten().map(str::len).max().unwrap();
                assert!(
                    min.len() <= 64 && (max.len() <= 64 || max.len() <= longest),
                    "{name}"
                );
            }
            DataType::Timestamp(..) => {
                let text = |value: &Value| {
                    let time =
                        chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
                    time.timestamp_micros()
                };
                let times = column.as_primitive::<TimestampMicrosecondType>();
                assert_eq!(Some(text(min)), arrow::compute::min(times), "{name}");
                assert_eq!(Some(text(max)), arrow::compute::max(times), "{name}");
            }
            _ => {
                let numbers = arrow::compute::cast(column, &DataType::Int64).unwrap();
                let numbers = numbers.as_primitive::<arrow::datatypes::Int64Type>();
                assert_eq!(min.as_i64(), arrow::compute::min(numbers), "{name}");
                assert_eq!(max.as_i64(), arrow::compute::max(numbers), "{name}");
            }
        }
    }
}

#[test]
fn every_column_of_every_table_comes_back() {
    for schema in schemas() {
        for purpose in PURPOSES {
            let layout = layout(&schema, purpose);
            for seed in 0..4 {
                let batches: Vec<_> = [1, 1000, 0, 513]
                    .iter()
                    .map(|rows| rows::arbitrary_batch(&schema, *rows, seed))
                    .collect();
                check(&layout, &batches, RowGroupLimits::default());
                let small = RowGroupLimits {
                    rows: 300,
                    ..RowGroupLimits::default()
                };
                check(&layout, &batches, small);
            }
        }
    }
}

#[test]
fn columns_of_nulls_come_back_and_have_no_bounds() {
    for schema in schemas() {
        let layout = layout(&schema, Purpose::Ingest);
        let encoded = check(
            &layout,
            &[rows::null_batch(&schema, 3_000)],
            RowGroupLimits::default(),
        );
        let statistics: Value = serde_json::from_str(&encoded.statistics).unwrap();
        assert_eq!(
            statistics["minValues"]
                .as_object()
                .map(serde_json::Map::len),
            Some(0)
        );
        assert_eq!(statistics["nullCount"]["ingested_at"], 3_000);
    }
}

#[test]
fn bounds_span_row_groups_of_which_some_are_null() {
    let schema = table_schema(Kind::Trace);
    let layout = layout(&schema, Purpose::Ingest);
    let mut traces = rows::Traces::new(3);
    let batches = [
        rows::null_batch(traces.batch(1).schema_ref(), 500),
        traces.batch(500),
        rows::null_batch(traces.batch(1).schema_ref(), 500),
        traces.batch(500),
    ];
    let limits = RowGroupLimits {
        rows: 500,
        ..RowGroupLimits::default()
    };
    let encoded = check(&layout, &batches, limits);
    let statistics: Value = serde_json::from_str(&encoded.statistics).unwrap();
    assert_eq!(statistics["minValues"]["kafka_offset"], 1);
    assert_eq!(statistics["maxValues"]["kafka_offset"], 1001);
    assert_eq!(statistics["nullCount"]["kafka_offset"], 1000);
}

#[test]
fn a_file_taken_in_pieces_is_the_file_as_a_whole() {
    let schema = table_schema(Kind::Trace);
    let layout = layout(&schema, Purpose::Compacted);
    let mut traces = rows::Traces::new(5);
    let batches: Vec<_> = (0..4)
        .map(|_| layout.conform(&traces.batch(400)).unwrap())
        .collect();
    let mut encoder = FileEncoder::new(layout.clone()).unwrap();
    let mut bytes = Vec::new();
    for pair in batches.chunks(2) {
        encoder.write_row_group(pair).unwrap();
        bytes.extend(encoder.take().unwrap());
    }
    let written = encoder.finish().unwrap();
    bytes.extend(written.bytes);
    let limits = RowGroupLimits {
        rows: 800,
        ..RowGroupLimits::default()
    };
    let whole = encode(&layout, batches, limits).unwrap();
    assert_eq!(bytes, whole.bytes);
    assert_eq!(written.statistics, whole.statistics);
}

#[test]
fn the_file_says_nothing_of_arrow_and_little_of_prose() {
    let schema = table_schema(Kind::Trace);
    let layout = layout(&schema, Purpose::Ingest);
    let encoded = encode(
        &layout,
        [rows::Traces::new(1).batch(2_000)],
        RowGroupLimits::default(),
    )
    .unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(encoded.bytes)).unwrap();
    let metadata = reader.metadata();
    assert!(metadata.file_metadata().key_value_metadata().is_none());
    for column in metadata.row_group(0).columns() {
        let prose = ["input", "output", "system", "tags"]
            .contains(&column.column_path().parts()[0].as_str());
        assert!(
            !prose || column.statistics().is_none(),
            "{}",
            column.column_path()
        );
    }
    assert!(
        !encoded.statistics.contains("customer"),
        "{}",
        encoded.statistics
    );
}

#[test]
fn a_trace_takes_no_more_than_130_bytes() {
    let layout = layout(&table_schema(Kind::Trace), Purpose::Ingest);
    let mut traces = rows::Traces::new(7);
    let batches: Vec<_> = (0..25).map(|_| traces.batch(2_048)).collect();
    let encoded = encode(&layout, batches, RowGroupLimits::default()).unwrap();
    let each = encoded.bytes.len() / encoded.rows as usize;
    assert!(each < 130, "{each} bytes a trace");
}
