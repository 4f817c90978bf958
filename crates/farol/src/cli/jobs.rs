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
    /// Say what a job does: its windows, segments, partials, measures and SQL
    Explain {
        /// The job
        name: String,
    },
    /// Write the two files of a new job, to be changed
    New {
        /// Its name
        name: String,
    },
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
