//! Arguments of the commands about detectors.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::emit::time::parse_rfc3339;

/// `farol detect …`.
#[derive(Debug, Subcommand)]
pub enum DetectCommand {
    /// List detectors: what they look at, how often they may be wrong, how far they are
    List,
    /// Run history through detectors, and show what they would have found; nothing is written
    Run(DetectRunArgs),
    /// Show a finding in full: its numbers, the series around it, the segments that explain it, traces, SQL
    Explain(DetectExplainArgs),
}

/// Arguments of `farol detect run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    farol detect run --from 2026-01-08T00:00:00Z --to 2026-01-09T00:00:00Z\n  \
    farol detect run measure-anomalies --from 2026-01-08T00:00:00Z --to 2026-01-09T00:00:00Z --json\n\n\
    Detectors begin with nothing and learn from up to four weeks before the range. Every window is judged as the measures\n\
    stand now, late data included. With --json, each finding as it would be in the table, one a line.")]
pub struct DetectRunArgs {
    /// The detector [default: all]
    pub detector: Option<String>,
    /// The first window's time, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse_rfc3339)]
    pub from: i64,
    /// The end of the last window, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse_rfc3339)]
    pub to: i64,
}

/// Arguments of `farol detect explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    farol sql \"SELECT finding_id, measure, segment, since FROM findings WHERE state = 'open'\"\n  \
    farol detect explain 3f2a\n  \
    farol detect explain 3f2a --plot finding.svg")]
pub struct DetectExplainArgs {
    /// The finding's id, or the beginning of it
    pub finding: String,
    /// Draw the series with what was expected and the alarm, of drift both distributions, as SVG
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
}
