//! `farol job recompute`: what a changed definition means, asked and done.

use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

use farol_jobs::changed::Changed;
use farol_jobs::renewal::{Renewal, Switched};
use farol_jobs::{Job, progress};
use serde_json::json;

use crate::cli::JobRecomputeArgs;
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::output;

/// What was changed, and what computing it anew is about.
pub fn told(job: &Job, changed: &Changed) -> String {
    let name = job.name();
    let mut text =
        format!("{name} was changed since its partials were computed, and is stopped:\n");
    for difference in &changed.differences {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {difference}");
    }
    let _ = writeln!(text, "`farol job recompute {name}`:");
    for line in changed.told(job) {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// Runs `farol job recompute NAME`.
pub(super) async fn run(context: &Context, arguments: &JobRecomputeArgs) -> anyhow::Result<Exit> {
    let jobs = context.jobs().await?;
    let job = super::named(&jobs, &arguments.name)?;
    let lake = context.lake().await?;
    let status = progress::status_of(&lake, job).await?;
    if let Some(changed) = &status.changed {
        if !context.json {
            output::line(told(job, changed).trim_end())?;
        }
        if !arguments.yes && !agreed()? {
            return Ok(Exit::Degraded);
        }
    }
    let shutdown = context.shutdown()?;
    // It is asked for in any case: what a run that was killed has left is cleared away.
    let Some(mut renewal) = Renewal::begin(&lake, job).await? else {
        return nothing_to_do(context, job);
    };
    let (pieces, resumed) = renewal.pieces();
    if resumed > 0 {
        tracing::info!(
            "going on after {resumed} of {pieces} pieces, where an earlier run was stopped"
        );
    }
    let bar = context.progress(job.name(), pieces as u64, "pieces");
    bar.set(resumed as u64);
    while renewal.pieces().1 < pieces {
        // A piece that was begun is given up: nothing of it is in the lake.
        let done = tokio::select! {
            () = shutdown.cancelled() => None,
            done = renewal.next_piece() => Some(done?),
        };
        if done.is_none() {
            bar.finish();
            return stopped(context, job, renewal.pieces());
        }
        bar.set(renewal.pieces().1 as u64);
    }
    bar.finish();
    let switched = renewal.switch().await?;
    let by_another = switched == Switched::ByAnother;
    let partials = match switched {
        Switched::Done { partials } => Some(partials),
        Switched::ByAnother => None,
    };
    if context.json {
        output::json(
            &json!({"job": job.name(), "changed": status.changed, "pieces": pieces,
            "done": pieces, "partials": partials, "by_another": by_another}),
        )?;
    } else if let Some(partials) = partials {
        output::line(&format!(
            "{}: computed anew, {partials} partials; the job goes on from there",
            job.name()
        ))?;
    } else {
        output::line(&format!(
            "{}: another process was faster; its partials are as good",
            job.name()
        ))?;
    }
    Ok(Exit::Done)
}

/// Asks at a terminal; elsewhere nobody is there to answer.
fn agreed() -> anyhow::Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(usage("nobody is there to be asked; --yes does it"));
    }
    let mut out = std::io::stderr();
    write!(out, "Do it? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn nothing_to_do(context: &Context, job: &Job) -> anyhow::Result<Exit> {
    if context.json {
        output::json(
            &json!({"job": job.name(), "changed": null, "pieces": 0, "done": 0,
            "partials": null, "by_another": false}),
        )?;
    } else {
        output::line(&format!(
            "{}: its partials are of its present definition; there is nothing to compute anew",
            job.name()
        ))?;
    }
    Ok(Exit::Done)
}

fn stopped(context: &Context, job: &Job, (pieces, done): (usize, usize)) -> anyhow::Result<Exit> {
    if context.json {
        output::json(&json!({"job": job.name(), "pieces": pieces, "done": done,
            "partials": null, "by_another": false}))?;
    } else {
        output::line(&format!(
            "{}: {done} of {pieces} pieces; the old partials are still there, and the same command goes on",
            job.name()
        ))?;
    }
    Ok(Exit::Degraded)
}
