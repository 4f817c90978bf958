//! Rows in the formats that programs read: one encoder for all, fed batch by batch.
//!
//! JSON is an array of objects, one for each row; decimals are numbers with all their digits, times RFC 3339.

mod parts;

use std::io::{self, Write};
use std::str::FromStr;

use arrow::array::RecordBatch;
use arrow::csv;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json;
use arrow::json::writer::{JsonArray, LineDelimited};
use arrow_ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

pub use parts::parts_as_json;
pub(crate) use parts::{has_parts, json_text};

/// Bytes of a Parquet row group that are held in memory before they are written.
const ROW_GROUP_BYTES_MAX: usize = 32 << 20;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One array of objects.
    Json,
    /// An object a line.
    Ndjson,
    /// With a header.
    Csv,
    /// Arrow's IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [
        Self::Json,
        Self::Ndjson,
        Self::Csv,
        Self::Arrow,
        Self::Parquet,
    ];

    /// Its name, as a request gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == name);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("there is no format `{name}`; known are {names}")
        })
    }
}

/// Why rows could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The rows cannot be written in the format.
    #[error("{0}")]
    Arrow(#[from] ArrowError),
    /// The rows cannot be written as Parquet.
    #[error("Parquet: {0}")]
    Parquet(#[from] ParquetError),
    /// What is written to failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes rows in one format.
pub enum Encoder<W: Write + Send> {
    /// See [`Format::Json`].
    Json(json::Writer<W, JsonArray>),
    /// See [`Format::Ndjson`].
    Ndjson(json::Writer<W, LineDelimited>),
    /// See [`Format::Csv`].
    Csv(Box<csv::Writer<W>>),
    /// See [`Format::Arrow`].
    Arrow(Box<StreamWriter<W>>),
    /// See [`Format::Parquet`].
    Parquet(Box<ArrowWriter<W>>),
}

impl<W: Write + Send> Encoder<W> {
    /// An encoder for rows with these columns. What comes before the first row is written.
    pub fn new(format: Format, schema: &SchemaRef, out: W) -> Result<Self, EncodeError> {
        let json = || json::WriterBuilder::new().with_explicit_nulls(true);
        Ok(match format {
            Format::Json => Self::Json(json().build(out)),
            Format::Ndjson => Self::Ndjson(json().build(out)),
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().with_header(true).build(out);
                // An empty batch prints the header, so that no rows are still a table.
                writer.write(&parts_as_json(&RecordBatch::new_empty(schema.clone()))?)?;
                Self::Csv(Box::new(writer))
            }
            Format::Arrow => Self::Arrow(Box::new(StreamWriter::try_new(out, schema)?)),
            Format::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
                    .build();
                let schema = SchemaRef::new(Schema::clone(schema));
                Self::Parquet(Box::new(ArrowWriter::try_new(
                    out,
                    schema,
                    Some(properties),
                )?))
            }
        })
    }

    /// Writes rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        match self {
            Self::Json(writer) => writer.write(batch)?,
            Self::Ndjson(writer) => writer.write(batch)?,
            Self::Csv(writer) => writer.write(&parts_as_json(batch)?)?,
            Self::Arrow(writer) => writer.write(batch)?,
            Self::Parquet(writer) => {
                writer.write(batch)?;
                if writer.in_progress_size() > ROW_GROUP_BYTES_MAX {
                    writer.flush()?;
                }
            }
        }
        Ok(())
    }

    /// Writes what comes after the last row. Without it, readers find that something is missing, except in formats of lines.
    pub fn finish(self) -> Result<(), EncodeError> {
        match self {
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
            Self::Csv(writer) => (*writer).into_inner().flush()?,
            Self::Arrow(mut writer) => {
                writer.finish()?;
                writer.into_inner()?.flush()?;
            }
            Self::Parquet(writer) => writer.into_inner()?.flush()?,
        }
        Ok(())
    }
}
