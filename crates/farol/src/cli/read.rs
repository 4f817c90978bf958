//! Arguments of the commands that look at what is there.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `farol sql`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    farol sql                                              a prompt\n  \
    farol sql \"SELECT service, count(*) FROM traces GROUP BY 1\"\n  \
    farol sql -f report.sql --format csv -o report.csv\n  \
    farol sql \"SELECT * FROM traces\" --format parquet -o traces.parquet\n\n\
    The tables are traces, feedback, costs, evaluations, dead_letters; the view dead_letters_open\n\
    leaves out what a replay has stored. Each job is a view (performance, spend); measures('performance', '1 hour',\n\
    'service') is the same at another grain, series every measure in long form. Other views are sessions, conversations,\n\
    prompt_versions, models, slow_traces, failed_traces, trace_tree, daily_spend, budget_status and step_shares; `farol docs`\n\
    says what columns mean.\n\
    An ordinary query reads what is committed when it starts.")]
pub struct SqlArgs {
    /// One query; without it and without -f, a prompt
    pub query: Option<String>,
    /// Read queries from a file, separated by semicolons; `-` is standard input
    #[arg(long, short, value_name = "FILE", conflicts_with = "query")]
    pub file: Option<PathBuf>,
    /// How to print the rows [default: table; json with --json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<SqlFormat>,
    /// Write the rows to a file
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SqlFormat {
    /// Columns lined up, for people
    Table,
    /// Comma-separated, with a header
    Csv,
    /// One JSON array
    Json,
    /// One JSON object a line
    Ndjson,
    /// A Parquet file (needs -o)
    Parquet,
}

/// Arguments of `farol docs`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    farol docs traces                 the columns of a table\n  \
    farol docs performance sessions   a job with its measures, and a view\n  \
    farol docs > dictionary.md        all of it\n\n\
    It is made from the definitions, your own jobs and rules among them. SQL finds the columns in the table\n\
    data_dictionary.")]
pub struct DocsArgs {
    /// Tables, views, jobs, functions or rules [default: all]
    pub names: Vec<String>,
    /// How to print it [default: markdown; json with --json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<DocsFormat>,
}

/// How the data dictionary is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DocsFormat {
    /// For people
    Markdown,
    /// One JSON object
    Json,
}

/// Arguments of `farol check`.
#[derive(Debug, Args)]
#[command(after_help = "Without PATH the configuration that other commands would read is checked.")]
pub struct CheckArgs {
    /// Configuration files to check
    pub paths: Vec<PathBuf>,
}

/// Arguments of `farol tail`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    farol tail llm.traces                       what arrives from now on\n  \
    farol tail llm.traces --from earliest -n 5  the first five\n\n\
    With --json each record is an object with topic, partition, offset, timestamp, key, headers and value.")]
pub struct TailArgs {
    /// The topic
    pub topic: String,
    /// Where to begin in each partition
    #[arg(long, value_enum, default_value_t = TailFrom::Latest)]
    pub from: TailFrom,
    /// End after so many records
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<u64>,
}

/// Where to begin reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TailFrom {
    /// With the oldest record
    Earliest,
    /// With what arrives from now on
    Latest,
}

/// Arguments of `farol completions`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  source <(farol completions bash)")]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}
