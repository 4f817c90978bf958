//! The views with plain names: questions that everybody asks, over the raw tables.
//!
//! ```text
//! pipelines/views/NAME.sql ── header: what it and its columns mean ──▶ dictionary
//!                          └─ SQL ──▶ planned anew whenever the session moves to newer tables
//! ```
//!
//! A view is a query and stores nothing. It is written so that a filter on a trace, a session or a time reaches the
//! scans below it. What only a model call counts (tokens, cost) is told by `calls_model(operation)`, and feedback is
//! taken from the table `feedback_joined`, so that each rule is written once.

mod header;

use datafusion::common::Result;
use datafusion::prelude::SessionContext;

pub use header::{Header, HeaderColumn};

/// A view that is part of Farol.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Its name in SQL.
    pub name: &'static str,
    /// Its file: a header of comments, and the query.
    pub text: &'static str,
}

/// Every view, those that others build on first.
pub const VIEWS: [View; 7] = [
    View {
        name: "sessions",
        text: include_str!("../../../../../pipelines/views/sessions.sql"),
    },
    View {
        name: "conversations",
        text: include_str!("../../../../../pipelines/views/conversations.sql"),
    },
    View {
        name: "prompt_versions",
        text: include_str!("../../../../../pipelines/views/prompt_versions.sql"),
    },
    View {
        name: "models",
        text: include_str!("../../../../../pipelines/views/models.sql"),
    },
    View {
        name: "slow_traces",
        text: include_str!("../../../../../pipelines/views/slow_traces.sql"),
    },
    View {
        name: "failed_traces",
        text: include_str!("../../../../../pipelines/views/failed_traces.sql"),
    },
    View {
        name: "trace_tree",
        text: include_str!("../../../../../pipelines/views/trace_tree.sql"),
    },
];

impl View {
    /// Makes the view known to a session, or known anew over its present tables.
    ///
    /// # Errors
    /// Where the session does not know what the view asks for.
    pub async fn register(&self, context: &SessionContext) -> Result<()> {
        let sql = format!("CREATE OR REPLACE VIEW {} AS\n{}", self.name, self.text);
        context.sql(&sql).await?;
        Ok(())
    }
}

/// Makes all of them known.
pub(super) async fn register(context: &SessionContext) -> Result<()> {
    for view in VIEWS {
        view.register(context).await?;
    }
    Ok(())
}
