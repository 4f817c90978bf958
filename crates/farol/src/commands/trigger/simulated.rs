//! `farol trigger test RULE --simulate KIND`: one rule on simulated incidents.
//!
//! ```text
//! seed ──▶ trial ──▶ embedded broker ──▶ ingest ──▶ jobs ──▶ replay of the rule ──▶ outcome      all in a directory of its own
//!                                                                                      └──▶ score over all seeds
//! ```
//!
//! Each trial has a lake and a broker of its own, gone when the next begins: what a run takes does not grow with their number.

use std::sync::Arc;

use anyhow::Context as _;
use farol_jobs::Jobs;
use farol_triggers::Rule;
use farol_triggers::replay::{Replay, replay};
use tokio_util::sync::CancellationToken;

use super::score::{Begun, Outcome, Score};
use crate::cli::{Role, TriggerTestArgs};
use crate::commands::roles::{self, Listeners, Plan};
use crate::commands::topics;
use crate::config::{self, Config};
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::output;
use crate::simulate::{IncidentKind, Trial};

const MINUTE_US: i64 = 60_000_000;

/// Runs the trials one after the other, and says what they come to.
pub async fn run(
    context: &Context,
    arguments: &TriggerTestArgs,
    kind: IncidentKind,
    jobs: &Jobs,
    rule: &Arc<Rule>,
) -> anyhow::Result<Exit> {
    if arguments.rate <= 0.0 || !arguments.rate.is_finite() {
        return Err(usage("--rate must be above 0"));
    }
    let shutdown = context.shutdown()?;
    let lasts_us = match arguments.lasts {
        Some(config::Span(lasts)) => i64::try_from(lasts.as_micros()).unwrap_or(i64::MAX / 8),
        None => lasts_us(rule),
    };
    let progress = context.progress("simulate", arguments.runs, "runs");
    let mut outcomes = Vec::new();
    for seed in (arguments.seed..).take(usize::try_from(arguments.runs)?) {
        let trial = Trial::new(kind, seed, lasts_us, calm_us(rule));
        let ran = run_one(context, &trial, arguments.rate, jobs, rule, &shutdown)
            .await
            .with_context(|| format!("the run of seed {seed}"))?;
        let Some(replay) = ran else {
            anyhow::bail!(
                "stopped after {} of {} runs",
                outcomes.len(),
                arguments.runs
            );
        };
        let alerts = begun(&replay, &trial)?;
        // What fires within two windows after its end was made of the incident too.
        let late_us = trial.to_us + (10 * MINUTE_US).max(2 * rule.window_us);
        outcomes.push(Outcome::of(seed, &alerts, trial.from_us, late_us));
        progress.add(1);
    }
    progress.finish();
    let score = Score::of(outcomes);
    if context.json {
        output::json(&score.to_json(&rule.name, kind.name()))?;
    } else {
        output::line(&score.told(&rule.name, kind.name()))?;
    }
    Ok(Exit::Done)
}

/// The shortest incident that every rule should find: it fills the windows that `for` asks for, wherever it begins.
fn lasts_us(rule: &Rule) -> i64 {
    let windows = i64::from(rule.hold_windows) + 1;
    (10 * MINUTE_US).max(windows.saturating_mul(rule.window_us))
}

/// Calm after the incident: two windows that may still be of it, and one in which nothing should begin.
fn calm_us(rule: &Rule) -> i64 {
    (45 * MINUTE_US).max(3_i64.saturating_mul(rule.window_us))
}

/// One trial, from its events to what the rule says. `None`: told to end before.
async fn run_one(
    context: &Context,
    trial: &Trial,
    rate: f64,
    jobs: &Jobs,
    rule: &Arc<Rule>,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Replay>> {
    let directory = tempfile::tempdir().context("cannot make a directory for the run")?;
    let apart = Context {
        config: apart(&context.config),
        dir: directory.path().to_owned(),
        json: false,
        quiet: true,
        not_in_effect: Vec::new(),
    };
    let kafka = apart.kafka()?;
    topics::ensure(&apart, &kafka.config).await?;
    let sent = trial.send(&apart, kafka.config.clone(), rate, shutdown.clone());
    let mut ran = None;
    if sent.await? {
        let plan = Plan {
            roles: &[Role::Ingest, Role::Jobs],
            kafka: kafka.config.clone(),
            drain: true,
            shutdown: shutdown.clone(),
            listeners: Listeners::default(),
        };
        let report = roles::play(&apart, plan).await?;
        let lost = report.map_or(0, |report| report.dead_letters + report.lost);
        anyhow::ensure!(lost == 0, "{lost} simulated events did not become rows");
        if !shutdown.is_cancelled() {
            let lake = apart.lake().await?;
            ran = Some(replay(&lake, jobs, rule, trial.start_us, trial.end_us).await?);
        }
    }
    kafka.shutdown();
    Ok(ran)
}

/// The configuration for a run: the pipelines as they are, and nothing else of what is outside.
fn apart(config: &Config) -> Config {
    Config {
        pipelines: config.pipelines.clone(),
        jobs: config.jobs.clone(),
        ..Config::default()
    }
}

/// The alerts that began.
fn begun(replay: &Replay, trial: &Trial) -> anyhow::Result<Vec<Begun>> {
    let began = replay.actions.iter().filter(|action| {
        let transition = &action.transition;
        transition.state.tells() && !transition.previous.tells()
    });
    let begun = began.map(|action| {
        let segment = serde_json::from_str(&action.segment)?;
        Ok(Begun {
            at_us: action.window_end_us,
            is_about_hit: trial.is_about(&segment),
        })
    });
    begun.collect()
}
