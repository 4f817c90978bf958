//! The data dictionary: what every table and view and every column means, taken from their definitions.
//!
//! ```text
//! farol-events' field table ┐
//! columns (Farol's own)     ├──▶ Relation ──▶ the table data_dictionary, `farol docs`, docs/dictionary.md
//! headers of views          ┤
//! jobs (farol-jobs)         ┘
//! ```

mod columns;
mod types;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::datasource::MemTable;
use datafusion::datasource::empty::EmptyTable;
use datafusion::prelude::SessionContext;
use farol_events::Kind;

use super::views::{self, Header, VIEWS, View};
use super::{DEAD_LETTERS, functions, open_dead_letters};
use crate::joined::Joined;
use crate::spec::{ACKNOWLEDGEMENTS, ACTIONS, FINDINGS, SILENCES, TableSpec};

pub use columns::{described, unit};
pub use types::type_name;

/// The table that holds the dictionary.
pub const DATA_DICTIONARY: &str = "data_dictionary";

/// A table or view, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its name in SQL.
    pub name: String,
    /// What it is.
    pub kind: RelationKind,
    /// What it holds.
    pub description: String,
    /// Its columns, in their order.
    pub columns: Vec<RelationColumn>,
}

/// What a relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// Rows that are stored.
    Table,
    /// A query over them.
    View,
}

impl RelationKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
        }
    }
}

/// A column, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationColumn {
    /// Its name.
    pub name: String,
    /// Its type, as [`type_name`] writes it.
    pub data_type: String,
    /// What it is counted in; `None` where it counts nothing, or plain things.
    pub unit: Option<String>,
    /// What it means.
    pub description: String,
}

/// A context that knows every table of the lake and every view, and holds no rows: for whoever needs their columns
/// without a lake.
///
/// # Errors
/// Where a view cannot be planned.
pub async fn without_rows() -> Result<SessionContext> {
    let context = super::context()?;
    functions::register(&context);
    for (name, spec) in stored() {
        context.register_table(name, Arc::new(EmptyTable::new(spec.schema)))?;
    }
    context.sql(&open_dead_letters()).await?;
    for joined in Joined::ALL {
        context.sql(&joined.unmatched_view()).await?;
    }
    views::register(&context).await?;
    register(&context, &[]).await?;
    Ok(context)
}

/// The tables and views of the lake, as a context knows them.
///
/// # Errors
/// Where the context does not know a view.
pub async fn relations(context: &SessionContext) -> Result<Vec<Relation>> {
    let mut relations: Vec<_> = stored()
        .into_iter()
        .map(|(name, spec)| Relation {
            name: name.to_owned(),
            kind: RelationKind::Table,
            description: format!("{}.", spec.description),
            columns: of_schema(&spec.schema, |column| described(name, column)),
        })
        .collect();
    let letters = TableSpec::dead_letters().schema;
    relations.push(Relation {
        name: "dead_letters_open".to_owned(),
        kind: RelationKind::View,
        description: "The dead letters that no replay has stored.".to_owned(),
        columns: of_schema(&letters, |column| described(DEAD_LETTERS, column)),
    });
    for joined in Joined::ALL {
        let kind = joined.kind();
        relations.push(Relation {
            name: joined.unmatched().to_owned(),
            kind: RelationKind::View,
            description: format!(
                "What of {} has not found the call that it is about.",
                kind.table()
            ),
            columns: of_schema(&TableSpec::raw(kind).schema, |column| {
                described(kind.table(), column)
            }),
        });
    }
    for view in VIEWS {
        relations.push(of_view(context, &view).await?);
    }
    relations.push(own());
    Ok(relations)
}

/// Puts the dictionary into a session: the lake's own relations, and more that others have added.
///
/// # Errors
/// Where the context does not know a view.
pub(super) async fn register(context: &SessionContext, more: &[Relation]) -> Result<()> {
    let mut all = relations(context).await?;
    all.extend_from_slice(more);
    let rows = rows(&all)?;
    let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
    context.deregister_table(DATA_DICTIONARY)?;
    context.register_table(DATA_DICTIONARY, Arc::new(table))?;
    Ok(())
}

/// Every table that is stored for its own sake.
fn stored() -> Vec<(&'static str, TableSpec)> {
    let raw = Kind::ALL.map(|kind| (kind.table(), TableSpec::raw(kind)));
    let own = [
        (DEAD_LETTERS, TableSpec::dead_letters()),
        (ACTIONS, TableSpec::actions()),
        (FINDINGS, TableSpec::findings()),
        (SILENCES, TableSpec::silences()),
        (ACKNOWLEDGEMENTS, TableSpec::acknowledgements()),
    ];
    let joined = Joined::ALL.map(|joined| (joined.table(), joined.spec()));
    raw.into_iter().chain(joined).chain(own).collect()
}

