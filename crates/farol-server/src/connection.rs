//! Connections: how many there may be, and how long each may be silent or leave what it was sent unread.
//!
//! ```text
//! TcpListener ──▶ a place ──▶ TLS ──▶ Connection (timeouts) ──▶ hyper, tonic, pgwire
//! ```

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a client may take to agree on TLS, or to say who it is.
pub(crate) const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the listener rests after the system refused it a connection (no descriptors left).
const ACCEPT_REST: Duration = Duration::from_millis(200);

/// Bounds of connections, for each way in.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    /// Connections at once.
    pub connections_max: usize,
    /// How long a connection may be silent.
    pub idle_timeout: Duration,
    /// How long a client may leave unread what it was sent.
    pub write_timeout: Duration,
}

/// A stream that ends when its client is silent, or does not read, for too long.
pub(crate) struct Connection<S> {
    stream: S,
    idle: Patience,
    unread: Patience,
    peer: SocketAddr,
    /// Bytes that may still be read.
    allowance: Option<usize>,
    _place: Option<OwnedSemaphorePermit>,
}

/// A wait that fails when it takes too long. It begins where something is waited for, and is over where that comes.
struct Patience {
    limit: Duration,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { limit, wait: None }
    }

    /// What was waited for has come.
    fn end(&mut self) {
        self.wait = None;
    }

    /// Passes a wait on, or fails where it has taken too long.
    fn pending<T>(&mut self, context: &mut Context<'_>, what: &str) -> Poll<io::Result<T>> {
        let limit = self.limit;
        let wait = self
            .wait
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        match wait.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let message = format!("the client {what} for {} s", limit.as_secs_f64());
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
            }
        }
    }
}

impl<S> Connection<S> {
    pub fn new(
        stream: S,
        peer: SocketAddr,
        options: &ConnectionOptions,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            stream,
            idle: Patience::new(options.idle_timeout),
            unread: Patience::new(options.write_timeout),
            peer,
            allowance: None,
            _place: place,
        }
    }

    /// Lets so many bytes be read from here on, and no more until this is called again.
    pub fn allow(&mut self, bytes: usize) {
        self.allowance = Some(bytes);
    }

    pub fn peer(&self) -> SocketAddr {
        self.peer
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let ready = match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Pending => return this.idle.pending(context, "said nothing"),
            Poll::Ready(ready) => ready,
        };
        this.idle.end();
        let read = buffer.filled().len() - before;
        if let Some(allowance) = &mut this.allowance {
            match allowance.checked_sub(read) {
                Some(rest) => *allowance = rest,
                None => {
                    return Poll::Ready(Err(io::Error::other("the client's message is too long")));
                }
            }
        }
        Poll::Ready(ready)
    }
}

