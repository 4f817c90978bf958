//! The command line as it is typed. Each command's arguments are a struct here and its work a module
//! of its own; nothing below reads the command line again.

mod alerts;
mod budgets;
mod detectors;
mod jobs;
mod lake;
mod notify;
mod read;
mod roles;
mod triggers;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::emit::EmitArgs;
use crate::simulate::SimulateArgs;

pub use alerts::{AlertCommand, AlertSayArgs, SilenceAddArgs, SilenceCommand, SilenceExpireArgs};
pub use budgets::{BudgetCommand, BudgetForecastArgs, BudgetShowArgs};
pub use detectors::{DetectCommand, DetectExplainArgs, DetectRunArgs};
pub use jobs::{JobCommand, JobNewArgs, JobRecomputeArgs, JobRunArgs};
pub use lake::{DlqCommand, DlqFilter, LakeCommand, ResetTo, TopicsCommand};
pub use notify::{DeadLettersCommand, NotifyCommand, NotifyReplayArgs};
pub use read::{
    CheckArgs, CompletionsArgs, DocsArgs, DocsFormat, SqlArgs, SqlFormat, TailArgs, TailFrom,
};
pub use roles::{BrokerArgs, Role, RunArgs, UpArgs};
pub use triggers::{TriggerCommand, TriggerTestArgs};

/// The operations pipeline for LLM applications: events in from Kafka, tables out, exactly once.
#[derive(Debug, Parser)]
#[command(
    name = "farol",
    version,
    propagate_version = true,
    max_term_width = 110,
    after_help = "Exit codes: 0 done; 1 failed; 2 usage or configuration; 3 done, but degraded.\n\n\
                  To look around: `farol up --demo` in one terminal, `farol sql` in another."
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The configuration file [default: ./farol.yaml if there is one]
    #[arg(long, short = 'c', value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Where the lake and the embedded broker live; commands given the same DIR find both
    #[arg(
        long,
        value_name = "DIR",
        global = true,
        default_value = "./farol-data",
        hide_default_value = false
    )]
    pub dir: PathBuf,
    /// Set one key of the configuration, such as ingest.flush_interval=300ms; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    pub set: Vec<String>,
    /// Machine-readable output: one object, or one a line
    #[arg(long, global = true)]
    pub json: bool,
    /// Only errors on standard error
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on standard error; twice for still more
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in one process, with an embedded broker unless brokers are configured
    Up(UpArgs),
    /// Run named roles, against the configured brokers or the embedded one
    Run(RunArgs),
    /// Run only the embedded broker
    Broker(BrokerArgs),
    /// Create the topics of the configuration
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// Send events from files to Kafka
    Emit(EmitArgs),
    /// Make realistic synthetic traffic
    Simulate(SimulateArgs),
    /// Ask the tables in SQL: one query, a file, or a prompt
    Sql(SqlArgs),
    /// Print the data dictionary: what tables, views, jobs, functions and rules mean
    Docs(DocsArgs),
    /// Say how far each input partition is read, what became of it, and how far jobs, triggers and publisher are
    Status,
    /// Check the configuration, and pipelines, before anything starts
    Check(CheckArgs),
    /// Look at jobs, which keep measures; run them over the past; begin one of your own
    #[command(subcommand)]
    Job(JobCommand),
    /// Look at detectors, which find what changed; run them over the past; see one finding in full
    #[command(subcommand)]
    Detect(DetectCommand),
    /// Look at rules, which turn measures into alerts; see when one would have fired
    #[command(subcommand)]
    Trigger(TriggerCommand),
    /// Look at alerts: what fires, the story of one; acknowledge or resolve it
    #[command(subcommand)]
    Alert(AlertCommand),
    /// Mute alerts for a time, such as while something is maintained
    #[command(subcommand)]
    Silence(SilenceCommand),
    /// Look at budgets: what is spent, by whom, and when a limit will be
    #[command(subcommand)]
    Budget(BudgetCommand),
    /// Look at who is told of alerts; test a receiver; send again what reached nobody
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// Look after the tables
    #[command(subcommand)]
    Lake(LakeCommand),
    /// Look at records that could not become rows, and try them again
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Print a topic's records as they arrive
    Tail(TailArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_says_what_it_is_for() {
        fn visit(command: &clap::Command) {
            assert!(
                command.get_about().is_some(),
                "{} has no help",
                command.get_name()
            );
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {} has no help",
                    command.get_name(),
                    argument.get_id()
                );
            }
            command.get_subcommands().for_each(visit);
        }
        visit(&Cli::command());
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let cli = Cli::try_parse_from([
            "farol", "sql", "SELECT 1", "--format", "json", "--config", "f.yaml", "--set", "a=b",
            "--dir", "d",
        ])
        .unwrap();
        assert_eq!(cli.global.config, Some(PathBuf::from("f.yaml")));
        assert_eq!(cli.global.dir, PathBuf::from("d"));
        assert_eq!(cli.global.set, ["a=b"]);
        let Command::Sql(sql) = cli.command else {
            panic!("not sql")
        };
        assert_eq!(sql.query.as_deref(), Some("SELECT 1"));
        assert_eq!(sql.format, Some(SqlFormat::Json));
    }

    #[test]
    fn roles_are_a_list() {
        let roles = |arguments: &[&str]| {
            let cli = Cli::try_parse_from([&["farol", "run"], arguments].concat())
                .map_err(|error| error.to_string())?;
            let Command::Run(run) = cli.command else {
                panic!("not run")
            };
            Ok::<_, String>(run.roles)
        };
        assert_eq!(
            roles(&["--roles", "ingest,server", "--drain"]).unwrap(),
            [Role::Ingest, Role::Server]
        );
        assert_eq!(roles(&[]).unwrap(), Role::ALL);
        let error = roles(&["--roles", "detector"]).unwrap_err();
        assert!(
            error.contains("ingest, jobs, detectors, triggers, publisher, maintenance, server"),
            "{error}"
        );
    }
}
