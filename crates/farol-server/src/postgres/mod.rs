//! PostgreSQL's wire protocol: psql, drivers, dashboards.
//!
//! ```text
//! socket ─ TLS? ─ startup (SCRAM) ─┬─ Query ───────────────▶ simple   ┐
//!                                  └─ Parse, Bind, Execute ▶ extended ┴─▶ Session ─▶ QueryService ─▶ rows, encoded
//! ```
//!
//! The protocol's messages are pgwire's, PostgreSQL's own tables and the rewriting of clients' SQL are
//! datafusion-pg-catalog's, and values are encoded by arrow-pg. What is here is what keeps a server alive: bounds for
//! connections, messages, time and buffers, and cancellation wherever a query waits.

mod cursor;
mod dialect;
mod encode;
mod extended;
mod failure;
pub(crate) mod functions;
pub(crate) mod information_schema;
mod parameters;
pub(crate) mod pg_catalog;
mod prepared;
mod rewrite;
mod session;
mod simple;
mod startup;
mod statement;
mod stop;
mod types;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use datafusion::prelude::SessionContext;
use datafusion_postgres::pgwire::api::cancel::DefaultCancelHandler;
use datafusion_postgres::pgwire::api::{
    ClientInfo, ConnectionManager, NoopHandler, PgWireConnectionState,
};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};
use datafusion_postgres::pgwire::messages::response::ErrorResponse;
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use datafusion_postgres::pgwire::tokio::server::{
    MaybeTls, PgWireMessageServerCodec, negotiate_tls, process_error, process_message,
};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::{Framed, FramedParts};
use tokio_util::sync::CancellationToken;

use crate::WaysIn;
use crate::connection::{Connection, GREETING_TIMEOUT, accept};
use dialect::Dialect;
use session::Session;
use startup::Startup;
use statement::Statement;
use stop::Hangup;

/// The largest message that is read from a client: a statement at its longest, with room for names and parameters.
const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// How long a client that is turned away is listened to.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// What all connections share.
struct Server {
    ways: WaysIn,
    tls: Option<TlsAcceptor>,
    dialect: Dialect,
    manager: Arc<ConnectionManager>,
    startup: startup::Logins,
    /// For the library's hooks, which read little of it and change nothing.
    context: SessionContext,
}

/// Serves until the token is cancelled; then connections end as soon as they are asked.
pub(crate) async fn serve(listener: TcpListener, ways: WaysIn, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(ways.connections.connections_max));
    let server = Arc::new(Server {
        tls: ways.tls.as_ref().map(|tls| tls.acceptor("postgresql")),
        dialect: Dialect::new(),
        manager: Arc::new(ConnectionManager::new()),
        startup: startup::Logins::new(ways.tokens.as_ref()),
        context: SessionContext::new(),
        ways,
    });
    loop {
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = accept(&listener) => accepted,
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tokio::spawn(refuse(stream, server.ways.connections.connections_max));
            continue;
        };
        let (server, shutdown) = (server.clone(), shutdown.clone());
        tokio::spawn(async move {
            let served = tokio::select! {
                () = shutdown.cancelled() => Ok(()),
                served = connection(stream, peer, &server) => served,
            };
            if let Err(error) = served {
                tracing::debug!(%peer, "a PostgreSQL connection ended: {error}");
            }
            drop(place);
        });
    }
}

/// A client's wish for encryption, in place of a version of the protocol: TLS, and GSSAPI.
const ENCRYPTION_REQUESTS: [u32; 2] = [80_877_103, 80_877_104];

/// The largest first message.
const GREETING_BYTES_MAX: u32 = 10_000;

