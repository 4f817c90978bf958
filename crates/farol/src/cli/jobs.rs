//! Arguments of the commands about jobs.

use clap::{Args, Subcommand};

use crate::emit::time::parse_rfc3339;

/// `farol job …`.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// List jobs: what they read, how far they are, what they measure
    List,
    /// Compute windows of the past again, in place of what is there
    Run(JobRunArgs),
    /// Compute all of a job anew, after its definition was changed
    Recompute(JobRecomputeArgs),
    /// Say what a job does: what it reads, its plan, partials, measures and SQL, and what it costs over the newest rows
    Explain {
        /// The job
        name: String,
    },
    /// Print the two files of a job
    Show {
        /// The job
        name: String,
    },
    /// Write the two files of a new job, to be changed
    New(JobNewArgs),
}

/// Arguments of `farol job new`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    farol job new answers                            a small job that works\n  \
    farol job new by_tenant --from performance       a copy of a job under another name\n  \
    farol job new spend --from spend                 a shipped job, to be changed: it replaces the shipped one")]
pub struct JobNewArgs {
    /// Its name
    pub name: String,
    /// Begin with a copy of this job's files
    #[arg(long, value_name = "JOB")]
    pub from: Option<String>,
}

/// Arguments of `farol job recompute`.
#[derive(Debug, Args)]
#[command(
    after_help = "A job whose SQL, windows, segments or partials were changed is stopped, so that old and new are not mixed; `farol\n\
    job list` says which. This computes all of its partials anew from one version of its input, beside the old ones,\n\
    and puts them in their place in one commit. Stopped or killed, the same command goes on where it was. Windows\n\
    whose raw rows are gone are lost; it says which, before it begins."
)]
pub struct JobRecomputeArgs {
    /// The job
    pub name: String,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Arguments of `farol job run`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    farol job run performance --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z\n\n\
    The range is widened to whole windows. It is done in pieces, a commit each, beside a running job; when it is\n\
    stopped, the same command goes on where it was. Windows whose raw rows are gone must not be computed again:\n\
    they would lose what is known of them.")]
pub struct JobRunArgs {
    /// The job
    pub name: String,
    /// The first window's time, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse_rfc3339)]
    pub from: i64,
    /// The time that the last window ends at or contains, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse_rfc3339)]
    pub to: i64,
}
