//! Views over the measures of jobs that are part of Farol: what is asked of them most, with a plain name.
//!
//! A view is there while its job is: whoever puts a job of their own in its place may have other measures.

use farol_lake::sql::views::View;

use crate::definition::{Files, Jobs};

/// A view over a job.
#[derive(Debug, Clone, Copy)]
pub struct OverJob {
    /// The job that it asks.
    pub job: &'static str,
    /// The view.
    pub view: View,
}

/// Every view over a job.
pub const OVER_JOBS: [OverJob; 3] = [
    OverJob {
        job: "spend",
        view: View {
            name: "budget_status",
            text: include_str!("../../../../pipelines/views/budget_status.sql"),
        },
    },
    OverJob {
        job: "spend",
        view: View {
            name: "daily_spend",
            text: include_str!("../../../../pipelines/views/daily_spend.sql"),
        },
    },
    OverJob {
        job: "steps",
        view: View {
            name: "step_shares",
            text: include_str!("../../../../pipelines/views/step_shares.sql"),
        },
    },
];

/// Those whose jobs are in effect as they are shipped.
pub fn over_jobs(jobs: &Jobs) -> impl Iterator<Item = OverJob> {
    OVER_JOBS.into_iter().filter(|over| {
        let job = jobs.get(over.job);
        job.is_some_and(|job| *job.files() == Files::Shipped)
    })
}