/// Tells a client that all places are taken.
async fn refuse(mut stream: TcpStream, connections_max: usize) {
    let message = format!(
        "sorry, too many clients already: {connections_max} are connected (server.query.max_connections)"
    );
    let info = ErrorInfo::new("FATAL".to_owned(), "53300".to_owned(), message);
    let mut bytes = bytes::BytesMut::new();
    let told = async {
        // A client takes an error only in answer to its real greeting.
        loop {
            let length = stream.read_u32().await?.clamp(8, GREETING_BYTES_MAX);
            let request = stream.read_u32().await?;
            let mut rest = vec![0; length as usize - 8];
            stream.read_exact(&mut rest).await?;
            if !ENCRYPTION_REQUESTS.contains(&request) {
                break;
            }
            stream.write_all(b"N").await?;
        }
        PgWireBackendMessage::ErrorResponse(ErrorResponse::from(info))
            .encode(&mut bytes)
            .map_err(io::Error::from)?;
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    };
    // Who is gone needs no word.
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, told).await;
}

type Socket = Framed<Connection<MaybeTls>, PgWireMessageServerCodec<Statement>>;

async fn connection(stream: TcpStream, peer: SocketAddr, server: &Arc<Server>) -> io::Result<()> {
    let greeted_by = Instant::now() + GREETING_TIMEOUT;
    let (stream, hangup) = Hangup::watch(stream)?;
    let greeting = negotiate_tls(stream, server.tls.clone());
    let Some(socket) = tokio::time::timeout_at(greeted_by, greeting).await?? else {
        return Ok(());
    };
    let mut socket = bounded(socket, peer, server);
    let session = Arc::new(Session::new(server.clone(), hangup));
    let startup = Arc::new(Startup::new(&server.startup, server.manager.clone()));
    let cancel = Arc::new(DefaultCancelHandler::new(server.manager.clone()));
    loop {
        socket.get_mut().allow(MESSAGE_BYTES_MAX);
        let is_greeting = matches!(
            socket.state(),
            PgWireConnectionState::AwaitingStartup
                | PgWireConnectionState::AuthenticationInProgress
        );
        let message = if is_greeting {
            tokio::time::timeout_at(greeted_by, socket.next()).await?
        } else {
            socket.next().await
        };
        let message = match message {
            None | Some(Ok(PgWireFrontendMessage::Terminate(_))) => return Ok(()),
            Some(Ok(message)) => message,
            Some(Err(error)) => return farewell(&mut socket, error).await,
        };
        let is_extended = message.is_extended_query();
        let processed = process_message(
            message,
            &mut socket,
            startup.clone(),
            session.clone(),
            session.clone(),
            Arc::new(NoopHandler),
            cancel.clone(),
        );
        match processed.await {
            Ok(()) => {}
            // Nothing can be said on a socket that failed.
            Err(PgWireError::IoError(error)) => return Err(error),
            Err(error) => {
                let info = ErrorInfo::from(error);
                tracing::debug!(%peer, "an answer to a PostgreSQL client: {info}");
                let is_last = info.is_fatal();
                let error = PgWireError::UserError(Box::new(info));
                process_error(&mut socket, error, is_extended).await?;
                // Above all, who failed to say who they are is not listened to any more.
                if is_last {
                    return Ok(());
                }
            }
        }
    }
}

/// The socket with the bounds of a connection.
fn bounded(
    socket: Framed<MaybeTls, PgWireMessageServerCodec<Statement>>,
    peer: SocketAddr,
    server: &Server,
) -> Socket {
    let old = socket.into_parts();
    let stream = Connection::new(old.io, peer, &server.ways.connections, None);
    let mut parts = FramedParts::new::<PgWireBackendMessage>(stream, old.codec);
    parts.read_buf = old.read_buf;
    parts.write_buf = old.write_buf;
    Framed::from_parts(parts)
}

/// A message could not be read: says why, where that is still possible, and ends.
async fn farewell(socket: &mut Socket, error: PgWireError) -> io::Result<()> {
    let mut info = ErrorInfo::from(error);
    "FATAL".clone_into(&mut info.severity);
    socket
        .send(PgWireBackendMessage::ErrorResponse(info.into()))
        .await?;
    socket.close().await
}
