//! HTTP: health, readiness and metrics for machines, SQL for programs.

mod health;
mod sql;

use axum::Router;
use axum::routing::get;

use crate::ServerState;

/// Every route.
pub(crate) fn router(state: ServerState) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/api/v1/sql", sql::route())
        .with_state(state)
}
