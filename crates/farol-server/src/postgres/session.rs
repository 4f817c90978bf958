//! A client's session: what each of its statements does.
//!
//! | statement | what answers it |
//! |---|---|
//! | BEGIN, COMMIT, ROLLBACK | datafusion-postgres: there is only reading, so nothing is ever undone |
//! | SET, SHOW | datafusion-postgres, for settings of the protocol; those of the engine are refused |
//! | DECLARE, FETCH, CLOSE | `cursor` |
//! | PREPARE, EXECUTE, DEALLOCATE | `prepared` |
//! | everything else | the query service, which lets only reading through |

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast;
use datafusion_postgres::QueryHook;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::hooks::set_show::SetShowHook;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::query::{send_execution_response, send_query_response};
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::api::store::{MemPortalStore, PortalStore};
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::response::EmptyQueryResponse;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::{Sink, SinkExt};

use super::prepared::PreparedStatements;
use super::statement::{self, Statement};
use super::stop::Hangup;
use super::{Server, cursor, encode, failure, prepared};
use crate::query::{Patience, QueryService, Rows};

/// Where datafusion-postgres keeps the client's `statement_timeout`.
const STATEMENT_TIMEOUT_KEY: &str = "statement_timeout_ms";

/// Where a connection keeps what the protocol has named.
pub(super) type Store = MemPortalStore<Statement>;

/// One connection's state. Clones share it.
#[derive(Clone)]
pub(super) struct Session(Arc<State>);

struct State {
    server: Arc<Server>,
    hangup: Hangup,
    prepared: Mutex<PreparedStatements>,
}

impl Session {
    pub fn new(server: Arc<Server>, hangup: Hangup) -> Self {
        Self(Arc::new(State {
            server,
            hangup,
            prepared: Mutex::default(),
        }))
    }

    pub fn queries(&self) -> &QueryService {
        &self.0.server.ways.queries
    }

    pub fn hangup(&self) -> &Hangup {
        &self.0.hangup
    }

    pub fn prepared(&self) -> &Mutex<PreparedStatements> {
        &self.0.prepared
    }

    /// The statements of a text.
    pub fn parse(&self, text: &str) -> PgWireResult<Vec<ast::Statement>> {
        statement::parse(&self.0.server.dialect, text)
    }

    /// What answers a statement without a query, if something does.
    pub async fn without_query<C>(
        &self,
        client: &mut C,
        tree: &ast::Statement,
    ) -> PgWireResult<Option<Response>>
    where
        C: HookClient + ClientPortalStore,
        C::PortalStore: PortalStore,
    {
        let context = &self.0.server.context;
        let hook = TransactionStatementHook;
        if let Some(response) = hook
            .handle_simple_query(tree, context, client)
            .await
            .transpose()?
        {
            if matches!(response, Response::TransactionEnd(_)) {
                store(client)?.clear_portals();
            }
            return Ok(Some(response));
        }
        refuse_settings(tree)?;
        let hook = SetShowHook;
        if let Some(response) = hook
            .handle_simple_query(tree, context, client)
            .await
            .transpose()?
        {
            return Ok(Some(response));
        }
        if let Some(response) = cursor::fetch_or_close(store(client)?, tree)? {
            return Ok(Some(response));
        }
        prepared::prepare_or_deallocate(self, tree)
    }

    /// What the parse phase of the extended protocol is told of a statement that runs no query.
    pub async fn plan_without_query<C>(
        &self,
        client: &C,
        tree: &ast::Statement,
    ) -> PgWireResult<Option<LogicalPlan>>
    where
        C: ClientInfo + Send + Sync,
    {
        let hooks: [&dyn QueryHook; 2] = [&TransactionStatementHook, &SetShowHook];
        for hook in hooks {
            let planned = hook.handle_extended_parse_query(tree, &self.0.server.context, client);
            if let Some(plan) = planned.await {
                return plan.map(Some);
            }
        }
        let has_none = cursor::is_cursor(tree) || prepared::is_prepared(tree);
        Ok(has_none.then(LogicalPlan::default))
    }

