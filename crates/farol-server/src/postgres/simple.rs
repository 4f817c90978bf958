//! The simple protocol: a text with one or more statements, answered in their order.

use std::fmt::Debug;

use async_trait::async_trait;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::query::{SimpleQueryHandler, send_ready_for_query};
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore, PgWireConnectionState};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::simplequery::Query;
use futures::Sink;

use super::session::{self, Session};
use super::stop::Cancel;

#[async_trait]
impl SimpleQueryHandler for Session {
    /// As the library's own, but a query's rows are sent before the next statement begins, and sending ends too when the
    /// client cancels or goes away.
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let mut cancel = Cancel::listen(client).await;
        let answer = async {
            let trees = self.parse(&query.query)?;
            if trees.is_empty() {
                session::send(client, Response::EmptyQuery).await?;
            }
            for tree in trees {
                let response = match self.without_query(client, &tree).await? {
                    Some(response) => response,
                    None => {
                        self.query(client, &tree, None, &Format::UnifiedText)
                            .await?
                    }
                };
                session::send(client, response).await?;
            }
            Ok(())
        };
        Box::pin(self.hangup().or_stopped(&mut cancel, answer)).await?;
        client.set_state(PgWireConnectionState::ReadyForQuery);
        let status = client.transaction_status();
        send_ready_for_query(client, status).await
    }

    /// The answers of a text, not sent yet.
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut responses = Vec::new();
        for tree in self.parse(query)? {
            responses.push(match self.without_query(client, &tree).await? {
                Some(response) => response,
                None => {
                    self.query(client, &tree, None, &Format::UnifiedText)
                        .await?
                }
            });
        }
        Ok(responses)
    }
}
