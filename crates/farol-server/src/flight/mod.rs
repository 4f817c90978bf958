//! Flight SQL: Arrow over gRPC, for ADBC and what is built on it.
//!
//! ```text
//! GetFlightInfo ─▶ plan ─▶ columns and a ticket (the statement itself) ─▶ DoGet ─▶ Rows ─▶ record batches
//! ```
//!
//! A ticket holds the statement, so nothing is kept between the two calls; prepared statements are (`prepared`). A client
//! cancels by ending its call: the stream is dropped, and the query with it.

mod catalog;
mod prepared;
mod service;

use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use futures::stream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::{Request, Status};

use crate::connection::Connections;
use crate::query::{Kind, QueryError};
use crate::tokens::Tokens;
use crate::{WaysIn, patience};
use service::Service;

/// How often a silent client is asked whether it is there, and how long it may take to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

/// Calls of one connection at once.
const CALLS_MAX: u32 = 64;

/// Serves until the token is cancelled.
pub(crate) async fn serve(
    listener: TcpListener,
    ways: WaysIn,
    shutdown: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let tls = ways.tls.as_ref().map(|tls| tls.acceptor("h2"));
    let connections = Connections::listen(listener, tls, ways.connections.clone());
    let incoming = stream::unfold(connections, |mut connections| async move {
        let connection = connections.next().await?;
        Some((Ok::<_, std::io::Error>(connection), connections))
    });
    let login = Login(ways.tokens.clone());
    let service = FlightServiceServer::new(Service::new(ways));
    let serving = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .max_concurrent_streams(Some(CALLS_MAX))
        .add_service(InterceptedService::new(service, login))
        .serve_with_incoming_shutdown(Box::pin(incoming), shutdown.clone().cancelled_owned());
    tokio::select! {
        ended = serving => ended,
        () = patience(&shutdown) => {
            tracing::warn!("calls were still at work when the Flight server ended");
            Ok(())
        }
    }
}

/// Lets in who has a token, where there are tokens.
#[derive(Clone)]
struct Login(Option<Tokens>);

impl Interceptor for Login {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(tokens) = &self.0 else {
            return Ok(request);
        };
        let header = request
            .metadata()
            .get("authorization")
            .and_then(|header| header.to_str().ok());
        match header.and_then(|header| tokens.authorized(header)) {
            Some(_) => Ok(request),
            None => Err(Status::unauthenticated(
                "send `authorization: Bearer SECRET` with a secret of server.tokens_file, or its name and secret as user name and password",
            )),
        }
    }
}

/// A query's failure in gRPC's codes.
fn status(error: &QueryError) -> Status {
    let message = format!("{error} (SQLSTATE {})", error.sqlstate());
    match error.kind {
        Kind::Syntax | Kind::TooLong | Kind::Meaning | Kind::Value | Kind::NoColumn => {
            Status::invalid_argument(message)
        }
        Kind::NoTable => Status::not_found(message),
        Kind::ReadOnly => Status::permission_denied(message),
        Kind::Unsupported => Status::unimplemented(message),
        Kind::Busy => Status::unavailable(message),
        Kind::TimedOut | Kind::NotRead => Status::deadline_exceeded(message),
        Kind::Cancelled => Status::cancelled(message),
        Kind::Memory | Kind::Disk => Status::resource_exhausted(message),
        Kind::Internal => Status::internal(message),
    }
}
