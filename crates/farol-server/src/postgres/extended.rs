//! The extended protocol: a statement is parsed, bound to values, described and executed in messages of their own.

use std::cmp::max;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use datafusion_postgres::pgwire::api::portal::{Format, Portal, PortalExecutionState};
use datafusion_postgres::pgwire::api::query::ExtendedQueryHandler;
use datafusion_postgres::pgwire::api::results::{
    DescribePortalResponse, DescribeStatementResponse, FieldInfo, Response, Tag,
};
use datafusion_postgres::pgwire::api::stmt::{QueryParser, StoredStatement};
use datafusion_postgres::pgwire::api::store::{Entry, PortalStore};
use datafusion_postgres::pgwire::api::{
    ClientInfo, ClientPortalStore, DEFAULT_NAME, PgWireConnectionState, Type,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::extendedquery::{
    Close, CloseComplete, Execute, Parse, ParseComplete, PortalSuspended, TARGET_TYPE_BYTE_PORTAL,
    TARGET_TYPE_BYTE_STATEMENT,
};
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::{Sink, SinkExt, StreamExt};

use super::session::{self, Session, store};
use super::statement::Statement;
use super::stop::Cancel;
use super::{cursor, encode, failure, parameters};
use crate::query::QueryError;

#[async_trait]
impl QueryParser for Session {
    type Statement = Statement;

    /// Parses, and plans once to learn the types of parameters and columns.
    async fn parse_sql<C>(
        &self,
        client: &C,
        sql: &str,
        _types: &[Option<Type>],
    ) -> PgWireResult<Option<Statement>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let mut trees = self.parse(sql)?.into_iter();
        let Some(tree) = trees.next() else {
            return Ok(None);
        };
        if trees.next().is_some() {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(failure::error("42601", message));
        }
        let plan = if let Some(plan) = self.plan_without_query(client, &tree).await? {
            plan
        } else {
            let planned = self.queries().plan(self.planner(&tree, None)?).await;
            planned.map_err(|error| failure::of_query(&error, sql))?
        };
        let parameters = parameters::of_plan(&plan)
            .map_err(|error| failure::of_query(&QueryError::from(error), sql))?;
        Ok(Some(Statement {
            text: sql.to_owned(),
            tree,
            parameters,
            columns: plan.schema().inner().clone(),
        }))
    }

    fn get_parameter_types(&self, statement: &Statement) -> PgWireResult<Vec<Type>> {
        statement
            .parameters
            .iter()
            .map(parameters::Parameter::pg_type)
            .collect()
    }

    fn get_result_schema(
        &self,
        statement: &Statement,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        let options = Arc::new(FormatOptions::default());
        encode::fields(
            &statement.columns,
            format.unwrap_or(&Format::UnifiedText),
            &options,
        )
    }
}

#[async_trait]
impl ExtendedQueryHandler for Session {
    type Statement = Statement;
    type QueryParser = Session;

    fn query_parser(&self) -> Arc<Session> {
        Arc::new(self.clone())
    }

