//! Rows as PostgreSQL's: times with UTC, decimals as numeric, lists as arrays, and what has no type there (maps, structs,
//! lists of them) as JSON.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion_postgres::arrow_pg::datatypes::encode_recordbatch;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{FieldFormat, FieldInfo, QueryResponse};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::data::DataRow;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::{Stream, StreamExt, stream};

use super::failure;
use super::types::{is_json, pg_type};
use crate::encode::json_text;
use crate::query::{QueryError, Rows};

/// The columns as clients see them.
pub(super) fn fields(
    schema: &Schema,
    format: &Format,
    options: &Arc<FormatOptions>,
) -> PgWireResult<Vec<FieldInfo>> {
    let column = |(index, field): (usize, &FieldRef)| -> PgWireResult<FieldInfo> {
        let name = field.name().clone();
        let info = FieldInfo::new(
            name,
            None,
            None,
            pg_type(field)?,
            format_for(format, index)?,
        );
        Ok(info.with_format_options(options.clone()))
    };
    schema.fields().iter().enumerate().map(column).collect()
}

/// Text or binary; a client may say it for each column, for all, or not at all.
fn format_for(format: &Format, index: usize) -> PgWireResult<FieldFormat> {
    match format {
        Format::UnifiedText => Ok(FieldFormat::Text),
        Format::UnifiedBinary => Ok(FieldFormat::Binary),
        Format::Individual(codes) => codes
            .get(index)
            .map(|_| format.format_for(index))
            .ok_or_else(|| {
                let message = format!("{} result formats for more columns", codes.len());
                failure::error("08P01", message)
            }),
    }
}

/// The batch with the columns that are sent as JSON turned into text.
fn with_json(batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    if !schema
        .fields()
        .iter()
        .any(|field| is_json(field.data_type()))
    {
        return Ok(batch);
    }
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if is_json(field.data_type()) {
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            columns.push(json_text(column)?);
        } else {
            fields.push(field.clone());
            columns.push(column.clone());
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// A running query's answer. `text` is its statement, for the place of a mistake.
pub(super) fn response(
    rows: Rows,
    format: &Format,
    options: &Arc<FormatOptions>,
    text: String,
) -> PgWireResult<QueryResponse> {
    let fields = Arc::new(fields(rows.schema(), format, options)?);
    let lines = data_rows(rows, fields.clone(), text);
    Ok(QueryResponse::new(fields, lines))
}

fn data_rows(
    rows: Rows,
    fields: Arc<Vec<FieldInfo>>,
    text: String,
) -> impl Stream<Item = PgWireResult<DataRow>> + Send {
    let batches = stream::unfold(rows, |mut rows| async move {
        let batch = rows.next().await?;
        Some((batch, rows))
    });
    batches.flat_map(move |batch| {
        let encoded = batch
            .and_then(|batch| with_json(batch).map_err(QueryError::from))
            .map(|batch| encode_recordbatch(fields.clone(), batch))
            .map_err(|error| failure::of_query(&error, &text));
        match encoded {
            Ok(lines) => stream::iter(lines).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        }
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, AsArray, StringArray, StructArray};
    use datafusion_postgres::pgwire::api::Type;

    use super::*;

    #[test]
    fn what_has_no_type_in_postgresql_is_json() {
        let text = Arc::new(Field::new("item", DataType::Utf8, true));
        let parts = DataType::Struct(vec![Field::new("id", DataType::Utf8, true)].into());
        let schema = Schema::new(vec![
            Field::new("texts", DataType::List(text.clone()), true),
            Field::new("parts", parts.clone(), true),
            Field::new(
                "list",
                DataType::List(Arc::new(Field::new("item", parts, true))),
                true,
            ),
            Field::new("money", DataType::Decimal128(38, 12), true),
            Field::new(
                "word",
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
                true,
            ),
        ]);
        let types: Vec<_> = fields(&schema, &Format::UnifiedText, &Arc::default())
            .unwrap()
            .iter()
            .map(|field| field.datatype().clone())
            .collect();
        assert_eq!(
            types,
            [
                Type::TEXT_ARRAY,
                Type::JSON,
                Type::JSON,
                Type::NUMERIC,
                Type::TEXT
            ]
        );
        assert!(fields(&schema, &Format::Individual(vec![0]), &Arc::default()).is_err());
    }

    #[test]
    fn json_columns_hold_json_text() {
        let ids = StringArray::from(vec![Some("a\nb"), None]);
        let field = Arc::new(Field::new("id", DataType::Utf8, true));
        let parts = StructArray::from(vec![(field, Arc::new(ids) as ArrayRef)]);
        let batch = RecordBatch::try_from_iter([("parts", Arc::new(parts) as ArrayRef)]).unwrap();
        let batch = with_json(batch).unwrap();
        let texts: Vec<_> = batch.column(0).as_string::<i32>().iter().collect();
        assert_eq!(texts, [Some(r#"{"id":"a\nb"}"#), Some(r#"{"id":null}"#)]);
    }
}
