//! `farol check`: what the configuration says, before anything starts.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::CheckArgs;
use crate::config::{self, ConfigError, Loaded, Sources};
use crate::exit::Exit;
use crate::output;

/// What is to be said of one file, as `--json` prints it.
#[derive(Serialize)]
struct Checked {
    file: Option<String>,
    ok: bool,
    error: Option<String>,
    topics: Vec<String>,
    not_in_effect: Vec<String>,
}

/// Checks the named files, or the configuration that other commands would read.
pub fn run(arguments: &CheckArgs, sources: &Sources, json: bool) -> anyhow::Result<Exit> {
    let files: Vec<Option<PathBuf>> = if arguments.paths.is_empty() {
        vec![sources.file.clone()]
    } else {
        arguments.paths.iter().cloned().map(Some).collect()
    };
    let mut failed = None;
    for file in files {
        let sources = Sources {
            file: file.clone(),
            environment: sources.environment.clone(),
            arguments: sources.arguments.clone(),
        };
        match config::load(&sources) {
            Ok(loaded) => say(&loaded, json)?,
            Err(error) => {
                if json {
                    say_error(file.as_deref(), &error)?;
                }
                if let Some(earlier) = failed.replace(error) {
                    eprint!("{}", earlier.rendered());
                }
            }
        }
    }
    failed.map_or(Ok(Exit::Done), |error| Err(error.into()))
}

fn say(loaded: &Loaded, json: bool) -> anyhow::Result<()> {
    let config = &loaded.config;
    let file = loaded.file.as_ref().map(|file| file.display().to_string());
    if json {
        return output::json(&Checked {
            file,
            ok: true,
            error: None,
            topics: config
                .topics
                .iter()
                .map(|topic| topic.name.clone())
                .collect(),
            not_in_effect: loaded.not_in_effect.clone(),
        });
    }
    let name = file.as_deref().unwrap_or("no farol.yaml here: defaults");
    let brokers = config
        .kafka
        .brokers
        .as_deref()
        .unwrap_or("the embedded broker");
    let topics: Vec<String> = config
        .topics
        .iter()
        .map(|topic| format!("{} ({})", topic.name, topic.kind.as_str()))
        .collect();
    output::line(&format!("ok     {name}"))?;
    output::line(&format!("kafka  {brokers}, group {}", config.kafka.group))?;
    output::line(&format!("reads  {}", topics.join(", ")))?;
    if !loaded.not_in_effect.is_empty() {
        output::line(&format!(
            "note   configured, but not in effect in this version: {}",
            loaded.not_in_effect.join(", ")
        ))?;
    }
    Ok(())
}

fn say_error(file: Option<&std::path::Path>, error: &ConfigError) -> anyhow::Result<()> {
    output::json(&Checked {
        file: file.map(|file| file.display().to_string()),
        ok: false,
        error: Some(error.to_string()),
        topics: Vec::new(),
        not_in_effect: Vec::new(),
    })
}
