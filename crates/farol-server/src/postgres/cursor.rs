//! Cursors: a query that waits for those who fetch its rows. It is a portal of the protocol under the cursor's name, holds
//! a place among the queries that run, and ends with its time, with CLOSE, or with its transaction.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::sql::sqlparser::ast::{self, CloseCursor, Declare, DeclareType, FetchDirection};
use datafusion_postgres::pgwire::api::portal::{Format, Portal, PortalExecutionState};
use datafusion_postgres::pgwire::api::results::{QueryResponse, Response, Tag};
use datafusion_postgres::pgwire::api::stmt::StoredStatement;
use datafusion_postgres::pgwire::api::store::{Entry, PortalStore};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::{StreamExt, stream};

use super::session::{Session, Store};
use super::statement::Statement;
use super::{encode, failure};
use crate::query::Patience;

/// Whether the statement is about a cursor.
pub(super) fn is_cursor(tree: &ast::Statement) -> bool {
    matches!(
        tree,
        ast::Statement::Declare { .. }
            | ast::Statement::Fetch { .. }
            | ast::Statement::Close { .. }
    )
}

/// `DECLARE name CURSOR FOR query`.
pub(super) async fn declare(
    session: &Session,
    store: &Store,
    declarations: &[Declare],
    patience: Patience,
    options: &Arc<FormatOptions>,
) -> PgWireResult<Response> {
    // Its client comes back when it likes.
    let patience = Patience {
        unread: None,
        ..patience
    };
    for declaration in declarations {
        let (Some(DeclareType::Cursor), [name], Some(query)) = (
            &declaration.declare_type,
            declaration.names.as_slice(),
            &declaration.for_query,
        ) else {
            return Err(failure::error(
                "42601",
                "expected DECLARE name CURSOR FOR query",
            ));
        };
        let format = match declaration.binary {
            Some(true) => Format::UnifiedBinary,
            _ => Format::UnifiedText,
        };
        let tree = ast::Statement::Query(query.clone());
        let rows = session.rows(&tree, None, patience).await?;
        let statement = Statement {
            text: tree.to_string(),
            tree,
            parameters: Vec::new(),
            columns: rows.schema().clone(),
        };
        let response = encode::response(rows, &format, options, statement.text.clone())?;
        let stored = Arc::new(StoredStatement::new(
            name.value.clone(),
            statement,
            Vec::new(),
        ));
        let portal = Portal::new_cursor(name.value.clone(), stored);
        portal.start(response).await;
        store.put_portal(Arc::new(portal));
    }
    Ok(Response::Execution(Tag::new("DECLARE CURSOR")))
}

/// `FETCH` and `CLOSE`.
pub(super) fn fetch_or_close(
    store: &Store,
    tree: &ast::Statement,
) -> PgWireResult<Option<Response>> {
    match tree {
        ast::Statement::Fetch {
            name, direction, ..
        } => {
            let count = rows_wanted(direction)?;
            let portal = find(store, &name.value)?;
            let mut rows = taken(&portal, count)?;
            rows.set_command_tag("FETCH");
            Ok(Some(Response::Query(rows)))
        }
        ast::Statement::Close { cursor } => {
            match cursor {
                CloseCursor::All => store.clear_portals(),
                CloseCursor::Specific { name } => store.rm_portal(&name.value),
            }
            Ok(Some(Response::Execution(Tag::new("CLOSE CURSOR"))))
        }
        _ => Ok(None),
    }
}

/// The columns that a FETCH gives; `None` where the statement is another.
pub(super) fn fetched_columns(
    store: &Store,
    tree: &ast::Statement,
) -> PgWireResult<Option<SchemaRef>> {
    let ast::Statement::Fetch { name, .. } = tree else {
        return Ok(None);
    };
    let portal = find(store, &name.value)?;
    Ok(Some(portal.statement.statement.columns.clone()))
}

fn find(store: &Store, name: &str) -> PgWireResult<Arc<Portal<Statement>>> {
    match store.get_portal(name) {
        Some(Entry::Value(portal)) => Ok(portal),
        _ => Err(failure::error(
            "34000",
            format!("cursor \"{name}\" does not exist"),
        )),
    }
}

/// How many rows a FETCH wants; `None` is all.
fn rows_wanted(direction: &FetchDirection) -> PgWireResult<Option<usize>> {
    match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => Ok(Some(1)),
        FetchDirection::All | FetchDirection::ForwardAll => Ok(None),
        FetchDirection::Forward { limit: Some(limit) } | FetchDirection::Count { limit } => {
            let count = limit.to_string();
            count
                .parse()
                .map(Some)
                .map_err(|_| failure::error("22023", format!("`{count}` is not a number of rows")))
        }
        _ => Err(failure::error("55000", "cursor can only scan forward")),
    }
}

/// The next rows of a portal that runs, as they come; the rest stays in it.
pub(super) fn taken(
    portal: &Portal<Statement>,
    count: Option<usize>,
) -> PgWireResult<QueryResponse> {
    let in_use = |_| {
        let message = format!("\"{}\" is being read already", portal.name);
        failure::error("55006", message)
    };
    let state = portal.state().try_lock_owned().map_err(in_use)?;
    let (fields, tag) = match &*state {
        PortalExecutionState::Suspended(rows) => (rows.row_schema(), rows.command_tag().to_owned()),
        PortalExecutionState::Initial => return Err(PgWireError::PortalNotStarted),
        PortalExecutionState::Finished => {
            return Ok(QueryResponse::new(Arc::default(), stream::empty()));
        }
    };
    let columns = fields.clone();
    let rows = stream::unfold((state, count), move |(mut state, left)| {
        let columns = columns.clone();
        async move {
            if left == Some(0) {
                return None;
            }
            let PortalExecutionState::Suspended(rows) = &mut *state else {
                return None;
            };
            let next = rows.data_rows().next().await;
            match next {
                Some(Ok(row)) => Some((Ok(row), (state, left.map(|left| left - 1)))),
                ended => {
                    // The query and its place are given up, the columns are not.
                    *state = PortalExecutionState::Suspended(QueryResponse::new(
                        columns,
                        stream::empty(),
                    ));
                    ended.map(|failed| (failed, (state, Some(0))))
                }
            }
        }
    });
    let mut rows = QueryResponse::new(fields, rows);
    rows.set_command_tag(&tag);
    Ok(rows)
}
