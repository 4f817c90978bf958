//! Arguments of the commands about delivery.

use clap::{Args, Subcommand};

/// `farol notify …`.
#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// List routes and their receivers: how far they are, what is open, what is on its way
    List,
    /// Send a test notification to a receiver; it says that it is one
    Test {
        /// The receiver, by its name in the configuration
        receiver: String,
    },
    /// Look at notifications that were refused or given up
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Send dead letters again, each once; exits 3 when some are still refused
    Replay(NotifyReplayArgs),
}

/// `farol notify dead-letters …`.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List those that no replay has delivered, the oldest first
    List,
    /// Show one whole
    Show {
        /// Its id
        id: String,
    },
}

/// Arguments of `farol notify replay`.
#[derive(Debug, Args)]
#[command(
    after_help = "They go where the route leads now, under their own ids, so that a receiver can drop what it has \
    seen.\nWithout --route and --id, all of them."
)]
pub struct NotifyReplayArgs {
    /// Only those of a route
    #[arg(long)]
    pub route: Option<String>,
    /// Only this one
    #[arg(long)]
    pub id: Option<String>,
}
