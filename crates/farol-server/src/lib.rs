//! What Farol serves: health, readiness and metrics over HTTP, and SQL over HTTP, PostgreSQL's protocol and Flight SQL.
//!
//! ```text
//! roles ──RoleState──▶ Readiness ──▶ /readyz    503 with the reasons, or 200
//! crates ──metrics facade──▶ recorder ──▶ /metrics    Prometheus text
//!                                         /healthz   the process answers
//!
//! curl     ──▶ http      ┐
//! psql, …  ──▶ postgres  ├─ connection, tls, tokens ──▶ query ──▶ farol_lake::sql, farol_jobs::views
//! ADBC, …  ──▶ flight    ┘
//! ```
//!
//! The server knows no role: each registers itself and says what keeps it from being ready. Nor does it
//! know a metric by its value: crates record through the `metrics` facade, and the recorder that this
//! crate installs ([`ServerState::new`]) collects them.

mod connection;
pub mod encode;
mod flight;
mod http;
mod postgres;
mod query;
mod readiness;
mod recorder;
mod tls;
mod tokens;

use std::io;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use connection::ConnectionOptions;
pub use query::{QueryError, QueryOptions, QueryService};
pub use readiness::{Readiness, RoleState};
pub use tls::Tls;
pub use tokens::Tokens;

use connection::Connections;

