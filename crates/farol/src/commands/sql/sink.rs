//! Where rows go: one type for every format, fed batch by batch.

use std::io::{BufWriter, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use farol_server::encode::{Encoder, Format};

use crate::cli::SqlFormat;

use super::table::TableSink;

type Out = Box<dyn Write + Send>;

/// Takes a query's rows.
pub(super) enum Sink {
    Table(TableSink),
    /// The encoder is made when the schema is known.
    Waiting(Format, Out),
    Encoded(Encoder<Out>),
    Done,
}

impl Sink {
    pub(super) fn new(format: SqlFormat, out: Out) -> Self {
        let out: Out = Box::new(BufWriter::with_capacity(1 << 16, out));
        match format {
            SqlFormat::Table => Self::Table(TableSink::new(out)),
            SqlFormat::Csv => Self::Waiting(Format::Csv, out),
            SqlFormat::Json => Self::Waiting(Format::Json, out),
            SqlFormat::Ndjson => Self::Waiting(Format::Ndjson, out),
            SqlFormat::Parquet => Self::Waiting(Format::Parquet, out),
        }
    }

    pub(super) fn begin(&mut self, schema: &SchemaRef) -> anyhow::Result<()> {
        *self = match std::mem::replace(self, Self::Done) {
            Self::Waiting(format, out) => Self::Encoded(Encoder::new(format, schema, out)?),
            Self::Table(mut table) => {
                table.begin(schema);
                Self::Table(table)
            }
            other => other,
        };
        Ok(())
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        match self {
            Self::Table(table) => table.write(batch)?,
            Self::Encoded(encoder) => encoder.write(batch)?,
            Self::Waiting(..) | Self::Done => anyhow::bail!("rows came before their schema"),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Table(table) => table.finish()?,
            Self::Encoded(encoder) => encoder.finish()?,
            Self::Waiting(..) | Self::Done => {}
        }
        Ok(())
    }
}
