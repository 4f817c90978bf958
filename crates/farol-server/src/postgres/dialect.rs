//! PostgreSQL's SQL in DataFusion's terms.
//!
//! ```text
//! text ─┬─ a program's question that datafusion-pg-catalog knows word for word ─▶ its replacement
//!       └─ any other ─▶ tree ─▶ what is only PostgreSQL's (`rewrite`) ─▶ datafusion-pg-catalog's rules ─▶ tree
//! ```
//!
//! One of the library's rules puts NULL in the place of a subquery that refers to the query around it, which lets
//! programs see PostgreSQL's own tables without the details that are not there. In a question about anybody's data NULL
//! would be a wrong answer, so that rule is for statements that read PostgreSQL's own tables and nothing else.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{ObjectName, Statement, visit_relations};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use datafusion_postgres::datafusion_pg_catalog::sql::rules::{
    AliasDuplicatedProjectionRewrite, CurrentUserVariableToSessionUserFunctionCall,
    FixArrayLiteral, FixVersionColumnName, PrependUnqualifiedPgTableName,
    RemoveSubqueryFromProjection, ResolveUnqualifiedIdentifier, RewriteArrayAnyAllOperation,
    RewritePgCatalogOperator, RewriteRegCastToSubquery, SqlStatementRewriteRule,
    StripCallableQualifier, StripCollate,
};

use super::rewrite::rewrite;

/// Reads statements as PostgreSQL's clients write them.
pub(super) struct Dialect {
    library: PostgresCompatibilityParser,
    rules: Vec<Arc<dyn SqlStatementRewriteRule>>,
}

impl Dialect {
    pub fn new() -> Self {
        Self {
            library: PostgresCompatibilityParser::new(),
            // Those of the library, in its order, without the one that is not for everybody's tables.
            rules: vec![
                Arc::new(AliasDuplicatedProjectionRewrite),
                Arc::new(ResolveUnqualifiedIdentifier),
                Arc::new(RewriteArrayAnyAllOperation),
                Arc::new(PrependUnqualifiedPgTableName),
                Arc::new(StripCallableQualifier),
                Arc::new(FixArrayLiteral),
                Arc::new(CurrentUserVariableToSessionUserFunctionCall),
                Arc::new(StripCollate),
                Arc::new(RewritePgCatalogOperator),
                Arc::new(RewriteRegCastToSubquery::new()),
                Arc::new(FixVersionColumnName),
            ],
        }
    }

    /// The statements of a text.
    pub fn parse(&self, text: &str) -> Result<Vec<Statement>, ParserError> {
        let known = self.library.parse(text)?;
        let written = Parser::new(&PostgreSqlDialect {})
            .try_with_sql(text)
            .and_then(|mut parser| parser.parse_statements());
        // What only the library can read has been replaced by it.
        let Ok(written) = written else {
            return Ok(known);
        };
        if written.len() != known.len() {
            return Ok(known);
        }
        let statements = known.into_iter().zip(written);
        let statements = statements.map(|(known, written)| {
            let is_replaced =
                self.library.rewrite(written.clone()).to_string() != known.to_string();
            if is_replaced {
                known
            } else {
                self.translated(written)
            }
        });
        Ok(statements.collect())
    }

    fn translated(&self, mut statement: Statement) -> Statement {
        let of_postgresql = reads_only_postgresqls(&statement);
        rewrite(&mut statement, of_postgresql);
        for rule in &self.rules {
            statement = rule.rewrite(statement);
        }
        if of_postgresql {
            statement = RemoveSubqueryFromProjection.rewrite(statement);
        }
        statement
    }
}

/// Whether a statement reads tables of PostgreSQL's own, and no other.
fn reads_only_postgresqls(statement: &Statement) -> bool {
    let mut any = false;
    let others = visit_relations(statement, |name| {
        any |= is_postgresqls(name);
        if is_postgresqls(name) || is_row_maker(name) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    any && others.is_continue()
}

fn is_postgresqls(name: &ObjectName) -> bool {
    let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).collect();
    match parts.as_slice() {
        [table] => table.value.to_lowercase().starts_with("pg_"),
        [schema, _] => schema.value.eq_ignore_ascii_case("pg_catalog") && !is_row_maker(name),
        _ => false,
    }
}

/// Whether it is a function that makes rows of its arguments.
fn is_row_maker(name: &ObjectName) -> bool {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.is_some_and(|name| ["unnest", "generate_series"].contains(&name.value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        let statements = Dialect::new().parse(text).expect(text);
        let texts: Vec<_> = statements.iter().map(ToString::to_string).collect();
        texts.join("; ")
    }

    #[test]
    fn a_question_about_data_is_asked_as_it_is() {
        for text in [
            "SELECT t.trace_id, (SELECT max(value) FROM feedback AS f WHERE f.trace_id = t.trace_id) AS best FROM traces AS t",
            "SELECT (SELECT service FROM traces) AS service",
            "SELECT (SELECT max(t.cost) FROM traces AS t WHERE t.service = c.relname) AS cost FROM pg_catalog.pg_class AS c",
        ] {
            assert_eq!(parsed(text), text);
        }
    }

    #[test]
    fn of_postgresqls_own_tables_programs_see_null_where_there_is_nothing() {
        let default = "SELECT a.attname, (SELECT d.adbin FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid) \
                       FROM pg_catalog.pg_attribute a";
        assert_eq!(
            parsed(default),
            "SELECT a.attname, NULL FROM pg_catalog.pg_attribute a"
        );
    }

    #[test]
    fn statements_of_a_text_are_read_each_for_itself() {
        assert_eq!(
            parsed("ABORT; SELECT 'traces'::text"),
            "ROLLBACK; SELECT 'traces'::TEXT"
        );
        assert!(Dialect::new().parse("SELECT )").is_err());
    }
}
