//! PostgreSQL's own tables, as clients know them: datafusion-pg-catalog's, and what it leaves out.
//!
//! `pg_description` holds what the [dictionary](farol_lake::sql::dictionary::Relation) says of tables and columns, so that comments
//! show in psql (`\d+`) and in dashboards. `pg_class`, `pg_namespace` and `pg_constraint` have their columns of options,
//! privileges and keys with the types that clients expect, and nothing in them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::SchemaProvider;
use datafusion::datasource::TableProvider;
use datafusion::error::Result;
use datafusion::prelude::SessionContext;

/// The schema's name.
pub(crate) const NAME: &str = "pg_catalog";

/// What is said of tables and columns, beside what PostgreSQL says of its own. Their comments also have the table's full
/// name, by which those who compute names look.
const DESCRIPTIONS: &str = "
    WITH tables AS (
        SELECT c.oid, n.nspname || '.' || c.relname AS name,
            CASE WHEN n.nspname = 'public' THEN '' ELSE n.nspname || '.' END || c.relname AS described
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    )
    SELECT objoid, classoid, objsubid, description, arrow_cast(NULL, 'Utf8') AS name FROM own
    UNION ALL
    SELECT t.oid, arrow_cast(1259, 'Int32'), arrow_cast(0, 'Int32'), d.description, t.name
    FROM tables t JOIN data_dictionary d ON d.table_name = t.described AND d.column_name IS NULL
    UNION ALL
    SELECT t.oid, arrow_cast(1259, 'Int32'), arrow_cast(a.attnum, 'Int32'), d.description, t.name
    FROM tables t
    JOIN pg_attribute a ON a.attrelid = t.oid
    JOIN data_dictionary d ON d.table_name = t.described AND d.column_name = a.attname";

const CLASSES: &str = "
    SELECT *, arrow_cast(NULL, 'List(Utf8)') AS relacl, arrow_cast(NULL, 'List(Utf8)') AS reloptions FROM own";

const CONSTRAINTS: &str = "
    SELECT * EXCEPT (conkey, confkey), arrow_cast(NULL, 'List(Int16)') AS conkey,
        arrow_cast(NULL, 'List(Int16)') AS confkey FROM own";

const NAMESPACES: &str =
    "SELECT * EXCEPT (nspacl), arrow_cast(NULL, 'List(Utf8)') AS nspacl FROM own";

/// Tables of PostgreSQL's own.
#[derive(Debug)]
pub(crate) struct PgCatalog {
    library: Arc<dyn SchemaProvider>,
    /// The table of what tables and columns mean.
    dictionary: Option<Arc<dyn TableProvider>>,
}

impl PgCatalog {
    pub fn new(
        library: Arc<dyn SchemaProvider>,
        dictionary: Option<Arc<dyn TableProvider>>,
    ) -> Self {
        Self {
            library,
            dictionary,
        }
    }

    /// A view over the library's table, which is `own` there, and over others.
    async fn view(
        &self,
        own: Arc<dyn TableProvider>,
        others: &[&str],
        sql: &str,
    ) -> Result<Arc<dyn TableProvider>> {
        let context = SessionContext::new();
        context.register_table("own", own)?;
        for name in others {
            if let Some(table) = self.library.table(name).await? {
                context.register_table(*name, table)?;
            }
        }
        if let Some(dictionary) = &self.dictionary {
            context.register_table("data_dictionary", dictionary.clone())?;
        }
        Ok(context.sql(sql).await?.into_view())
    }
}

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        self.library.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(own) = self.library.table(name).await? else {
            return Ok(None);
        };
        let table = match name {
            "pg_class" => self.view(own, &[], CLASSES).await?,
            "pg_constraint" => self.view(own, &[], CONSTRAINTS).await?,
            "pg_namespace" => self.view(own, &[], NAMESPACES).await?,
            "pg_description" if self.dictionary.is_some() => {
                let others = ["pg_class", "pg_namespace", "pg_attribute"];
                self.view(own, &others, DESCRIPTIONS).await?
            }
            _ => own,
        };
        Ok(Some(table))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.library.table_exist(name)
    }
}
