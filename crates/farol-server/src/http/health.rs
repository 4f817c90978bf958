//! The handlers: whether the process answers, whether its roles are ready, and what they measured.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use crate::ServerState;

/// Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The process answers. An orchestrator restarts it when it does not.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether every role is caught up within its bound; if not, why. An orchestrator that sees 503 waits.
pub(crate) async fn readyz(State(state): State<ServerState>) -> impl IntoResponse {
    let report = state.readiness.report();
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report))
}

/// Every metric.
pub(crate) async fn metrics(State(state): State<ServerState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], state.metrics_text())
}
