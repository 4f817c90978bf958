//! `farol check`: what the configuration says, before anything starts.

use std::path::PathBuf;

use farol_jobs::Jobs;
use farol_triggers::Rules;
use serde::Serialize;

use crate::cli::CheckArgs;
use crate::commands::roles::ways_in_files;
use crate::config::{self, Loaded, Sources};
use crate::context::{load_jobs, load_rules};
use crate::exit::{Exit, usage};
use crate::output;

/// What is to be said of one file, as `--json` prints it.
#[derive(Serialize)]
struct Checked {
    file: Option<String>,
    ok: bool,
    error: Option<String>,
    topics: Vec<String>,
    jobs: Vec<String>,
    triggers: Vec<String>,
    not_in_effect: Vec<String>,
}

/// Checks the named files, or the configuration that other commands would read.
pub async fn run(arguments: &CheckArgs, sources: &Sources, json: bool) -> anyhow::Result<Exit> {
    let files: Vec<Option<PathBuf>> = if arguments.paths.is_empty() {
        vec![sources.file.clone()]
    } else {
        arguments.paths.iter().cloned().map(Some).collect()
    };
    let mut failed = None;
    let mut failed_jobs = false;
    for file in files {
        let sources = Sources {
            file: file.clone(),
            environment: sources.environment.clone(),
            arguments: sources.arguments.clone(),
        };
        match config::load(&sources) {
            Ok(loaded) => match pipelines(&loaded).await {
                Ok((jobs, rules)) => say(&loaded, &jobs, &rules, json)?,
                Err(error) => {
                    if json {
                        say_error(file.as_deref(), &error)?;
                    }
                    eprintln!("{error}");
                    failed_jobs = true;
                }
            },
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
    match failed {
        Some(error) => Err(error.into()),
        None if failed_jobs => Err(usage("the pipelines have mistakes; see above")),
        None => Ok(Exit::Done),
    }
}

/// Everything that a configuration puts into effect.
async fn pipelines(loaded: &Loaded) -> anyhow::Result<(Jobs, Rules)> {
    ways_in_files(&loaded.config.server).map_err(usage)?;
    let jobs = load_jobs(&loaded.config).await?;
    let rules = load_rules(&loaded.config, &jobs)?;
    Ok((jobs, rules))
}

fn say(loaded: &Loaded, jobs: &Jobs, rules: &Rules, json: bool) -> anyhow::Result<()> {
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
            jobs: jobs.names(),
            triggers: rules.names(),
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
    output::line(&format!("jobs   {}", jobs.names().join(", ")))?;
    output::line(&format!("rules  {}", rules.names().join(", ")))?;
    if !loaded.not_in_effect.is_empty() {
        output::line(&format!(
            "note   configured, but not in effect in this version: {}",
            loaded.not_in_effect.join(", ")
        ))?;
    }
    Ok(())
}

fn say_error(file: Option<&std::path::Path>, error: &impl std::fmt::Display) -> anyhow::Result<()> {
    output::json(&Checked {
        file: file.map(|file| file.display().to_string()),
        ok: false,
        error: Some(error.to_string()),
        topics: Vec::new(),
        jobs: Vec::new(),
        triggers: Vec::new(),
        not_in_effect: Vec::new(),
    })
}
