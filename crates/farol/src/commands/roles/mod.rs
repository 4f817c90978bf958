//! Roles, played in this process: each is a task or a thread that ends when the token is cancelled.
//!
//! ```text
//! play ──▶ stage: a task for each role ──▶ ended: report, drain's next role, or the first failure
//! ```

mod drain;
mod listen;
mod stage;
mod standing;

use anyhow::Context as _;
use farol_detectors::Detectors;
use farol_ingest::IngestReport;
use farol_jobs::Jobs;
use farol_kafka::KafkaConfig;
use farol_server::{Readiness, ServerState};
use farol_triggers::Rules;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::Role;
use crate::context::Context;
use drain::Drain;
pub use listen::{Addresses, Listeners, bind, ways_in_files};
use stage::{Ended, Stage};

/// What the roles are to do.
pub struct Plan<'a> {
    /// Which.
    pub roles: &'a [Role],
    /// Kafka, for those that need it.
    pub kafka: KafkaConfig,
    /// Read what is there and end.
    pub drain: bool,
    /// Cancelled to finish the batch in hand and end.
    pub shutdown: CancellationToken,
    /// The server's sockets, where that role is played.
    pub listeners: Listeners,
}

/// Plays the roles until the token is cancelled, a drain is done, or one of them fails. Gives ingest's
/// report where it was played.
pub async fn play(context: &Context, plan: Plan<'_>) -> anyhow::Result<Option<IngestReport>> {
    // Mistakes in jobs and rules are told before anything starts.
    let (jobs, rules) = pipelines(context, plan.roles).await?;
    let detectors = if plan.roles.contains(&Role::Detectors) {
        context.detectors(&jobs)?
    } else {
        Detectors::default()
    };
    let notify = if plan.roles.contains(&Role::Notify) {
        context.notify_plan()?
    } else {
        farol_notify::settings::Plan::default()
    };
    let readiness = Readiness::default();
    // Before any role starts: what is recorded before the recorder is installed goes nowhere.
    let server = plan
        .listeners
        .any()
        .then(|| ServerState::new(readiness.clone()));
    let drain = Drain::default();
    let stop = plan.shutdown.child_token();
    let mut stage = Stage {
        context,
        kafka: plan.kafka,
        draining: plan.drain,
        lake: context.lake().await?,
        jobs,
        detectors,
        rules,
        readiness,
        drain: drain.clone(),
        stop: stop.clone(),
        notify,
        tasks: JoinSet::new(),
    };
    if let Some(state) = server {
        stage.serve(plan.listeners, state)?;
    }
    for role in plan.roles {
        stage.enter(*role);
    }
    stage.tidy();
    if plan.drain && !plan.roles.contains(&Role::Ingest) {
        drain.next(None, plan.roles, &stop);
    }
    let mut report = None;
    let mut failure = None;
    while let Some(ended) = stage.tasks.join_next().await {
        match ended.context("a role's task").and_then(|ended| ended) {
            Ok(Ended::Ingest(ingested)) => {
                report = Some(ingested);
                // A drain is done; without one, ingest ends only when it is told to.
                if plan.drain {
                    drain.next(Some(Role::Ingest), plan.roles, &stop);
                } else {
                    stop.cancel();
                }
            }
            Ok(Ended::Drained(role)) => drain.next(Some(role), plan.roles, &stop),
            Ok(Ended::Other) => {}
            Err(error) => {
                stop.cancel();
                if let Some(second) = failure.replace(error) {
                    tracing::error!("{second:#}");
                }
            }
        }
    }
    failure.map_or(Ok(report), Err)
}

/// The jobs and rules that the roles use.
async fn pipelines(context: &Context, roles: &[Role]) -> anyhow::Result<(Jobs, Rules)> {
    let uses = |any: &[Role]| any.iter().any(|role| roles.contains(role));
    if uses(&[Role::Triggers]) {
        context.pipelines().await
    } else if uses(&[
        Role::Jobs,
        Role::Detectors,
        Role::Publisher,
        Role::Maintenance,
        Role::Server,
    ]) {
        Ok((context.jobs().await?, Rules::default()))
    } else {
        Ok((Jobs::default(), Rules::default()))
    }
}
