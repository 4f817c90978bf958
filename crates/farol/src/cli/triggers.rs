//! Arguments of the commands about triggers.

use clap::{Args, Subcommand};

use crate::emit::time::parse_rfc3339;

/// `farol trigger …`.
#[derive(Debug, Subcommand)]
pub enum TriggerCommand {
    /// List rules: what they look at, when they fire, how far they are
    List,
    /// Run history through a rule, and show when it would have fired; nothing is written
    Test(TriggerTestArgs),
}

/// Arguments of `farol trigger test`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    farol trigger test error-rate-high --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z\n\n\
    Every window of the range is evaluated as the measures stand now, late data included, and as if nothing had been\n\
    published before. With --json, each message as it would be published, one a line.")]
pub struct TriggerTestArgs {
    /// The rule
    pub rule: String,
    /// The first window's time, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse_rfc3339)]
    pub from: i64,
    /// The end of the last window, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse_rfc3339)]
    pub to: i64,
}
