//! Where rows go: one type for every format, fed batch by batch.

use std::io::{BufWriter, Write};
use std::mem;

use arrow::array::RecordBatch;
use arrow::csv;
use arrow::datatypes::SchemaRef;
use arrow::json;
use arrow::json::writer::{JsonArray, LineDelimited};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::cli::SqlFormat;

use super::cells;
use super::table::TableSink;

type Out = Box<dyn Write + Send>;

/// Takes a query's rows.
pub(super) enum Sink {
    Table(TableSink),
    Csv(Box<csv::Writer<Out>>),
    Json(json::Writer<Out, JsonArray>),
    Ndjson(json::Writer<Out, LineDelimited>),
    /// The file's writer is made when the schema is known.
    Parquet(ParquetSink),
}

pub(super) enum ParquetSink {
    Waiting(Out),
    Writing(Box<ArrowWriter<Out>>),
    Done,
}

impl Sink {
    pub(super) fn new(format: SqlFormat, out: Out) -> Self {
        let out: Out = Box::new(BufWriter::with_capacity(1 << 16, out));
        let json = || json::WriterBuilder::new().with_explicit_nulls(true);
        match format {
            SqlFormat::Table => Self::Table(TableSink::new(out)),
            SqlFormat::Csv => {
                let writer = csv::WriterBuilder::new().with_header(true).build(out);
                Self::Csv(Box::new(writer))
            }
            SqlFormat::Json => Self::Json(json().build(out)),
            SqlFormat::Ndjson => Self::Ndjson(json().build(out)),
            SqlFormat::Parquet => Self::Parquet(ParquetSink::Waiting(out)),
        }
    }

    pub(super) fn begin(&mut self, schema: &SchemaRef) -> anyhow::Result<()> {
        match self {
            Self::Table(table) => table.begin(schema),
            Self::Csv(writer) => {
                // An empty batch prints the header, so that no rows are still a table.
                writer.write(&cells::flatten(&RecordBatch::new_empty(schema.clone()))?)?;
            }
            Self::Parquet(sink) => {
                if let ParquetSink::Waiting(out) = mem::replace(sink, ParquetSink::Done) {
                    let properties = WriterProperties::builder()
                        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
                        .build();
                    let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties))?;
                    *sink = ParquetSink::Writing(Box::new(writer));
                }
            }
            Self::Json(_) | Self::Ndjson(_) => {}
        }
        Ok(())
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        match self {
            Self::Table(table) => table.write(batch)?,
            Self::Csv(writer) => writer.write(&cells::flatten(batch)?)?,
            Self::Json(writer) => writer.write(batch)?,
            Self::Ndjson(writer) => writer.write(batch)?,
            Self::Parquet(ParquetSink::Writing(writer)) => writer.write(batch)?,
            Self::Parquet(_) => anyhow::bail!("rows came before their schema"),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Table(table) => table.finish()?,
            Self::Csv(writer) => (*writer).into_inner().flush()?,
            Self::Json(mut writer) => {
                writer.finish()?;
                let mut out = writer.into_inner();
                writeln!(out)?;
                out.flush()?;
            }
            Self::Ndjson(mut writer) => {
                writer.finish()?;
                writer.into_inner().flush()?;
            }
            Self::Parquet(ParquetSink::Writing(writer)) => writer.into_inner()?.flush()?,
            Self::Parquet(_) => {}
        }
        Ok(())
    }
}
