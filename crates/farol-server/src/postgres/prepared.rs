//! `PREPARE`, `EXECUTE` and `DEALLOCATE` as SQL. (The protocol's own prepared statements are `extended`.)

use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;

use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast;
use datafusion_postgres::pgwire::api::results::{Response, Tag};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};

use super::failure;
use super::session::Session;
use super::statement::Planner;

/// Statements that one client may keep prepared, in SQL and in the protocol together.
const PREPARED_MAX: usize = 1_000;

/// What a client has prepared. Nothing is planned until it is executed: tables move on.
#[derive(Debug, Default)]
pub(super) struct PreparedStatements {
    /// The `PREPARE` statements, by name.
    in_sql: HashMap<String, ast::Statement>,
    /// How many there are in the protocol.
    in_protocol: HashSet<String>,
}

impl PreparedStatements {
    fn room(&self) -> PgWireResult<()> {
        if self.in_sql.len() + self.in_protocol.len() < PREPARED_MAX {
            return Ok(());
        }
        let message = format!("{PREPARED_MAX} statements are prepared; close some");
        Err(failure::error("53400", message))
    }

    /// The protocol keeps a statement under this name.
    pub fn keep(&mut self, name: &str) -> PgWireResult<()> {
        if !self.in_protocol.contains(name) {
            self.room()?;
            self.in_protocol.insert(name.to_owned());
        }
        Ok(())
    }

    /// The protocol has closed the statement of this name.
    pub fn forget(&mut self, name: &str) {
        self.in_protocol.remove(name);
    }
}

/// Whether the statement is about a prepared one.
pub(super) fn is_prepared(tree: &ast::Statement) -> bool {
    matches!(
        tree,
        ast::Statement::Prepare { .. } | ast::Statement::Deallocate { .. }
    )
}

/// `PREPARE` and `DEALLOCATE`.
pub(super) fn prepare_or_deallocate(
    session: &Session,
    tree: &ast::Statement,
) -> PgWireResult<Option<Response>> {
    let mut prepared = session
        .prepared()
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let tag = match tree {
        ast::Statement::Prepare { name, .. } => {
            if prepared.in_sql.contains_key(&name.value) {
                let message = format!("prepared statement \"{}\" already exists", name.value);
                return Err(failure::error("42P05", message));
            }
            prepared.room()?;
            prepared.in_sql.insert(name.value.clone(), tree.clone());
            "PREPARE"
        }
        ast::Statement::Deallocate { name, .. } if name.value.eq_ignore_ascii_case("all") => {
            prepared.in_sql.clear();
            "DEALLOCATE ALL"
        }
        ast::Statement::Deallocate { name, .. } => {
            prepared
                .in_sql
                .remove(&name.value)
                .ok_or_else(|| unknown(&name.value))?;
            "DEALLOCATE"
        }
        _ => return Ok(None),
    };
    Ok(Some(Response::Execution(Tag::new(tag))))
}

fn unknown(name: &str) -> PgWireError {
    failure::error(
        "26000",
        format!("prepared statement \"{name}\" does not exist"),
    )
}

/// How an `EXECUTE` is planned: what was prepared is planned against the newest tables, with the values given.
pub(super) fn planner(session: &Session, execute: &ast::Statement) -> PgWireResult<Planner> {
    let ast::Statement::Execute {
        name: Some(name), ..
    } = execute
    else {
        return Err(failure::error("42601", "expected EXECUTE name(…)"));
    };
    let name = name.to_string();
    let name = name.trim_matches('"');
    let known = session
        .prepared()
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let prepare = known
        .in_sql
        .get(name)
        .cloned()
        .ok_or_else(|| unknown(name))?;
    let execute = execute.clone();
    Ok(Box::new(move |context: SessionContext| {
        Box::pin(async move {
            let planned = |tree| {
                let state = context.state();
                async move {
                    state
                        .statement_to_plan(SqlStatement::Statement(Box::new(tree)))
                        .await
                }
            };
            // The context is this query's alone, and so is what is prepared in it.
            let prepared = planned(prepare).await?;
            context.execute_logical_plan(prepared).await?;
            let execute = planned(execute).await?;
            Ok(context
                .execute_logical_plan(execute)
                .await?
                .into_unoptimized_plan())
        })
    }))
}
