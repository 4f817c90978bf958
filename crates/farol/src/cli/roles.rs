//! Arguments of the commands that keep running.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};

/// A part of Farol that can run in a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Role {
    /// Kafka to lake
    Ingest,
    /// Lake to lake: measures
    Jobs,
    /// Measures to findings: drift and anomalies
    Detectors,
    /// Measures and findings to decisions: alerts
    Triggers,
    /// Decisions to Kafka
    Publisher,
    /// Compaction, checkpoints and vacuum
    Maintenance,
    /// The ways in: HTTP, PostgreSQL's protocol, Flight SQL
    Server,
    /// Alerts to people, by the routes of the configuration; nothing without
    Notify,
}

impl Role {
    /// Every role there is.
    pub const ALL: [Self; 8] = [
        Self::Ingest,
        Self::Jobs,
        Self::Detectors,
        Self::Triggers,
        Self::Publisher,
        Self::Maintenance,
        Self::Server,
        Self::Notify,
    ];

    /// Those that a drain brings to an end, in the order in which one feeds the next.
    pub const DRAINED: [Self; 5] = [
        Self::Ingest,
        Self::Jobs,
        Self::Detectors,
        Self::Triggers,
        Self::Publisher,
    ];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Jobs => "jobs",
            Self::Detectors => "detectors",
            Self::Triggers => "triggers",
            Self::Publisher => "publisher",
            Self::Maintenance => "maintenance",
            Self::Server => "server",
            Self::Notify => "notify",
        }
    }
}

/// Arguments of `farol up`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    farol up --demo                     a broker, tables and simulated traffic, to look around\n  \
    farol up --dir /var/lib/farol       the same without traffic, data elsewhere\n  \
    farol up --set server.http=null     without the HTTP server")]
pub struct UpArgs {
    /// Add simulated traffic, two hours of history first, then live with an incident every six minutes; and show the
    /// flow: events, freshness, measures of each service, alerts as they fire and recover
    #[arg(long)]
    pub demo: bool,
}

/// Arguments of `farol run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    farol run --roles ingest                 one of several instances that share the partitions\n  \
    farol run --drain                        read what is there, measure it, alert, end\n\n\
    --drain exits 3 where a partition is stopped by an error that a person has to look at.")]
pub struct RunArgs {
    /// Which roles to play
    #[arg(long, value_delimiter = ',', value_name = "ROLE,…", default_value = "ingest,jobs,detectors,triggers,publisher,maintenance,server,notify", value_parser = parse_role)]
    pub roles: Vec<Role>,
    /// Read every topic to its last stable offset as it stands now, measure it, close and evaluate all windows, publish, end
    #[arg(long)]
    pub drain: bool,
}

fn parse_role(name: &str) -> Result<Role, String> {
    Role::ALL
        .into_iter()
        .find(|role| role.as_str() == name)
        .ok_or_else(|| {
            let names = Role::ALL.map(Role::as_str).join(", ");
            format!("the roles are {names}")
        })
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Arguments of `farol broker`.
#[derive(Debug, Args)]
#[command(
    after_help = "Any Kafka client can use the broker: it prints its address, and writes it to \
    DIR/broker/address.json.\nIt listens on loopback unless told otherwise, and asks nobody who they are."
)]
pub struct BrokerArgs {
    /// Listen at this address [default: kafka.embedded of the configuration]
    #[arg(long, value_name = "HOST:PORT")]
    pub addr: Option<SocketAddr>,
}
