//! `farol job`: what jobs there are, one of them in full, the past computed again, a new one begun.
//!
//! * [`cost`] is what `explain` measures; [`files`] shows and writes a job's files; [`recompute`] follows a changed
//!   definition.

mod cost;
mod files;
mod recompute;

pub use recompute::told as told_changed;

use std::fmt::Write as _;

use farol_jobs::step::{Runner, Stepped};
use farol_jobs::{Better, Files, Job, JobError, JobStatus, Jobs, Mode, progress, replace};
use serde_json::{Value, json};

use crate::cli::{JobCommand, JobRunArgs};
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::output;

/// Runs `farol job …`.
pub async fn run(context: &Context, command: JobCommand) -> anyhow::Result<Exit> {
    match command {
        JobCommand::List => list(context).await,
        JobCommand::Run(arguments) => over_the_past(context, &arguments).await,
        JobCommand::Recompute(arguments) => recompute::run(context, &arguments).await,
        JobCommand::Explain { name } => explain(context, &name).await,
        JobCommand::Show { name } => files::show(context, &name).await,
        JobCommand::New(arguments) => files::begin(context, &arguments).await,
    }
}

fn named<'a>(jobs: &'a Jobs, name: &str) -> Result<&'a std::sync::Arc<Job>, JobError> {
    jobs.get(name).ok_or_else(|| JobError::Unknown {
        name: name.to_owned(),
        known: jobs.names(),
    })
}

async fn list(context: &Context) -> anyhow::Result<Exit> {
    let jobs = context.jobs().await?;
    let status = progress::status(&context.lake().await?, &jobs).await?;
    if context.json {
        for (job, status) in jobs.iter().zip(&status) {
            output::json(&told(job, Some(status)))?;
        }
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = jobs
        .iter()
        .zip(&status)
        .map(|(job, status)| {
            vec![
                job.name().to_owned(),
                inputs(job),
                job.window().to_string(),
                output::known(status.version),
                output::known(status.behind),
                origin(job),
                job.description().unwrap_or("-").to_owned(),
            ]
        })
        .collect();
    let header = [
        "job",
        "reads",
        "window",
        "version",
        "behind",
        "from",
        "what it measures",
    ];
    output::line(output::table(&header, &rows).trim_end())?;
    for (job, status) in jobs.iter().zip(&status) {
        if let Some(changed) = &status.changed {
            output::line(recompute::told(job, changed).trim_end())?;
        }
    }
    Ok(Exit::Done)
}

fn inputs(job: &Job) -> String {
    job.inputs().collect::<Vec<_>>().join(", ")
}

fn origin(job: &Job) -> String {
    match job.files() {
        Files::Shipped => "part of farol".to_owned(),
        Files::Own(yaml, _) => yaml.display().to_string(),
    }
}

fn told(job: &Job, status: Option<&JobStatus>) -> Value {
    let partials: serde_json::Map<_, _> = job
        .partials()
        .iter()
        .map(|partial| (partial.name.clone(), json!(partial.kind.as_str())))
        .collect();
    let measures: Vec<_> = job
        .measures()
        .iter()
        .map(|measure| {
            json!({"name": measure.name, "expr": measure.text, "unit": measure.unit,
                "better": measure.better.map(word), "description": measure.description,
                "type": measure.data_type.to_string()})
        })
        .collect();
    json!({
        "name": job.name(), "description": job.description(), "reads": job.reads(),
        "window": job.window().to_string(), "mode": job.mode().as_str(), "segments": job.segments(), "tags": job.tags(), "partials": partials,
        "measures": measures, "max_series": job.max_series(), "from": origin(job), "status": status,
    })
}

fn word(better: Better) -> &'static str {
    match better {
        Better::Lower => "lower",
        Better::Higher => "higher",
    }
}

