//! Ways in: addresses, who may come, and bounds of what they ask.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::{ByteSize, Span, loopback, seconds};

/// Addresses to serve at, `None` is not served; and who is let in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Health, metrics and SQL over HTTP.
    pub http: Option<SocketAddr>,
    /// PostgreSQL's protocol.
    pub postgres: Option<SocketAddr>,
    /// Arrow Flight SQL.
    pub flight: Option<SocketAddr>,
    /// A file of names and secrets that are let in.
    pub tokens_file: Option<PathBuf>,
    /// The certificate of all three.
    pub tls: ServerTls,
    /// Bounds of queries and connections.
    pub query: Query,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            http: Some(loopback(8480)),
            postgres: Some(loopback(5480)),
            flight: Some(loopback(5481)),
            tokens_file: None,
            tls: ServerTls::default(),
            query: Query::default(),
        }
    }
}

/// Files of a certificate; both or none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerTls {
    /// The certificate with its chain.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

/// Bounds of queries, and of the connections they come by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    /// How long one may take, reading its answer included.
    pub timeout: Span,
    /// Memory that one may hold before it spills or fails.
    pub memory: ByteSize,
    /// Disk that one may spill to.
    pub spill: ByteSize,
    /// Queries at once.
    pub max_concurrent: u32,
    /// How long one waits for a place.
    pub queue_timeout: Span,
    /// Connections at once, for each way in.
    pub max_connections: u32,
    /// How long a connection may be silent.
    pub idle_timeout: Span,
    /// How long a client may leave rows unread.
    pub write_timeout: Span,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            timeout: seconds(60),
            memory: ByteSize(512 << 20),
            spill: ByteSize(2 << 30),
            max_concurrent: 8,
            queue_timeout: seconds(10),
            max_connections: 256,
            idle_timeout: seconds(3_600),
            write_timeout: seconds(15),
        }
    }
}

impl Server {
    /// What types alone cannot tell; in words for a person.
    pub(crate) fn validate(&self) -> Result<(), String> {
        for (key, address) in [("postgres", self.postgres), ("flight", self.flight)] {
            let Some(address) = address.filter(|address| !address.ip().is_loopback()) else {
                continue;
            };
            if self.tokens_file.is_none() {
                return Err(format!(
                    "server.{key}: at {address} others than this machine reach the lake; name those who may in server.tokens_file, or use 127.0.0.1:{}",
                    address.port()
                ));
            }
        }
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            return Err("server.tls needs both a certificate and its key".to_owned());
        }
        let query = &self.query;
        for (key, span) in [
            ("timeout", query.timeout),
            ("queue_timeout", query.queue_timeout),
            ("idle_timeout", query.idle_timeout),
            ("write_timeout", query.write_timeout),
        ] {
            if span.0.is_zero() {
                return Err(format!("server.query.{key} must be more than nothing"));
            }
        }
        for (key, bound) in [
            ("memory", query.memory.0),
            ("max_concurrent", query.max_concurrent.into()),
            ("max_connections", query.max_connections.into()),
        ] {
            if bound == 0 {
                return Err(format!("server.query.{key} must be more than nothing"));
            }
        }
        Ok(())
    }
}