fn of_schema(schema: &SchemaRef, describe: impl Fn(&str) -> String) -> Vec<RelationColumn> {
    schema
        .fields()
        .iter()
        .map(|field| RelationColumn {
            name: field.name().clone(),
            data_type: type_name(field.data_type()),
            unit: unit(field.name()).map(str::to_owned),
            description: describe(field.name()),
        })
        .collect()
}

/// A view, and what its file says of it.
///
/// # Errors
/// Where the context does not know the view.
pub async fn of_view(context: &SessionContext, view: &View) -> Result<Relation> {
    let header = Header::read(view.text);
    let schema = context.table_provider(view.name).await?.schema();
    let of = |column: &str| header.columns.iter().find(|known| known.name == column);
    let columns = schema.fields().iter().map(|field| RelationColumn {
        name: field.name().clone(),
        data_type: type_name(field.data_type()),
        unit: of(field.name()).and_then(|column| column.unit.clone()),
        description: of(field.name())
            .map(|column| column.description.clone())
            .unwrap_or_default(),
    });
    Ok(Relation {
        name: view.name.to_owned(),
        kind: RelationKind::View,
        columns: columns.collect(),
        description: header.description.clone(),
    })
}

/// The dictionary's own entry.
fn own() -> Relation {
    Relation {
        name: DATA_DICTIONARY.to_owned(),
        kind: RelationKind::Table,
        description: "What every table and view and every column means.".to_owned(),
        columns: of_schema(&schema(), |column| described(DATA_DICTIONARY, column)),
    }
}

fn schema() -> SchemaRef {
    let columns = [
        "table_name",
        "column_name",
        "data_type",
        "unit",
        "description",
    ];
    let fields = columns.map(|name| Field::new(name, DataType::Utf8, true));
    Arc::new(Schema::new(fields.to_vec()))
}

/// A row for each relation, its column NULL, followed by a row for each of its columns.
fn rows(relations: &[Relation]) -> Result<RecordBatch> {
    let mut rows: Vec<[Option<&str>; 5]> = Vec::new();
    for relation in relations {
        let (name, kind) = (relation.name.as_str(), relation.kind.as_str());
        let description = relation.description.as_str();
        rows.push([Some(name), None, Some(kind), None, Some(description)]);
        for column in &relation.columns {
            rows.push([
                Some(name),
                Some(&column.name),
                Some(&column.data_type),
                column.unit.as_deref(),
                Some(&column.description),
            ]);
        }
    }
    let arrays = (0..5).map(|cell| {
        let column: StringArray = rows.iter().map(|row| row[cell]).collect();
        Arc::new(column) as ArrayRef
    });
    Ok(RecordBatch::try_new(schema(), arrays.collect())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_column_of_every_table_and_view_is_described() {
        let context = without_rows().await.unwrap();
        for relation in relations(&context).await.unwrap() {
            assert!(!relation.description.is_empty(), "{}", relation.name);
            for column in &relation.columns {
                let place = format!("{}.{}", relation.name, column.name);
                assert!(column.description.len() > 3, "{place} is not described");
                assert!(
                    column.description.ends_with('.'),
                    "{place} is not a sentence"
                );
                let counted =
                    column.name.ends_with("_ms") && column.data_type.starts_with("double");
                assert!(
                    !counted || column.unit.as_deref() == Some("ms"),
                    "{place} has no unit"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_view_s_header_names_its_columns_in_their_order() {
        let context = without_rows().await.unwrap();
        for view in VIEWS {
            let schema = context.table_provider(view.name).await.unwrap().schema();
            let names: Vec<_> = schema.fields().iter().map(|field| field.name()).collect();
            let header = Header::read(view.text);
            let told: Vec<_> = header.columns.iter().map(|column| &column.name).collect();
            assert_eq!(told, names, "{}", view.name);
        }
    }

    #[tokio::test]
    async fn sql_finds_the_dictionary_s_rows() {
        let context = without_rows().await.unwrap();
        let sql = "SELECT unit, data_type FROM data_dictionary WHERE table_name = 'traces' AND column_name = 'latency_ms'";
        let found = context.sql(sql).await.unwrap().collect().await.unwrap();
        let told = arrow::util::pretty::pretty_format_batches(&found).unwrap();
        assert!(
            told.to_string().contains("| ms   | double precision |"),
            "{told}"
        );
        let missing = "SELECT c.table_name, c.column_name FROM information_schema.columns c \
             LEFT JOIN data_dictionary d ON d.table_name = c.table_name AND d.column_name = c.column_name \
             WHERE c.table_schema = 'public' AND d.description IS NULL";
        let missing = context.sql(missing).await.unwrap().collect().await.unwrap();
        let rows: usize = missing.iter().map(RecordBatch::num_rows).sum();
        let told = arrow::util::pretty::pretty_format_batches(&missing).unwrap();
        assert_eq!(rows, 0, "{told}");
    }
}