    /// Runs a query and gives its answer. A cursor's rows are kept for those who fetch them.
    pub async fn query<C>(
        &self,
        client: &C,
        tree: &ast::Statement,
        values: Option<ParamValues>,
        format: &Format,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore,
        C::PortalStore: PortalStore,
    {
        let options = Arc::new(FormatOptions::from_client_metadata(client.metadata()));
        let patience = self.patience(client);
        if let ast::Statement::Declare { stmts } = tree {
            return cursor::declare(self, store(client)?, stmts, patience, &options).await;
        }
        let rows = self.rows(tree, values, patience).await?;
        let response = encode::response(rows, format, &options, tree.to_string())?;
        Ok(Response::Query(response))
    }

    /// Runs a query.
    pub async fn rows(
        &self,
        tree: &ast::Statement,
        values: Option<ParamValues>,
        patience: Patience,
    ) -> PgWireResult<Rows> {
        let plan = self.planner(tree, values)?;
        let run = self.queries().run(plan, patience).await;
        run.map_err(|error| failure::of_query(&error, &tree.to_string()))
    }

    /// How a statement is planned.
    pub fn planner(
        &self,
        tree: &ast::Statement,
        values: Option<ParamValues>,
    ) -> PgWireResult<statement::Planner> {
        match tree {
            ast::Statement::Execute { .. } => prepared::planner(self, tree),
            _ => Ok(statement::planner(tree.clone(), values)),
        }
    }

    /// How long the client may take, as configured and as it has set.
    fn patience<C: ClientInfo>(&self, client: &C) -> Patience {
        let set = client.metadata().get(STATEMENT_TIMEOUT_KEY);
        Patience {
            timeout: set
                .and_then(|ms| ms.parse().ok())
                .map(Duration::from_millis),
            ..self.queries().patience()
        }
    }
}

/// What the connection's protocol has named.
pub(super) fn store<C>(client: &C) -> PgWireResult<&Store>
where
    C: ClientPortalStore,
    C::PortalStore: PortalStore,
{
    let store = ClientPortalStore::portal_store(client)
        .as_any()
        .downcast_ref();
    store.ok_or_else(|| failure::error("XX000", "the connection keeps statements of another kind"))
}

/// Sends an answer that is complete in itself, and notes what it does to the transaction.
pub(super) async fn send<C>(client: &mut C, response: Response) -> PgWireResult<()>
where
    C: ClientInfo + Sink<PgWireBackendMessage> + Unpin,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    match response {
        Response::EmptyQuery => {
            client
                .feed(PgWireBackendMessage::EmptyQueryResponse(
                    EmptyQueryResponse::new(),
                ))
                .await?;
        }
        Response::Query(rows) => send_query_response(client, rows, true).await?,
        Response::Execution(tag) => send_execution_response(client, tag).await?,
        Response::TransactionStart(tag) => {
            send_execution_response(client, tag).await?;
            client.set_transaction_status(client.transaction_status().to_in_transaction_state());
        }
        Response::TransactionEnd(tag) => {
            send_execution_response(client, tag).await?;
            client.set_transaction_status(client.transaction_status().to_idle_state());
        }
        Response::Error(error) => return Err(PgWireError::UserError(error)),
        Response::CopyIn(_) | Response::CopyOut(_) | Response::CopyBoth(_) => {
            return Err(failure::error("0A000", "COPY is not supported"));
        }
    }
    Ok(())
}

/// Settings of the engine are the operator's.
fn refuse_settings(tree: &ast::Statement) -> PgWireResult<()> {
    let ast::Statement::Set(ast::Set::SingleAssignment { variable, .. }) = tree else {
        return Ok(());
    };
    let name = variable.to_string().to_lowercase();
    if !name.starts_with("datafusion.") {
        return Ok(());
    }
    let message = format!(
        "{name} is set by the server; the bounds of queries are server.query in its configuration"
    );
    Err(failure::error("42501", message))
}
