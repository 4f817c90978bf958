//! `farol check`: what the configuration says, before anything starts; and what has changed since the lake's partials were
//! computed, where there is a lake.

mod replayed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use farol_detectors::{DetectorError, Detectors};
use farol_jobs::changed::Changed;
use farol_jobs::{DefinitionError, JobError, Jobs, progress, warnings};
use farol_lake::Lake;
use farol_triggers::{Rules, TriggerError};
use serde::Serialize;

use crate::cli::CheckArgs;
use crate::commands::roles::ways_in_files;
use crate::config::{self, Loaded, Sources};
use crate::context::{job_sources, lake_uri, load_detectors, load_jobs, load_rules};
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
    detectors: Vec<String>,
    triggers: Vec<String>,
    budgets: Vec<String>,
    not_in_effect: Vec<String>,
    mistakes: Vec<Mistake>,
    warnings: Vec<String>,
    changed: BTreeMap<String, Changed>,
}

/// A mistake in a file of a job, detector or rule. Line and column are null where it is in no single place.
#[derive(Serialize)]
struct Mistake {
    file: String,
    line: Option<u64>,
    column: Option<u64>,
    message: String,
    help: Option<String>,
}

/// What is said beside what is configured.
#[derive(Default)]
struct Remarks {
    warnings: Vec<String>,
    /// Of rules: those that never fire, and those that would have fired nearly always.
    rules: Vec<String>,
    /// The jobs whose partials in the lake are of another definition.
    changed: BTreeMap<String, Changed>,
}

/// How long the lake may take to answer: what is checked are files.
const LAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Checks the named files, or the configuration that other commands would read.
pub async fn run(
    arguments: &CheckArgs,
    sources: &Sources,
    dir: &Path,
    json: bool,
) -> anyhow::Result<Exit> {
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
                Ok(pipelines) => {
                    let remarks = remarks(&loaded, &pipelines, dir).await?;
                    say(&loaded, &pipelines, remarks, json)?;
                }
                Err(error) => {
                    if json {
                        say_error(file.as_deref(), &error, mistakes(&error))?;
                    }
                    eprintln!("{error}");
                    failed_jobs = true;
                }
            },
            Err(error) => {
                if json {
                    say_error(file.as_deref(), &error, Vec::new())?;
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
struct Pipelines {
    jobs: Jobs,
    detectors: Detectors,
    rules: Rules,
}

async fn pipelines(loaded: &Loaded) -> anyhow::Result<Pipelines> {
    ways_in_files(&loaded.config.server).map_err(usage)?;
    let notify = loaded.config.notify.plan();
    notify.map_err(|error| usage(error.to_string()))?;
    let jobs = load_jobs(&loaded.config).await?;
    Ok(Pipelines {
        detectors: load_detectors(&loaded.config, &jobs)?,
        rules: load_rules(&loaded.config, &jobs)?,
        jobs,
    })
}

/// What is to be said of jobs and rules that can be run.
async fn remarks(loaded: &Loaded, pipelines: &Pipelines, dir: &Path) -> anyhow::Result<Remarks> {
    let config = &loaded.config;
    let Pipelines { jobs, rules, .. } = pipelines;
    let mut remarks = Remarks {
        warnings: warnings(&job_sources(config), jobs)?,
        rules: rules.warnings().iter().map(ToString::to_string).collect(),
        ..Remarks::default()
    };
    let uri = lake_uri(config, dir);
    if !uri.contains("://") && !Path::new(&uri).exists() {
        return Ok(remarks);
    }
    let look = async {
        let options = config.lake.storage_options.clone().into_iter().collect();
        let lake = Lake::open(&uri, options).await?;
        let status = progress::status(&lake, jobs).await?;
        Ok::<_, JobError>((lake, status))
    };
    let reason = match tokio::time::timeout(LAKE_TIMEOUT, look).await {
        Ok(Ok((lake, found))) => {
            let cries = replayed::warnings(&lake, jobs, rules).await;
            remarks.rules.extend(cries);
            let changed = found.into_iter();
            remarks.changed = changed
                .filter_map(|job| Some((job.name, job.changed?)))
                .collect();
            return Ok(remarks);
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it did not answer within {} s", LAKE_TIMEOUT.as_secs()),
    };
    remarks.warnings.push(format!(
        "whether jobs were changed since their partials were computed is not known: the lake at {uri}: {reason}"
    ));
    Ok(remarks)
}

/// The mistakes that keep jobs, detectors or rules from running, each for itself.
fn mistakes(error: &anyhow::Error) -> Vec<Mistake> {
    let jobs = match error.downcast_ref() {
        Some(JobError::Definitions(found)) => Some(found),
        _ => None,
    };
    let rules = match error.downcast_ref() {
        Some(TriggerError::Rules(found)) => Some(found),
        _ => None,
    };
    let detectors = match error.downcast_ref() {
        Some(DetectorError::Definitions(found)) => Some(found),
        _ => None,
    };
    let all = jobs.into_iter().chain(detectors).chain(rules).flatten();
    let told = |mistake: &DefinitionError| Mistake {
        file: mistake.file.clone(),
        line: (mistake.line > 0).then_some(mistake.line),
        column: (mistake.line > 0).then_some(mistake.column),
        message: mistake.message.clone(),
        help: mistake.help.clone(),
    };
    all.map(told).collect()
}

fn say(
    loaded: &Loaded,
    Pipelines {
        jobs,
        detectors,
        rules,
    }: &Pipelines,
    remarks: Remarks,
    json: bool,
) -> anyhow::Result<()> {
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
            detectors: detectors.names(),
            triggers: rules.names(),
            budgets: rules.budgets.names(),
            not_in_effect: loaded.not_in_effect.clone(),
            mistakes: Vec::new(),
            warnings: [remarks.warnings, remarks.rules].concat(),
            changed: remarks.changed,
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
    output::line(&format!("finds  {}", detectors.names().join(", ")))?;
    output::line(&format!("rules  {}", rules.names().join(", ")))?;
    if !rules.budgets.is_empty() {
        output::line(&format!("spends {}", rules.budgets.names().join(", ")))?;
    }
    if !loaded.not_in_effect.is_empty() {
        output::line(&format!(
            "note   configured, but not in effect in this version: {}",
            loaded.not_in_effect.join(", ")
        ))?;
    }
    for warning in &remarks.warnings {
        output::line(&format!("warn   {warning}"))?;
    }
    for warning in &remarks.rules {
        eprintln!("warning: {warning}");
    }
    for (name, changed) in &remarks.changed {
        if let Some(job) = jobs.get(name) {
            let told = super::job::told_changed(job, changed);
            output::line(&format!("warn   {}", told.trim_end()))?;
        }
    }
    Ok(())
}

fn say_error(
    file: Option<&Path>,
    error: &impl std::fmt::Display,
    mistakes: Vec<Mistake>,
) -> anyhow::Result<()> {
    output::json(&Checked {
        file: file.map(|file| file.display().to_string()),
        ok: false,
        error: Some(error.to_string()),
        topics: Vec::new(),
        jobs: Vec::new(),
        detectors: Vec::new(),
        triggers: Vec::new(),
        budgets: Vec::new(),
        not_in_effect: Vec::new(),
        mistakes,
        warnings: Vec::new(),
        changed: BTreeMap::new(),
    })
}
