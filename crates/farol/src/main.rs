//! The command line of Farol.
//!
//! A command line is read once ([`cli`]), the configuration is put together ([`config`]), and both
//! become a [`context::Context`] that a command works with: the `commands`, and [`emit`] and
//! [`simulate`], which make traffic. What a command returns becomes the exit code here ([`exit`]).
//! Results go to standard output, everything else to standard error.

mod allocator;
mod cli;
mod commands;
mod config;
mod context;
mod emit;
mod exit;
mod failpoints;
mod flow;
mod logging;
mod output;
mod progress;
mod screen;
mod signals;
mod simulate;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use context::Context;
use exit::Exit;

fn main() -> ExitCode {
    allocator::bound_arenas();
    let cli = Cli::parse();
    logging::start(cli.global.quiet, cli.global.verbose);
    match run(cli) {
        Ok(exit) => exit.into(),
        // Whoever read our output has had enough (`farol sql … | head`).
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(exit::code_of(&error))
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    if let Command::Completions(arguments) = &cli.command {
        return commands::completions::run(arguments);
    }
    failpoints::set_up()?;
    let sources = config::Sources {
        file: cli.global.config.clone(),
        environment: config::environment(),
        arguments: cli.global.set.clone(),
    };
    // `check` reports on files by itself, and must not stumble over one of them first.
    if let Command::Check(arguments) = &cli.command {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        return runtime.block_on(commands::check::run(
            arguments,
            &sources,
            &cli.global.dir,
            cli.global.json,
        ));
    }
    let loaded = config::load(&sources)?;
    let context = Context {
        config: loaded.config,
        dir: cli.global.dir,
        json: cli.global.json,
        quiet: cli.global.quiet,
        not_in_effect: loaded.not_in_effect,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(dispatch(context, cli.command));
    // A blocking read of the terminal, say, is not worth waiting for.
    runtime.shutdown_background();
    outcome
}

async fn dispatch(context: Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Up(arguments) => commands::up::run(context, arguments).await,
        Command::Run(arguments) => commands::run::run(&context, &arguments).await,
        Command::Broker(arguments) => commands::broker::run(&context, &arguments).await,
        Command::Topics(cli::TopicsCommand::Create) => commands::topics::create(&context).await,
        Command::Emit(arguments) => emit::run(&context, arguments).await,
        Command::Simulate(arguments) => simulate::run(&context, arguments).await,
        Command::Sql(arguments) => commands::sql::run(&context, &arguments).await,
        Command::Docs(arguments) => commands::docs::run(&context, &arguments).await,
        Command::Status => commands::status::run(&context).await,
        Command::Job(command) => commands::job::run(&context, command).await,
        Command::Detect(command) => commands::detect::run(&context, command).await,
        Command::Trigger(command) => commands::trigger::run(&context, command).await,
        Command::Alert(command) => commands::alert::run(&context, command).await,
        Command::Silence(command) => commands::silence::run(&context, command).await,
        Command::Budget(command) => commands::budget::run(&context, command).await,
        Command::Notify(command) => commands::notify::run(&context, command).await,
        Command::Lake(command) => commands::lake::run(&context, command).await,
        Command::Dlq(command) => commands::dlq::run(&context, command).await,
        Command::Tail(arguments) => commands::tail::run(&context, &arguments).await,
        Command::Check(_) | Command::Completions(_) => Ok(Exit::Done),
    }
}

/// Prints an error for a person. A mistake in the configuration is shown in its place.
fn report(error: &anyhow::Error) {
    match error.downcast_ref::<config::ConfigError>() {
        Some(mistake) => eprint!("{}", mistake.rendered()),
        None => eprintln!("farol: {}", exit::told(error)),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
