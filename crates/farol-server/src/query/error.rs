//! Why a query failed, in the words and codes of each way in.

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use farol_jobs::JobError;
use farol_lake::LakeError;

/// What kind of failure it is: each way in has its own code for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The text is not SQL.
    Syntax,
    /// The text is longer than is read.
    TooLong,
    /// A table is not there.
    NoTable,
    /// A column is not there.
    NoColumn,
    /// The statement means nothing here.
    Meaning,
    /// The statement would change something.
    ReadOnly,
    /// A value cannot be computed with.
    Value,
    /// It is SQL that is not supported.
    Unsupported,
    /// All places for queries stayed taken.
    Busy,
    /// It took longer than it may.
    TimedOut,
    /// Whoever asked does not read the answer.
    NotRead,
    /// Who asked took it back.
    Cancelled,
    /// It needs more memory than it may have, and cannot spill.
    Memory,
    /// It spills more than it may.
    Disk,
    /// Farol or its store failed.
    Internal,
}

/// Why a query failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    pub(crate) kind: Kind,
    message: String,
    /// Line and column in the text, both counted from 1, where they are known.
    pub(crate) place: Option<(u64, u64)>,
}

impl QueryError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            place: None,
        }
    }

    /// The code that PostgreSQL has for it (its appendix A, "Error Codes").
    pub(crate) fn sqlstate(&self) -> &'static str {
        match self.kind {
            Kind::Syntax => "42601",
            Kind::TooLong => "54000",
            Kind::NoTable => "42P01",
            Kind::NoColumn => "42703",
            Kind::Meaning => "42000",
            Kind::ReadOnly => "25006",
            Kind::Value => "22000",
            Kind::Unsupported => "0A000",
            Kind::Busy => "53300",
            Kind::TimedOut | Kind::Cancelled | Kind::NotRead => "57014",
            Kind::Memory => "53200",
            Kind::Disk => "53100",
            Kind::Internal => "XX000",
        }
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        let root = error.find_root();
        let kind = kind_of(root);
        let text = match root {
            DataFusionError::SQL(parser, _) => parser.to_string(),
            DataFusionError::Plan(text)
            | DataFusionError::Execution(text)
            | DataFusionError::ResourcesExhausted(text)
            | DataFusionError::NotImplemented(text) => text.clone(),
            DataFusionError::ArrowError(arrow, _) => arrow.to_string(),
            other => other.strip_backtrace(),
        };
        // The library's advice is about its own settings.
        let message = match kind {
            Kind::Disk => format!("the query spills more to disk than server.query.spill: {text}"),
            Kind::Memory => format!("the query needs more memory than server.query.memory: {text}"),
            _ => text,
        };
        let place = match kind {
            Kind::Syntax => place_in(&message),
            _ => None,
        };
        Self {
            kind,
            message,
            place,
        }
    }
}

impl From<LakeError> for QueryError {
    fn from(error: LakeError) -> Self {
        match error {
            LakeError::Query(error) => error.into(),
            other => Self::new(Kind::Internal, other.to_string()),
        }
    }
}

impl From<JobError> for QueryError {
    fn from(error: JobError) -> Self {
        Self::new(Kind::Internal, format!("the views of jobs: {error}"))
    }
}

impl From<ArrowError> for QueryError {
    fn from(error: ArrowError) -> Self {
        Self::new(Kind::Internal, error.to_string())
    }
}

fn kind_of(root: &DataFusionError) -> Kind {
    match root {
        DataFusionError::SQL(..) => Kind::Syntax,
        DataFusionError::SchemaError(error, _) => match error.as_ref() {
            SchemaError::FieldNotFound { .. } => Kind::NoColumn,
            _ => Kind::Meaning,
        },
        DataFusionError::Plan(text)
            if text.starts_with("table '") && text.contains("not found") =>
        {
            Kind::NoTable
        }
        DataFusionError::Plan(text) if is_refusal(text) => Kind::ReadOnly,
        DataFusionError::Plan(_) | DataFusionError::Configuration(_) => Kind::Meaning,
        DataFusionError::NotImplemented(_) => Kind::Unsupported,
        DataFusionError::ResourcesExhausted(text) if text.contains("disk space") => Kind::Disk,
        DataFusionError::ResourcesExhausted(_) => Kind::Memory,
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::DivideByZero
            | ArrowError::CastError(_)
            | ArrowError::ParseError(_)
            | ArrowError::ComputeError(_)
            | ArrowError::ArithmeticOverflow(_) => Kind::Value,
            // What is spilled is written through the library's files, whose errors are those of files.
            ArrowError::IoError(text, _) if text.contains("disk space") => Kind::Disk,
            _ => Kind::Internal,
        },
        DataFusionError::Execution(_) => Kind::Value,
        DataFusionError::External(error) => match error.downcast_ref::<QueryError>() {
            Some(error) => error.kind,
            None => Kind::Internal,
        },
        _ => Kind::Internal,
    }
}

/// What `SQLOptions::verify_plan` says of a statement that is not for reading.
fn is_refusal(text: &str) -> bool {
    [
        "DDL not supported",
        "DML not supported",
        "Statement not supported",
    ]
    .iter()
    .any(|beginning| text.starts_with(beginning))
}

/// The place that the parser names at the end of its message: `… at Line: 1, Column: 8`.
fn place_in(message: &str) -> Option<(u64, u64)> {
    let (_, place) = message.rsplit_once("Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    let digits = |text: &str| -> Option<u64> {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        text[..end].parse().ok()
    };
    Some((digits(line)?, digits(column)?))
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn failure(sql: &str) -> QueryError {
        let context = SessionContext::new();
        let failed = async { context.sql(sql).await?.collect().await };
        failed.await.expect_err(sql).into()
    }

    #[tokio::test]
    async fn failures_have_the_codes_that_clients_know() {
        for (sql, kind, sqlstate) in [
            ("SELEC 1", Kind::Syntax, "42601"),
            ("SELECT * FROM nothing", Kind::NoTable, "42P01"),
            (
                "SELECT nothing FROM (SELECT 1 AS a)",
                Kind::NoColumn,
                "42703",
            ),
            ("SELECT nothing(1)", Kind::Meaning, "42000"),
            ("SELECT 1 / 0", Kind::Value, "22000"),
            ("SELECT CAST('x' AS INT)", Kind::Value, "22000"),
        ] {
            let error = failure(sql).await;
            assert_eq!(
                (error.kind, error.sqlstate()),
                (kind, sqlstate),
                "{sql}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn a_mistake_in_the_text_has_its_place() {
        let error = failure("SELECT 1 +\n  )").await;
        assert_eq!(error.place.map(|(line, _)| line), Some(2), "{error}");
        assert_eq!(place_in("no place"), None);
    }
}
