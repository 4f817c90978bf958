//! Statements: text becomes a tree, and a tree becomes a plan against the newest tables, each time it is run.

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::ParamValues;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion_postgres::pgwire::error::PgWireResult;
use futures::future::BoxFuture;

use super::dialect::Dialect;
use super::failure;
use super::parameters::Parameter;
use crate::query::{QueryError, check_length};

/// A statement that a client has had parsed. It holds no plan: tables move on between its executions.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    /// What the client wrote.
    pub text: String,
    /// What it means, rewritten for DataFusion.
    pub tree: ast::Statement,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// The columns of its answer; none where it has none.
    pub columns: SchemaRef,
}

/// The statements of a text.
pub(super) fn parse(dialect: &Dialect, text: &str) -> PgWireResult<Vec<ast::Statement>> {
    check_length(text).map_err(|error| failure::of_query(&error, text))?;
    dialect.parse(text).map_err(|error| {
        // The library forgets where words were; this parser does not.
        let placed = Parser::new(&PostgreSqlDialect {})
            .try_with_sql(text)
            .and_then(|mut parser| parser.parse_statements());
        let error = placed.err().unwrap_or(error);
        failure::of_query(
            &QueryError::from(datafusion::error::DataFusionError::from(error)),
            text,
        )
    })
}

/// How a statement is planned: in the context of one query.
pub(super) type Planner =
    Box<dyn FnOnce(SessionContext) -> BoxFuture<'static, DataFusionResult<LogicalPlan>> + Send>;

/// Plans a tree, with the values of its parameters where it has any.
pub(super) fn planner(tree: ast::Statement, values: Option<ParamValues>) -> Planner {
    Box::new(move |context| {
        Box::pin(async move {
            let statement = SqlStatement::Statement(Box::new(tree));
            let plan = context.state().statement_to_plan(statement).await?;
            match values {
                Some(values) => plan.replace_params_with_values(&values),
                None => Ok(plan),
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use datafusion_postgres::pgwire::error::ErrorInfo;

    use super::*;

    #[test]
    fn a_mistake_has_its_place_in_the_text() {
        let error = parse(&Dialect::new(), "SELECT 1 +\n  )").unwrap_err();
        let info = ErrorInfo::from(error);
        assert_eq!(
            (info.code.as_str(), info.position.as_deref()),
            ("42601", Some("14")),
            "{}",
            info.message
        );
    }

    #[test]
    fn a_text_may_have_a_megabyte() {
        let long = format!("SELECT '{}'", "x".repeat(1 << 20));
        let error = parse(&Dialect::new(), &long).unwrap_err();
        assert_eq!(ErrorInfo::from(error).code, "54000");
    }
}
