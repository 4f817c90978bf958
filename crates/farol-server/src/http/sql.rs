//! `POST /api/v1/sql`: a statement in, rows out.
//!
//! ```text
//! request ─ who? ─ statement and format ─▶ Rows ─▶ encoder, on the talking threads ─▶ chunks ─▶ client
//! ```
//!
//! What goes wrong before the first rows is a status and a JSON object. What goes wrong after them breaks the answer off,
//! so that a part of an answer cannot be taken for the whole.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::encode::{EncodeError, Encoder, Format};
use crate::query::{Kind, QueryError, Rows, STATEMENT_BYTES_MAX};
use crate::{ServerState, WaysIn};

/// The largest request: a statement in JSON, where every character may be escaped.
const REQUEST_BYTES_MAX: usize = 8 * STATEMENT_BYTES_MAX;

/// Encoded chunks that wait for the client at the most.
const CHUNKS_WAITING_MAX: usize = 2;

/// The route's handler, with its limit of the request's size.
pub(super) fn route() -> MethodRouter<ServerState> {
    post(sql).layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
}

/// What may follow the path.
#[derive(Deserialize)]
struct Parameters {
    format: Option<String>,
}

/// A request in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRequest {
    sql: String,
    format: Option<String>,
}

/// A failure, as the client sees it.
struct Failure {
    status: StatusCode,
    error: ErrorBody,
}

#[derive(Serialize)]
struct ErrorBody {
    message: String,
    /// PostgreSQL's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    sqlstate: Option<&'static str>,
    /// Place in the statement, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u64>,
}

#[derive(Serialize)]
struct Wrapped {
    error: ErrorBody,
}

impl Failure {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            error: ErrorBody {
                message: message.into(),
                sqlstate: None,
                line: None,
                column: None,
            },
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let status = match error.kind {
            Kind::Syntax
            | Kind::NoTable
            | Kind::NoColumn
            | Kind::Meaning
            | Kind::Value
            | Kind::Unsupported => StatusCode::BAD_REQUEST,
            Kind::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::ReadOnly => StatusCode::FORBIDDEN,
            Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Kind::TimedOut | Kind::NotRead | Kind::Cancelled => StatusCode::REQUEST_TIMEOUT,
            Kind::Memory | Kind::Disk => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self {
            status,
            error: ErrorBody {
                message: error.to_string(),
                sqlstate: Some(error.sqlstate()),
                line: error.place.map(|(line, _)| line),
                column: error.place.map(|(_, column)| column),
            },
        }
    }
}