    async fn on_parse<C>(&self, client: &mut C, message: Parse) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        self.prepared()
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keep(name)?;
        let mut cancel = Cancel::listen(client).await;
        let parsing = StoredStatement::parse(client, &message, self.query_parser());
        match self.hangup().or_stopped(&mut cancel, parsing).await? {
            Some(statement) => store(client)?.put_statement(Arc::new(statement)),
            None => store(client)?.put_empty_statement(name),
        }
        client
            .send(PgWireBackendMessage::ParseComplete(ParseComplete::new()))
            .await?;
        Ok(())
    }

    async fn on_close<C>(&self, client: &mut C, message: Close) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        match message.target_type {
            TARGET_TYPE_BYTE_STATEMENT => {
                store(client)?.rm_statement(name);
                self.prepared()
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .forget(name);
            }
            TARGET_TYPE_BYTE_PORTAL => store(client)?.rm_portal(name),
            other => return Err(PgWireError::InvalidTargetType(other)),
        }
        client
            .send(PgWireBackendMessage::CloseComplete(CloseComplete::new()))
            .await?;
        Ok(())
    }

    async fn do_describe_statement<C>(
        &self,
        client: &mut C,
        target: &StoredStatement<Statement>,
    ) -> PgWireResult<DescribeStatementResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let told = self.get_parameter_types(&target.statement)?;
        let count = max(told.len(), target.parameter_types.len());
        // What the client says its values are comes before what the plan would have them be.
        let types = (0..count).map(|index| {
            let said = target.parameter_types.get(index).cloned().flatten();
            said.or_else(|| told.get(index).cloned())
                .unwrap_or(Type::UNKNOWN)
        });
        let columns = self.described(client, &target.statement, &Format::UnifiedText)?;
        Ok(DescribeStatementResponse::new(types.collect(), columns))
    }

    async fn do_describe_portal<C>(
        &self,
        client: &mut C,
        target: &Portal<Statement>,
    ) -> PgWireResult<DescribePortalResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statement = &target.statement.statement;
        let columns = self.described(client, statement, &target.result_column_format)?;
        Ok(DescribePortalResponse::new(columns))
    }

    /// As the library's own, but rows are sent as they come: it would hold all of them. Sending ends too when the client
    /// cancels or goes away.
    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let mut cancel = Cancel::listen(client).await;
        let work = self.execute(client, &message);
        self.hangup().or_stopped(&mut cancel, work).await?;
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }

    /// Begins what a portal is bound to.
    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Statement>,
        _max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statement = &portal.statement.statement;
        if let Some(response) = self.without_query(client, &statement.tree).await? {
            return Ok(response);
        }
        let values = match portal.parameter_len() {
            0 => None,
            _ => Some(parameters::values(portal, &statement.parameters)?),
        };
        self.query(
            client,
            &statement.tree,
            values,
            &portal.result_column_format,
        )
        .await
    }
}

impl Session {
    /// The columns of a statement's answer.
    fn described<C>(
        &self,
        client: &C,
        statement: &Statement,
        format: &Format,
    ) -> PgWireResult<Vec<FieldInfo>>
    where
        C: ClientPortalStore,
        C::PortalStore: PortalStore,
    {
        match cursor::fetched_columns(store(client)?, &statement.tree)? {
            Some(columns) => encode::fields(&columns, &Format::UnifiedText, &Arc::default()),
            None => self.get_result_schema(statement, Some(format)),
        }
    }

    async fn execute<C>(&self, client: &mut C, message: &Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let portal = match store(client)?.get_portal(name) {
            Some(Entry::Value(portal)) => portal,
            Some(Entry::Empty) => return session::send(client, Response::EmptyQuery).await,
            None => return Err(PgWireError::PortalNotFound(name.to_owned())),
        };
        let count_max = usize::try_from(message.max_rows)
            .ok()
            .filter(|count| *count > 0);
        let begins = matches!(*portal.state().lock().await, PortalExecutionState::Initial);
        if begins {
            match ExtendedQueryHandler::do_query(self, client, portal.as_ref(), 0).await? {
                Response::Query(rows) => portal.start(rows).await,
                other => return session::send(client, other).await,
            }
        }
        let mut rows = cursor::taken(&portal, count_max)?;
        let tag = Tag::new(rows.command_tag());
        let mut count = 0;
        while let Some(row) = rows.data_rows().next().await {
            client.feed(PgWireBackendMessage::DataRow(row?)).await?;
            count += 1;
        }
        let end = if count_max == Some(count) {
            PgWireBackendMessage::PortalSuspended(PortalSuspended::new())
        } else {
            PgWireBackendMessage::CommandComplete(tag.with_rows(count).into())
        };
        client.feed(end).await?;
        Ok(())
    }
}
