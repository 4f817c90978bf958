//! The standard's tables about tables, with PostgreSQL's names of types: what dashboards read to offer tables and columns.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use datafusion::catalog::SchemaProvider;
use datafusion::datasource::{MemTable, TableProvider, TableType};
use datafusion::error::{DataFusionError, Result};
use datafusion_postgres::pgwire::api::Type;

use super::types::{pg_type, standard_name};
use crate::query::CATALOG;

/// The schema's name.
pub(crate) const NAME: &str = "information_schema";

/// Its tables. Nothing here has constraints.
const TABLES: [&str; 7] = [
    "columns",
    "key_column_usage",
    "referential_constraints",
    "schemata",
    "table_constraints",
    "tables",
    "views",
];

/// Tables about these schemas.
#[derive(Debug)]
pub(crate) struct InformationSchema {
    schemas: Vec<(String, Arc<dyn SchemaProvider>)>,
}

/// A table that is told about.
struct Described {
    schema: String,
    name: String,
    table: Arc<dyn TableProvider>,
}

impl InformationSchema {
    pub fn new(schemas: Vec<(String, Arc<dyn SchemaProvider>)>) -> Self {
        Self { schemas }
    }

    async fn described(&self) -> Result<Vec<Described>> {
        let mut described = Vec::new();
        for (schema_name, schema) in &self.schemas {
            for name in schema.table_names() {
                if let Some(table) = schema.table(&name).await? {
                    let schema = schema_name.clone();
                    described.push(Described {
                        schema,
                        name,
                        table,
                    });
                }
            }
        }
        Ok(described)
    }

    fn schemata(&self) -> Result<RecordBatch> {
        let system = ["pg_catalog", NAME].map(str::to_owned);
        let names = self
            .schemas
            .iter()
            .map(|(name, _)| name.clone())
            .chain(system);
        let names: Vec<_> = names.collect();
        let count = names.len();
        batch([
            ("catalog_name", constant(CATALOG, count)),
            ("schema_name", texts(names)),
            ("schema_owner", constant(CATALOG, count)),
        ])
    }

    async fn tables(&self) -> Result<RecordBatch> {
        let tables = self.described().await?;
        let count = tables.len();
        let types = tables.iter().map(|table| match table.table.table_type() {
            TableType::View => "VIEW",
            TableType::Base | TableType::Temporary => "BASE TABLE",
        });
        batch([
            ("table_catalog", constant(CATALOG, count)),
            (
                "table_schema",
                texts(tables.iter().map(|table| &table.schema)),
            ),
            ("table_name", texts(tables.iter().map(|table| &table.name))),
            ("table_type", texts(types)),
            ("is_insertable_into", constant("NO", count)),
        ])
    }

    async fn views(&self) -> Result<RecordBatch> {
        let mut tables = self.described().await?;
        tables.retain(|table| table.table.table_type() == TableType::View);
        let count = tables.len();
        batch([
            ("table_catalog", constant(CATALOG, count)),
            (
                "table_schema",
                texts(tables.iter().map(|table| &table.schema)),
            ),
            ("table_name", texts(tables.iter().map(|table| &table.name))),
            ("view_definition", nothing(count)),
            ("is_updatable", constant("NO", count)),
        ])
    }

    async fn columns(&self) -> Result<RecordBatch> {
        let mut rows = Vec::new();
        for table in self.described().await? {
            for (place, field) in (1..).zip(table.table.schema().fields()) {
                // A type that clients cannot be told is sent as text, if at all.
                let pg_type = pg_type(field).unwrap_or(Type::TEXT);
                rows.push((
                    table.schema.clone(),
                    table.name.clone(),
                    place,
                    field.clone(),
                    pg_type,
                ));
            }
        }
        let count = rows.len();
        let nullable = rows
            .iter()
            .map(|(.., field, _)| if field.is_nullable() { "YES" } else { "NO" });
        batch([
            ("table_catalog", constant(CATALOG, count)),
            ("table_schema", texts(rows.iter().map(|row| &row.0))),
            ("table_name", texts(rows.iter().map(|row| &row.1))),
            ("column_name", texts(rows.iter().map(|row| row.3.name()))),
            (
                "ordinal_position",
                Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Int32Array>()),
            ),
            ("column_default", nothing(count)),
            ("is_nullable", texts(nullable)),
            (
                "data_type",
                texts(rows.iter().map(|row| standard_name(&row.4))),
            ),
            ("character_maximum_length", numbers(count)),
            ("numeric_precision", numbers(count)),
            ("numeric_scale", numbers(count)),
            ("datetime_precision", numbers(count)),
            ("udt_catalog", constant(CATALOG, count)),
            ("udt_schema", constant("pg_catalog", count)),
            ("udt_name", texts(rows.iter().map(|row| row.4.name()))),
            ("is_identity", constant("NO", count)),
            ("is_generated", constant("NEVER", count)),
            ("is_updatable", constant("NO", count)),
        ])
    }
}

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        TABLES.map(str::to_owned).to_vec()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let names = |names: &[&'static str]| batch(names.iter().map(|name| (*name, nothing(0))));
        let batch = match name {
            "schemata" => self.schemata()?,
            "tables" => self.tables().await?,
            "views" => self.views().await?,
            "columns" => self.columns().await?,
            "table_constraints" => names(&[
                "constraint_catalog",
                "constraint_schema",
                "constraint_name",
                "table_catalog",
                "table_schema",
                "table_name",
                "constraint_type",
            ])?,
            "key_column_usage" => names(&[
                "constraint_catalog",
                "constraint_schema",
                "constraint_name",
                "table_catalog",
                "table_schema",
                "table_name",
                "column_name",
                "ordinal_position",
            ])?,
            "referential_constraints" => names(&[
                "constraint_catalog",
                "constraint_schema",
                "constraint_name",
                "unique_constraint_catalog",
                "unique_constraint_schema",
                "unique_constraint_name",
            ])?,
            _ => return Ok(None),
        };
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        Ok(Some(Arc::new(table)))
    }

    fn table_exist(&self, name: &str) -> bool {
        TABLES.contains(&name)
    }
}

fn batch(columns: impl IntoIterator<Item = (&'static str, ArrayRef)>) -> Result<RecordBatch> {
    let columns = columns
        .into_iter()
        .map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).map_err(DataFusionError::from)
}

fn texts(values: impl IntoIterator<Item = impl AsRef<str>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Some).collect::<StringArray>())
}

fn constant(value: &str, count: usize) -> ArrayRef {
    texts(std::iter::repeat_n(value, count))
}

fn nothing(count: usize) -> ArrayRef {
    Arc::new(StringArray::new_null(count))
}

fn numbers(count: usize) -> ArrayRef {
    Arc::new(Int32Array::new_null(count))
}
