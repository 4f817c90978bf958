//! Receivers against real local servers: HTTP with and without TLS, and SMTP, written here.

mod chat;
mod email;
mod http_server;
mod smtp_server;
mod support;
mod webhook;
