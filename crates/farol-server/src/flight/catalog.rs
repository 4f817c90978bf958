//! What there is: catalogues, schemas, tables and their columns, and what the server says of itself.

use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{
    GetCatalogsBuilder, GetDbSchemasBuilder, GetTablesBuilder, SqlInfoData, SqlInfoDataBuilder,
};
use arrow_flight::sql::{SqlInfo, SqlSupportedTransaction};
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;

use crate::query::{CATALOG, QueryError, Snapshot};

/// The kinds of tables.
pub(super) const TABLE_TYPES: [&str; 2] = ["TABLE", "VIEW"];

/// Every catalogue.
pub(super) fn catalogs(builder: &mut GetCatalogsBuilder) {
    builder.append(CATALOG);
}

/// Every schema.
pub(super) fn schemas(snapshot: &Snapshot, builder: &mut GetDbSchemasBuilder) {
    let catalog = snapshot.catalogs().catalog(CATALOG);
    for schema in catalog.iter().flat_map(|catalog| catalog.schema_names()) {
        builder.append(CATALOG, schema);
    }
}

/// Every table and view.
pub(super) async fn tables(
    snapshot: &Snapshot,
    builder: &mut GetTablesBuilder,
) -> Result<(), QueryError> {
    let Some(catalog) = snapshot.catalogs().catalog(CATALOG) else {
        return Ok(());
    };
    for schema_name in catalog.schema_names() {
        let Some(schema) = catalog.schema(&schema_name) else {
            continue;
        };
        for name in schema.table_names() {
            let Some(table) = schema.table(&name).await? else {
                continue;
            };
            let table_type = match table.table_type() {
                TableType::View => TABLE_TYPES[1],
                TableType::Base | TableType::Temporary => TABLE_TYPES[0],
            };
            builder
                .append(CATALOG, &schema_name, &name, table_type, &table.schema())
                .map_err(|error| DataFusionError::External(error.into()))?;
        }
    }
    Ok(())
}

/// What the server says of itself.
pub(super) fn server_info() -> Result<SqlInfoData, FlightError> {
    let mut info = SqlInfoDataBuilder::new();
    info.append(SqlInfo::FlightSqlServerName, "Farol");
    info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    info.append(SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
    info.append(SqlInfo::FlightSqlServerReadOnly, true);
    info.append(SqlInfo::FlightSqlServerSql, true);
    info.append(SqlInfo::FlightSqlServerSubstrait, false);
    info.append(
        SqlInfo::FlightSqlServerTransaction,
        SqlSupportedTransaction::None as i32,
    );
    info.append(SqlInfo::FlightSqlServerCancel, false);
    info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    info.build()
}
