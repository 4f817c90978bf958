//! What ends a query from outside: the client's request to cancel, or its going away.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use datafusion_postgres::pgwire::api::{ClientInfo, ConnectionHandle};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// How often a client that has sent more than was read is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Tells when a client has closed its connection, while nobody reads from it.
pub(super) struct Hangup(TcpStream);

impl Hangup {
    /// Watches the connection through a second handle.
    pub fn watch(stream: TcpStream) -> io::Result<(TcpStream, Self)> {
        let stream = stream.into_std()?;
        let second = TcpStream::from_std(stream.try_clone()?)?;
        Ok((TcpStream::from_std(stream)?, Self(second)))
    }

    async fn wait(&self) {
        loop {
            match self.0.ready(Interest::READABLE).await {
                Ok(ready) if !ready.is_read_closed() => {}
                _ => return,
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Does the work, unless the client cancels it or goes away.
    pub async fn or_stopped<T>(
        &self,
        cancel: &mut Cancel,
        work: impl Future<Output = PgWireResult<T>>,
    ) -> PgWireResult<T> {
        tokio::select! {
            done = work => done,
            () = cancel.wait() => Err(PgWireError::QueryCanceled),
            () = self.wait() => Err(PgWireError::IoError(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the client went away while its query ran",
            ))),
        }
    }
}

/// A client's request to cancel the query that runs.
pub(super) struct Cancel(Option<futures::channel::oneshot::Receiver<()>>);

impl Cancel {
    /// Listens from now on.
    pub async fn listen<C: ClientInfo + ?Sized>(client: &C) -> Self {
        match client.session_extensions().get::<Arc<ConnectionHandle>>() {
            Some(handle) => Self(Some(handle.start_query().await)),
            None => Self(None),
        }
    }

    async fn wait(&mut self) {
        if let Some(receiver) = &mut self.0
            && receiver.await.is_ok()
        {
            return;
        }
        // Nobody can cancel any more.
        self.0 = None;
        std::future::pending::<()>().await;
    }
}