impl<S: AsyncWrite + Unpin> Connection<S> {
    fn poll_out<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match poll(Pin::new(&mut self.stream), context) {
            Poll::Pending => self.unread.pending(context, "read nothing"),
            Poll::Ready(answer) => {
                self.unread.end();
                // Who takes an answer is not silent.
                self.idle.end();
                Poll::Ready(answer)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_out(context, |stream, context| {
            stream.poll_write(context, buffer)
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(context, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(context, AsyncWrite::poll_shutdown)
    }
}

/// With or without TLS.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

macro_rules! either {
    ($self:ident, $stream:ident => $poll:expr) => {
        match $self.get_mut() {
            Stream::Plain(inner) => {
                let $stream = Pin::new(inner);
                $poll
            }
            Stream::Tls(inner) => {
                let $stream = Pin::new(inner);
                $poll
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(context, buffer))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(context))
    }
}

/// The next connection; errors of the system are said, and pass.
pub(crate) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Connections that are ready to be served, TLS agreed on. Who comes while all places are taken waits for one.
pub(crate) struct Connections {
    ready: mpsc::Receiver<Connection<Stream>>,
    address: io::Result<SocketAddr>,
}

impl Connections {
    /// Begins to accept, in a task that ends with the receiver.
    pub fn listen(
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        options: ConnectionOptions,
    ) -> Self {
        let address = listener.local_addr();
        let (sender, ready) = mpsc::channel(1);
        tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(options.connections_max));
            loop {
                let place = tokio::select! {
                    () = sender.closed() => return,
                    place = places.clone().acquire_owned() => place.ok(),
                };
                let (stream, peer) = tokio::select! {
                    () = sender.closed() => return,
                    accepted = accept(&listener) => accepted,
                };
                let (sender, tls, options) = (sender.clone(), tls.clone(), options.clone());
                // A slow greeting must not hold up others.
                tokio::spawn(async move {
                    match greet(stream, tls).await {
                        // The receiver is gone only when the server ends.
                        Ok(stream) => drop(
                            sender
                                .send(Connection::new(stream, peer, &options, place))
                                .await,
                        ),
                        Err(error) => tracing::debug!(%peer, "no TLS connection: {error}"),
                    }
                });
            }
        });
        Self { ready, address }
    }

    /// The next connection; none when the server ends.
    pub async fn next(&mut self) -> Option<Connection<Stream>> {
        self.ready.recv().await
    }
}

async fn greet(stream: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<Stream> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Ok(Stream::Plain(stream));
    };
    let stream = tokio::time::timeout(GREETING_TIMEOUT, tls.accept(stream)).await??;
    Ok(Stream::Tls(Box::new(stream)))
}

impl axum::serve::Listener for Connections {
    type Io = Connection<Stream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.next().await {
            Some(connection) => {
                let peer = connection.peer();
                (connection, peer)
            }
            // The accepting task ends only after the receiver, which is here.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.address {
            Ok(address) => Ok(*address),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }
}

impl tonic::transport::server::Connected for Connection<Stream> {
    type ConnectInfo = SocketAddr;

    fn connect_info(&self) -> SocketAddr {
        self.peer
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const IDLE: Duration = Duration::from_millis(600);
    const UNREAD: Duration = Duration::from_millis(200);

    fn options() -> ConnectionOptions {
        ConnectionOptions {
            connections_max: 1,
            idle_timeout: IDLE,
            write_timeout: UNREAD,
        }
    }

    fn over<S>(stream: S) -> Connection<S> {
        Connection::new(stream, ([127, 0, 0, 1], 1).into(), &options(), None)
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_cut_off() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let begun = Instant::now();
        let error = over(ours).write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= UNREAD, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_silent_client_is_cut_off_and_one_that_speaks_now_and_then_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let begun = Instant::now();
        let pause = IDLE / 3;
        let speaking = tokio::spawn(async move {
            for _ in 0..4 {
                tokio::time::sleep(pause).await;
                theirs.write_all(b"x").await.unwrap();
            }
            theirs
        });
        let mut ours = over(ours);
        let mut read = [0; 5];
        ours.read_exact(&mut read[..4]).await.unwrap();
        let theirs = speaking.await.unwrap();
        let error = ours.read(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= 4 * pause + IDLE, "{:?}", begun.elapsed());
        drop(theirs);
    }

    #[tokio::test]
    async fn more_than_is_allowed_is_not_read() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(&[0; 32]).await.unwrap();
        let mut ours = over(ours);
        ours.allow(16);
        assert!(ours.read_exact(&mut [0; 32]).await.is_err());
    }

    #[tokio::test]
    async fn who_comes_when_all_places_are_taken_waits_for_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = Connections::listen(listener, None, options());
        let _first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(b"second").await.unwrap();
        let first = connections.next().await.unwrap();
        let mut next = Box::pin(connections.next());
        assert!(futures::poll!(&mut next).is_pending());
        drop(first);
        let mut connection = next.await.unwrap();
        let mut said = [0; 6];
        connection.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"second");
    }
}