impl From<EncodeError> for Failure {
    fn from(error: EncodeError) -> Self {
        let message = format!("the rows cannot be written in this format: {error}");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(Wrapped { error: self.error })).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

async fn sql(
    State(state): State<ServerState>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let ways = state.ways().ok_or_else(|| {
        let message = "SQL over HTTP is not served at an address other than loopback without server.tokens_file";
        Failure::new(StatusCode::FORBIDDEN, message)
    })?;
    authorize(ways, &headers)?;
    let (sql, format) = request(parameters, &headers, &body)?;
    let rows = ways.queries.run_sql(sql).await?;
    answer(ways, rows, format).await
}

fn authorize(ways: &WaysIn, headers: &HeaderMap) -> Result<(), Failure> {
    let Some(tokens) = &ways.tokens else {
        return Ok(());
    };
    let header = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    match header.and_then(|header| tokens.authorized(header)) {
        Some(_) => Ok(()),
        None => Err(Failure::new(
            StatusCode::UNAUTHORIZED,
            "send `Authorization: Bearer SECRET` with a secret of server.tokens_file",
        )),
    }
}

/// The statement and the format of the answer: `?format=`, else the request's own, else what is accepted, else JSON.
fn request(
    parameters: Parameters,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(String, Format), Failure> {
    let bad = |message: String| Failure::new(StatusCode::BAD_REQUEST, message);
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let is_json =
        media_type.is_some_and(|media_type| media_type.trim().starts_with("application/json"));
    let (sql, own) = if is_json {
        let request: JsonRequest = serde_json::from_slice(body)
            .map_err(|error| bad(format!("the request is not {{\"sql\": …}}: {error}")))?;
        (request.sql, request.format)
    } else {
        let text = std::str::from_utf8(body)
            .map_err(|error| bad(format!("the statement is not UTF-8: {error}")))?;
        (text.to_owned(), None)
    };
    let format = match parameters.format.or(own) {
        Some(name) => name.parse().map_err(bad)?,
        None => accepted(headers),
    };
    Ok((sql, format))
}

/// The first format that the client names as acceptable.
fn accepted(headers: &HeaderMap) -> Format {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let mut named = accept.unwrap_or_default().split(',').filter_map(|range| {
        let wanted = range.split(';').next()?.trim();
        Format::ALL.into_iter().find(|format| {
            let known = format.media_type();
            known.split(';').next() == Some(wanted)
        })
    });
    named.next().unwrap_or(Format::Json)
}

/// The answer, from the first rows on.
async fn answer(ways: &WaysIn, mut rows: Rows, format: Format) -> Result<Response, Failure> {
    let first = rows.next().await.transpose()?;
    let mut encoding = Encoding::begin(format, rows.schema())?;
    if let Some(batch) = &first {
        encoding.write(batch)?;
    }
    let (sender, chunks) = mpsc::channel(CHUNKS_WAITING_MAX);
    ways.queries.talking().spawn(async move {
        let failed = match encode(encoding, rows, &sender).await {
            Ok(()) => return,
            Err(error) => error,
        };
        tracing::debug!("an answer was broken off: {failed}");
        // Who is gone needs no word.
        let _ = sender.send(Err(failed)).await;
    });
    let media_type = HeaderValue::from_static(format.media_type());
    let body = Body::from_stream(ReceiverStream::new(chunks));
    Ok(([(header::CONTENT_TYPE, media_type)], body).into_response())
}

/// Sends what is encoded, chunk by chunk.
async fn encode(
    mut encoding: Encoding,
    mut rows: Rows,
    chunks: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone");
    loop {
        let chunk = encoding.take();
        if !chunk.is_empty() {
            chunks.send(Ok(chunk)).await.map_err(|_| gone())?;
        }
        match rows.next().await {
            Some(batch) => encoding
                .write(&batch.map_err(io::Error::other)?)
                .map_err(io::Error::other)?,
            None => break,
        }
    }
    let rest = encoding.finish().map_err(io::Error::other)?;
    chunks.send(Ok(rest)).await.map_err(|_| gone())
}

/// An encoder with what it has written and nobody has taken yet.
struct Encoding {
    encoder: Encoder<Written>,
    written: Written,
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Encoding {
    fn begin(format: Format, schema: &SchemaRef) -> Result<Self, EncodeError> {
        let written = Written::default();
        Ok(Self {
            encoder: Encoder::new(format, schema, written.clone())?,
            written,
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        self.encoder.write(batch)
    }

    fn take(&self) -> Bytes {
        let mut written = self
            .written
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *written).into()
    }

    fn finish(self) -> Result<Bytes, EncodeError> {
        let Self { encoder, written } = self;
        encoder.finish()?;
        let mut written = written.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *written).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_format_is_the_one_that_was_asked_for() {
        let named = |format: Option<&str>| Parameters {
            format: format.map(str::to_owned),
        };
        let accept = headers(&[(
            header::ACCEPT,
            "text/html, text/csv;q=0.5, application/json",
        )]);
        let of = |parameters, headers: &HeaderMap, body: &str| {
            request(parameters, headers, body.as_bytes()).map_err(|failure| failure.error.message)
        };
        let sql = || "SELECT 1".to_owned();
        assert_eq!(
            of(named(None), &HeaderMap::new(), "SELECT 1"),
            Ok((sql(), Format::Json))
        );
        assert_eq!(
            of(named(None), &accept, "SELECT 1"),
            Ok((sql(), Format::Csv))
        );
        assert_eq!(
            of(named(Some("arrow")), &accept, "SELECT 1"),
            Ok((sql(), Format::Arrow))
        );
        let json = headers(&[(header::CONTENT_TYPE, "application/json; charset=utf-8")]);
        let body = r#"{"sql": "SELECT 1", "format": "parquet"}"#;
        assert_eq!(of(named(None), &json, body), Ok((sql(), Format::Parquet)));
        assert_eq!(
            of(named(Some("ndjson")), &json, body),
            Ok((sql(), Format::Ndjson))
        );
        assert!(
            of(named(None), &json, r#"{"query": "SELECT 1"}"#)
                .unwrap_err()
                .contains("query")
        );
        assert!(
            of(named(Some("xml")), &accept, "SELECT 1")
                .unwrap_err()
                .contains("json, ndjson, csv")
        );
    }
}