/// How often the recorder folds recorded histogram values together, so that they take no memory when
/// nobody scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// How long requests at work may still take once the server is told to end.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// Why a server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A socket failed.
    #[error("the server's socket failed: {0}")]
    Socket(#[from] io::Error),
    /// The Flight server failed.
    #[error("the Flight server failed: {0}")]
    Flight(#[from] tonic::transport::Error),
    /// A server's task failed.
    #[error("the server's task failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// What the ways in to SQL share: the queries, who may ask them, and how they are reached.
#[derive(Clone)]
pub struct WaysIn {
    /// Where queries run.
    pub queries: QueryService,
    /// Who may ask; without tokens, anybody who reaches the address.
    pub tokens: Option<Tokens>,
    /// The certificate; without one nothing is encrypted.
    pub tls: Option<Tls>,
    /// Bounds of connections.
    pub connections: ConnectionOptions,
}

/// What the HTTP server answers from.
#[derive(Clone)]
pub struct ServerState {
    readiness: Readiness,
    metrics: PrometheusHandle,
    ways: Option<WaysIn>,
}

impl ServerState {
    /// A state over these roles. The first call in a process installs the recorder of metrics; what was
    /// recorded before goes nowhere, so call it before the roles start.
    pub fn new(readiness: Readiness) -> Self {
        Self {
            readiness,
            metrics: recorder::installed(),
            ways: None,
        }
    }

    /// Answers SQL too.
    pub fn with_sql(mut self, ways: WaysIn) -> Self {
        self.ways = Some(ways);
        self
    }

    pub(crate) fn ways(&self) -> Option<&WaysIn> {
        self.ways.as_ref()
    }

    /// Prometheus' text of every metric recorded so far.
    pub fn metrics_text(&self) -> String {
        self.metrics.render()
    }
}

/// Serves HTTP until the token is cancelled; requests at work may then finish, within three seconds.
pub async fn serve(
    listener: TcpListener,
    state: ServerState,
    connections: ConnectionOptions,
    tls: Option<Tls>,
    shutdown: CancellationToken,
) -> Result<(), ServerError> {
    let upkeep = keep_up(state.metrics.clone());
    let tls = tls.map(|tls| tls.acceptor("http/1.1"));
    let connections = Connections::listen(listener, tls, connections);
    let serving = axum::serve(connections, http::router(state))
        .with_graceful_shutdown(shutdown.clone().cancelled_owned())
        .into_future();
    tokio::select! {
        ended = serving => ended.map_err(ServerError::from),
        () = upkeep => Ok(()),
        () = patience(&shutdown) => {
            tracing::warn!("requests were still at work when the HTTP server ended");
            Ok(())
        }
    }
}

/// Serves PostgreSQL's protocol until the token is cancelled.
pub async fn serve_postgres(
    listener: TcpListener,
    ways: WaysIn,
    shutdown: CancellationToken,
) -> Result<(), ServerError> {
    let talking = ways.queries.talking().clone();
    talking
        .spawn(postgres::serve(listener, ways, shutdown))
        .await?;
    Ok(())
}

/// Serves Flight SQL until the token is cancelled; requests at work may then finish, within three seconds.
pub async fn serve_flight(
    listener: TcpListener,
    ways: WaysIn,
    shutdown: CancellationToken,
) -> Result<(), ServerError> {
    let talking = ways.queries.talking().clone();
    talking
        .spawn(flight::serve(listener, ways, shutdown))
        .await??;
    Ok(())
}

/// Never ends: it is dropped with the server.
async fn keep_up(metrics: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}

pub(crate) async fn patience(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(SHUTDOWN_GRACE).await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;

    use super::*;

    struct Running {
        address: SocketAddr,
        shutdown: CancellationToken,
        task: JoinHandle<Result<(), ServerError>>,
    }

    async fn start(readiness: Readiness) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let connections = ConnectionOptions {
            connections_max: 16,
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(10),
        };
        let state = ServerState::new(readiness);
        let task = tokio::spawn(serve(listener, state, connections, None, shutdown.clone()));
        Running {
            address,
            shutdown,
            task,
        }
    }

    impl Running {
        /// Status, headers and body, as another program sees them.
        async fn get(&self, path: &str) -> (u16, String, String) {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: farol\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            (status, head.to_ascii_lowercase(), body.to_owned())
        }

        async fn ready(&self) -> (u16, Value) {
            let (status, _, body) = self.get("/readyz").await;
            (status, serde_json::from_str(&body).unwrap())
        }
    }

    #[tokio::test]
    async fn it_is_ready_when_every_role_is() {
        let readiness = Readiness::default();
        let server = start(readiness.clone()).await;
        assert_eq!(
            server.ready().await,
            (200, json!({"ready": true, "roles": []}))
        );

        let ingest = readiness.register("ingest");
        let (status, body) = server.ready().await;
        assert_eq!(status, 503);
        assert_eq!(
            body["roles"][0],
            json!({"name": "ingest", "ready": false, "reasons": ["it is starting"]})
        );

        ingest.set(&[]);
        let (status, body) = server.ready().await;
        assert_eq!(status, 200);
        assert_eq!(
            body,
            json!({"ready": true, "roles": [{"name": "ingest", "ready": true, "reasons": []}]})
        );

        ingest.set(&["200000 records behind".to_owned()]);
        let (status, body) = server.ready().await;
        assert_eq!(status, 503);
        assert_eq!(
            body["roles"][0]["reasons"],
            json!(["200000 records behind"])
        );
        assert_eq!(server.get("/healthz").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_are_prometheus_text() {
        let server = start(Readiness::default()).await;
        let labels = [
            ("topic", "llm.traces"),
            ("partition", "3"),
            ("outcome", "stored"),
        ]
        .map(|(k, v)| (k, v.to_owned()));
        metrics::counter!("farol_ingest_entries_total", &labels).increment(7);
        metrics::histogram!("farol_commit_seconds", "table" => "traces").record(0.2);
        let (status, head, body) = server.get("/metrics").await;
        assert_eq!(status, 200);
        assert!(
            head.contains("content-type: text/plain; version=0.0.4"),
            "{head}"
        );
        let line =
            "farol_ingest_entries_total{topic=\"llm.traces\",partition=\"3\",outcome=\"stored\"} 7";
        assert!(body.lines().any(|l| l == line), "{body}");
        assert!(
            body.contains("# HELP farol_ingest_entries_total Entries by what became of them"),
            "{body}"
        );
        assert!(
            body.contains("farol_commit_seconds_bucket{table=\"traces\",le=\"0.25\"} 1"),
            "{body}"
        );
        assert!(
            body.contains("farol_commit_seconds_bucket{table=\"traces\",le=\"0.1\"} 0"),
            "{body}"
        );
    }

    #[tokio::test]
    async fn it_ends_when_told_to_even_beside_a_slow_client() {
        let server = start(Readiness::default()).await;
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        slow.write_all(b"GET /heal").await.unwrap();
        assert_eq!(server.get("/healthz").await.2, "ok\n");
        assert_eq!(server.get("/nothing").await.0, 404);
        server.shutdown.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(20), server.task).await;
        ended.expect("the server ends").unwrap().unwrap();
    }
}
