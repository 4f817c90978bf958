//! The server's sockets, bound before anything starts: a taken address, a missing certificate or an unreadable file of
//! tokens is told then.

use std::net::SocketAddr;

use anyhow::Context as _;
use farol_server::{Tls, Tokens};
use tokio::net::TcpListener;

use crate::cli::Role;
use crate::config::Server;
use crate::context::Context;
use crate::exit::usage;

/// Sockets, and what is needed to serve at them.
#[derive(Default)]
pub struct Listeners {
    /// HTTP.
    pub http: Option<TcpListener>,
    /// PostgreSQL's protocol.
    pub postgres: Option<TcpListener>,
    /// Flight SQL.
    pub flight: Option<TcpListener>,
    /// Who may ask.
    pub tokens: Option<Tokens>,
    /// The certificate.
    pub tls: Option<Tls>,
}

/// The addresses that were bound, which may be others than those configured (port 0).
pub struct Addresses {
    /// HTTP.
    pub http: Option<SocketAddr>,
    /// PostgreSQL's protocol.
    pub postgres: Option<SocketAddr>,
    /// Flight SQL.
    pub flight: Option<SocketAddr>,
}

impl Listeners {
    /// Whether anything is served.
    pub fn any(&self) -> bool {
        self.http.is_some() || self.postgres.is_some() || self.flight.is_some()
    }

    /// Where.
    pub fn addresses(&self) -> Addresses {
        let address = |listener: &Option<TcpListener>| {
            listener
                .as_ref()
                .and_then(|listener| listener.local_addr().ok())
        };
        Addresses {
            http: address(&self.http),
            postgres: address(&self.postgres),
            flight: address(&self.flight),
        }
    }
}

/// Binds the server's addresses, where that role is played.
pub async fn bind(context: &Context, roles: &[Role]) -> anyhow::Result<Listeners> {
    if !roles.contains(&Role::Server) {
        return Ok(Listeners::default());
    }
    let server = &context.config.server;
    let (tokens, tls) = ways_in_files(server).map_err(usage)?;
    if tokens.is_some() && tls.is_none() && is_remote(server) {
        tracing::warn!(
            "secrets of server.tokens_file pass the network in the clear without server.tls, except PostgreSQL's"
        );
    }
    Ok(Listeners {
        http: listener(server.http, "HTTP", "http").await?,
        postgres: listener(server.postgres, "PostgreSQL", "postgres").await?,
        flight: listener(server.flight, "Flight SQL", "flight").await?,
        tokens,
        tls,
    })
}

/// Reads the files that the ways in need; what is wrong with them, in words for a person.
pub fn ways_in_files(server: &Server) -> Result<(Option<Tokens>, Option<Tls>), String> {
    let tokens = server
        .tokens_file
        .as_deref()
        .map(Tokens::read)
        .transpose()
        .map_err(|error| format!("server.tokens_file: {error}"))?;
    let tls = match (&server.tls.certificate, &server.tls.key) {
        (Some(certificate), Some(key)) => {
            let read = Tls::read(certificate, key);
            Some(read.map_err(|error| format!("server.tls: {error}"))?)
        }
        _ => None,
    };
    Ok((tokens, tls))
}

fn is_remote(server: &Server) -> bool {
    [server.http, server.flight]
        .iter()
        .flatten()
        .any(|address| !address.ip().is_loopback())
}

async fn listener(
    address: Option<SocketAddr>,
    what: &str,
    key: &str,
) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot serve {what} at {address} (another farol? choose another with --set server.{key}=HOST:PORT, or null)"
        )
    })?;
    Ok(Some(listener))
}