async fn explain(context: &Context, name: &str) -> anyhow::Result<Exit> {
    let jobs = context.jobs().await?;
    let job = named(&jobs, name)?;
    let lake = context.lake().await?;
    let plan = farol_jobs::explain::plan(&lake, job).await?;
    let trial = farol_jobs::explain::cost(&lake, job).await;
    if context.json {
        let mut told = told(job, None);
        told["sql"] = json!(job.sql());
        told["plan"] = json!({"logical": plan.logical, "physical": plan.physical});
        told["columns"] = json!(plan.reads);
        told["cost"] = cost::json(&trial);
        output::json(&told)?;
        return Ok(Exit::Done);
    }
    let mut text = format!(
        "{}: {}\n",
        job.name(),
        job.description().unwrap_or("no description")
    );
    // Writing to a string cannot fail.
    let _ = writeln!(text, "from       {}", origin(job));
    let _ = writeln!(text, "reads      {}, {}", inputs(job), how_read(job.mode()));
    for (table, columns) in &plan.reads {
        let columns: Vec<_> = columns.iter().map(String::as_str).collect();
        let _ = writeln!(text, "columns    {table}: {}", columns.join(", "));
    }
    let _ = writeln!(text, "reads      {}, {}", inputs(job), how_read(job.mode()));
    let _ = writeln!(text, "window     {}", job.window());
    let _ = writeln!(text, "segments   {}", job.segments().join(", "));
    let _ = writeln!(
        text,
        "series     {} at the most, then `other`",
        job.max_series()
    );
    let _ = writeln!(text, "table      partials.{name}, view {name}");
    text.push_str(&cost::text(job, &trial));
    text.push('\n');
    let partials: Vec<_> = job
        .partials()
        .iter()
        .map(|partial| {
            vec![
                partial.name.clone(),
                partial.kind.as_str().to_owned(),
                partial.data_type.to_string(),
            ]
        })
        .collect();
    text.push_str(&output::table(&["partial", "kind", "type"], &partials));
    text.push('\n');
    let measures: Vec<_> = job
        .measures()
        .iter()
        .map(|measure| {
            vec![
                measure.name.clone(),
                measure.text.clone(),
                measure.unit.clone().unwrap_or_else(|| "-".to_owned()),
                measure.better.map_or("-", word).to_owned(),
                measure.description.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let header = ["measure", "expression", "unit", "better", ""];
    text.push_str(&output::table(&header, &measures));
    text.push_str("Division by zero is NULL: what is not known.\n");
    let _ = write!(text, "\n{}", job.sql());
    let _ = write!(text, "\nlogical plan\n{}\n", plan.logical);
    let _ = write!(text, "\nphysical plan\n{}", plan.physical);
    output::line(text.trim_end())?;
    Ok(Exit::Done)
}

fn how_read(mode: Mode) -> String {
    match mode {
        Mode::Incremental => "the rows that each new version added".to_owned(),
        Mode::Recompute { .. } => {
            let (before_us, after_us) = mode.reach_us();
            format!(
                "whole windows (mode: recompute), where rows were added, with what is {} s before and {} s after",
                before_us / 1_000_000,
                after_us / 1_000_000
            )
        }
    }
}

async fn over_the_past(context: &Context, arguments: &JobRunArgs) -> anyhow::Result<Exit> {
    if arguments.from >= arguments.to {
        return Err(usage("--from must be before --to"));
    }
    let jobs = context.jobs().await?;
    let job = named(&jobs, &arguments.name)?;
    let shutdown = context.shutdown()?;
    let lake = context.lake().await?;
    let mut runner = Runner::open(&lake, job.clone()).await?;
    // What is computed is of the version that the job has come to; so let it come to the newest first.
    while runner.step().await? != Stepped::Level {
        if shutdown.is_cancelled() {
            return Ok(Exit::Degraded);
        }
    }
    let mut plan = replace::plan(&runner, arguments.from, arguments.to).await?;
    let (resumed, pieces) = (plan.done, plan.pieces.len());
    if resumed > 0 {
        tracing::info!(
            "going on after {resumed} of {pieces} pieces, where an earlier run was stopped"
        );
    }
    let bar = context.progress(job.name(), pieces as u64, "pieces");
    bar.set(resumed as u64);
    let mut partials = 0;
    while plan.done < pieces {
        // A piece that was begun is given up: nothing of it is in the table.
        let replaced = tokio::select! {
            () = shutdown.cancelled() => None,
            replaced = replace::next_piece(&mut runner, &mut plan) => Some(replaced?),
        };
        let Some(replaced) = replaced else { break };
        partials += replaced;
        bar.set(plan.done as u64);
    }
    bar.finish();
    let done = plan.done == pieces;
    if context.json {
        output::json(
            &json!({"job": job.name(), "pieces": pieces, "done": plan.done, "partials": partials}),
        )?;
    } else {
        output::line(&format!(
            "{}: {} of {pieces} pieces replaced, {partials} partials{}",
            job.name(),
            plan.done,
            if done {
                ""
            } else {
                "; the same command goes on from there"
            }
        ))?;
    }
    Ok(if done { Exit::Done } else { Exit::Degraded })
}
