//! Arguments of the commands about triggers.

use std::str::FromStr;

use clap::{Args, Subcommand};

use crate::config::Span;
use crate::emit::time::parse_rfc3339;
use crate::simulate::IncidentKind;

/// `farol trigger …`.
#[derive(Debug, Subcommand)]
pub enum TriggerCommand {
    /// List rules: what they look at, when they fire, how far they are
    List,
    /// Run history through a rule, and show when it would have fired; nothing is written
    Test(TriggerTestArgs),
    /// Print the runbook of a rule that is part of Farol: how to look, what it usually is, what to do
    Runbook {
        /// The rule
        rule: String,
    },
}

/// Arguments of `farol trigger test`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    farol trigger test error-rate-high --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z\n\n\
    farol trigger test error-rate-high --simulate error_burst --runs 20\n\n\
    Every window of the range is evaluated as the measures stand now, late data included, and as if nothing had been\n\
    published before. With --json, each message as it would be published, one a line.\n\n\
    With --simulate, each run is a history of its own, with a lake and a broker of its own in a temporary directory: some\n\
    hours of calm, one incident, calm. What is printed is the share of incidents that the rule found, how long after their\n\
    begin the window that told it ended, and which share of its alerts was right. `farol simulate --help` tells the kinds.")]
pub struct TriggerTestArgs {
    /// The rule
    pub rule: String,
    /// The first window's time, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse_rfc3339, requires = "to", conflicts_with = "simulate")]
    pub from: Option<i64>,
    /// The end of the last window, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse_rfc3339, requires = "from", conflicts_with = "simulate")]
    pub to: Option<i64>,
    /// Try the rule on simulated incidents of this kind
    #[arg(long, value_name = "KIND", value_parser = IncidentKind::from_str)]
    pub simulate: Option<IncidentKind>,
    /// How many incidents, each with a seed of its own
    #[arg(long, value_name = "N", default_value_t = 10, requires = "simulate", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub runs: u64,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 0, requires = "simulate")]
    pub seed: u64,
    /// Events a second of the simulated traffic, on the mean of a day
    #[arg(long, value_name = "N", default_value_t = 10.0, requires = "simulate")]
    pub rate: f64,
    /// How long incidents last: once, twice or three times this [default: 10m, or what the rule's windows and `for` take]
    #[arg(long, value_name = "DURATION", requires = "simulate")]
    pub lasts: Option<Span>,
}
