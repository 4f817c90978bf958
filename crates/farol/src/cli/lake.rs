//! Arguments of the commands that look after topics, tables and dead letters.

use std::str::FromStr;

use clap::{Args, Subcommand};

use crate::config::Span;

/// `farol topics …`.
#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Create the input and output topics; those that are there are left alone and reported
    Create,
}

/// `farol lake …`.
#[derive(Debug, Subcommand)]
pub enum LakeCommand {
    /// List the tables with their rows, files and bytes
    Tables,
    /// Merge small files into large sorted ones
    Compact {
        /// Tables to compact [default: all]
        tables: Vec<String>,
    },
    /// Delete files that no version of a table needs any more
    Vacuum {
        /// Tables to vacuum [default: all]
        tables: Vec<String>,
        /// Only files older than this [default: maintenance.vacuum_after]
        #[arg(long, value_name = "DURATION")]
        older_than: Option<Span>,
        /// Only say what would be deleted
        #[arg(long)]
        dry_run: bool,
        /// Allow --older-than below 24h: a query or a writer at work may lose its files
        #[arg(long)]
        unsafe_age: bool,
    },
    /// Recount what the marks claim; exits 3 where a claim does not hold
    Verify,
    /// Move where ingest resumes
    #[command(
        name = "reset-offsets",
        after_help = "Examples:\n  \
        farol lake reset-offsets --topic llm.traces --to latest\n  \
        farol lake reset-offsets --topic llm.traces --partition 2 --to 1500\n\n\
        Going back stores what is read again once more, and `lake verify` will find it there twice: it is for a\n\
        log that is another one under the old name. Going forward leaves records out, counted as lost."
    )]
    ResetOffsets {
        /// The topic
        #[arg(long)]
        topic: String,
        /// One partition [default: all]
        #[arg(long)]
        partition: Option<i32>,
        /// Where to: earliest, latest or an offset
        #[arg(long, value_name = "earliest|latest|OFFSET")]
        to: ResetTo,
    },
}

/// Where `lake reset-offsets` moves to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetTo {
    /// The oldest record there is.
    Earliest,
    /// Past the newest record.
    Latest,
    /// An offset.
    Offset(i64),
}

impl FromStr for ResetTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            _ => match text.parse() {
                Ok(offset) if offset >= 0 => Ok(Self::Offset(offset)),
                _ => Err("expected earliest, latest or an offset".to_owned()),
            },
        }
    }
}

/// Which dead letters.
#[derive(Debug, Clone, Default, Args)]
pub struct DlqFilter {
    /// Only of this topic
    #[arg(long)]
    pub topic: Option<String>,
    /// Only with this reason code, such as `invalid_json`
    #[arg(long, value_name = "CODE")]
    pub reason_code: Option<String>,
    /// So many at the most
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// `farol dlq …`.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// List dead letters that no replay has stored, newest first
    List {
        /// Which.
        #[command(flatten)]
        filter: DlqFilter,
    },
    /// Show one dead letter whole: reason, headers, and the record's bytes
    Show {
        /// The topic
        topic: String,
        /// The partition
        partition: i32,
        /// The offset
        offset: i64,
    },
    /// Decode dead letters again and store those that are good now; exits 3 when some are still bad
    Replay {
        /// Which.
        #[command(flatten)]
        filter: DlqFilter,
    },
}
