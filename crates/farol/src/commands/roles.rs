//! Roles, played in this process: each is a task or a thread that ends when the token is cancelled.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use farol_ingest::{Health, Ingest, IngestReport};
use farol_jobs::{Jobs, RunOptions};
use farol_kafka::KafkaConfig;
use farol_lake::{Lake, maintenance};
use farol_server::{Readiness, ServerState};
use farol_triggers::Rules;
use farol_triggers::publisher::{self, PublisherOptions};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::Role;
use crate::context::Context;

/// How often triggers look for new measures, and the publisher for new actions.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How often a role's health is asked for `/readyz`.
const HEALTH_INTERVAL: Duration = Duration::from_millis(500);

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
    /// The HTTP server's socket, where that role is played.
    pub http: Option<TcpListener>,
}

/// What a role leaves behind.
enum Ended {
    Ingest(IngestReport),
    /// A role that ends by itself when all before it have ended.
    Drained(Role),
    Other,
}

/// Binds the HTTP server's address, so that a taken one is told before anything starts.
pub async fn bind_http(context: &Context, roles: &[Role]) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = context
        .config
        .server
        .http
        .filter(|_| roles.contains(&Role::Server))
    else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot serve HTTP at {address} (another farol? choose another with --set server.http=HOST:PORT, or null)"
        )
    })?;
    Ok(Some(listener))
}

/// Plays the roles until the token is cancelled, a drain is done, or one of them fails. Gives ingest's
/// report where it was played.
pub async fn play(context: &Context, plan: Plan<'_>) -> anyhow::Result<Option<IngestReport>> {
    // Mistakes in jobs and rules are told before anything starts.
    let uses = |roles: &[Role]| roles.iter().any(|role| plan.roles.contains(role));
    let (jobs, rules) = if uses(&[Role::Triggers]) {
        context.pipelines().await?
    } else if uses(&[Role::Jobs, Role::Publisher, Role::Maintenance]) {
        (context.jobs().await?, Rules::default())
    } else {
        (Jobs::default(), Rules::default())
    };
    let lake = context.lake().await?;
    let drain = Drain::default();
    let stop = plan.shutdown.child_token();
    let readiness = Readiness::default();
    // Before any role starts: what is recorded before the recorder is installed goes nowhere.
    let server = plan
        .http
        .is_some()
        .then(|| ServerState::new(readiness.clone()));
    let mut tasks = JoinSet::new();
    for role in plan.roles {
        match role {
            Role::Ingest => {
                let health = Health::default();
                let reasons = health.clone();
                watch(
                    &readiness,
                    "ingest",
                    move || reasons.reasons(),
                    stop.clone(),
                );
                spawn_ingest(context, &plan, &lake, health, stop.clone(), &mut tasks);
            }
            Role::Jobs => {
                let (options, health) = jobs_options(context, &drain, stop.clone());
                watch(&readiness, "jobs", move || health.reasons(), stop.clone());
                let (lake, jobs) = (lake.clone(), jobs.clone());
                tasks.spawn(async move {
                    farol_jobs::run(lake, jobs, options).await.context("jobs")?;
                    Ok(Ended::Drained(Role::Jobs))
                });
            }
            Role::Triggers => {
                let (options, health) = triggers_options(context, &drain, stop.clone());
                let reasons = move || health.reasons();
                watch(&readiness, "triggers", reasons, stop.clone());
                let (lake, jobs, rules) = (lake.clone(), jobs.clone(), rules.clone());
                tasks.spawn(async move {
                    let ended = farol_triggers::run(lake, jobs, rules, options).await;
                    ended.context("triggers")?;
                    Ok(Ended::Drained(Role::Triggers))
                });
            }
            Role::Publisher => {
                let options = publisher_options(context, &plan, &jobs, &drain, stop.clone());
                let health = options.health.clone();
                let reasons = move || health.reasons();
                watch(&readiness, "publisher", reasons, stop.clone());
                let lake = lake.clone();
                tasks.spawn(async move {
                    publisher::run(lake, options).await.context("publisher")?;
                    Ok(Ended::Drained(Role::Publisher))
                });
            }
            Role::Maintenance => {
                spawn_maintenance(context, &lake, &jobs, stop.clone(), &mut tasks);
            }
            Role::Server => {}
        }
    }
    if let (Some(listener), Some(state)) = (plan.http, server) {
        let stop = stop.clone();
        tasks.spawn(async move {
            farol_server::serve(listener, state, stop).await?;
            Ok(Ended::Other)
        });
    }
    if plan.drain && !plan.roles.contains(&Role::Ingest) {
        drain.next(None, plan.roles, &stop);
    }
    let mut report = None;
    let mut failure = None;
    while let Some(ended) = tasks.join_next().await {
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

/// The end of a drain goes from role to role: each ends when it has done all that the one before it left.
#[derive(Default)]
struct Drain {
    jobs: CancellationToken,
    triggers: CancellationToken,
    publisher: CancellationToken,
}

impl Drain {
    /// Cancelled when nothing more will be added to what the role reads.
    fn of(&self, role: Role) -> CancellationToken {
        match role {
            Role::Jobs => self.jobs.clone(),
            Role::Triggers => self.triggers.clone(),
            _ => self.publisher.clone(),
        }
    }

    /// A role has ended: tells the next one that is played here, or, after the last, everything.
    fn next(&self, ended: Option<Role>, played: &[Role], stop: &CancellationToken) {
        let after = ended.and_then(|role| Role::DRAINED.iter().position(|known| *known == role));
        let rest = &Role::DRAINED[after.map_or(0, |place| place + 1)..];
        match rest.iter().find(|role| played.contains(role)) {
            Some(role) => self.of(*role).cancel(),
            None => stop.cancel(),
        }
    }
}

fn jobs_options(
    context: &Context,
    drain: &Drain,
    shutdown: CancellationToken,
) -> (RunOptions, farol_jobs::Health) {
    let options = RunOptions {
        interval: context.config.jobs.interval.0,
        shutdown,
        finish: drain.of(Role::Jobs),
        health: farol_jobs::Health::default(),
    };
    let health = options.health.clone();
    (options, health)
}

fn triggers_options(
    context: &Context,
    drain: &Drain,
    shutdown: CancellationToken,
) -> (farol_triggers::RunOptions, farol_triggers::Health) {
    let options = farol_triggers::RunOptions {
        interval: LOOK_INTERVAL,
        max_age: context.config.triggers.max_age.0,
        shutdown,
        finish: drain.of(Role::Triggers),
        health: farol_triggers::Health::default(),
    };
    let health = options.health.clone();
    (options, health)
}

fn publisher_options(
    context: &Context,
    plan: &Plan<'_>,
    jobs: &Jobs,
    drain: &Drain,
    shutdown: CancellationToken,
) -> PublisherOptions {
    PublisherOptions {
        kafka: plan.kafka.clone(),
        // The embedded broker has none.
        transactions: context.config.kafka.brokers.is_some(),
        outputs: publisher::Outputs {
            alerts: context.config.outputs.alerts.clone(),
            metrics: context.config.outputs.metrics.clone(),
        },
        jobs: jobs.clone(),
        interval: LOOK_INTERVAL,
        shutdown,
        finish: drain.of(Role::Publisher),
        health: farol_triggers::Health::default(),
    }
}

/// Ingest blocks, so it has a thread of its own.
fn spawn_ingest(
    context: &Context,
    plan: &Plan<'_>,
    lake: &Lake,
    health: Health,
    shutdown: CancellationToken,
    tasks: &mut JoinSet<anyhow::Result<Ended>>,
) {
    let ingest = Ingest {
        kafka: plan.kafka.clone(),
        lake: lake.clone(),
        topics: context.input_topics(),
        options: context.ingest_options(),
        drain: plan.drain,
        shutdown,
        health,
        runtime: tokio::runtime::Handle::current(),
    };
    let (sender, outcome) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("farol-ingest".to_owned())
        .spawn(move || {
            // The receiver is gone only when the process is ending anyway.
            let _ = sender.send(farol_ingest::run(ingest));
        });
    tasks.spawn(async move {
        thread.context("the operating system gives no thread")?;
        let report = outcome
            .await
            .context("ingest ended unexpectedly; see the log above")?;
        Ok(Ended::Ingest(report.context("ingest")?))
    });
}

fn spawn_maintenance(
    context: &Context,
    lake: &Lake,
    jobs: &Jobs,
    shutdown: CancellationToken,
    tasks: &mut JoinSet<anyhow::Result<Ended>>,
) {
    let options = context.maintenance_options();
    let partials = farol_jobs::compact::run(
        lake.clone(),
        jobs.clone(),
        options.compact.clone(),
        options.interval,
        shutdown.clone(),
    );
    tasks.spawn(async move {
        partials.await;
        Ok(Ended::Other)
    });
    let lake = lake.clone();
    tasks.spawn(async move {
        maintenance::run(lake, options, shutdown).await;
        Ok(Ended::Other)
    });
}

/// Tells a role's readiness, for as long as it is played.
fn watch(
    readiness: &Readiness,
    name: &'static str,
    reasons: impl Fn() -> Vec<String> + Send + 'static,
    stop: CancellationToken,
) {
    let role = readiness.register(name);
    tokio::spawn(async move {
        while !stop.is_cancelled() {
            role.set(&reasons());
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(HEALTH_INTERVAL) => {}
            }
        }
    });
}

/// The address that was bound, which may be another than the configured one (port 0).
pub fn address_of(listener: Option<&TcpListener>) -> Option<SocketAddr> {
    listener.and_then(|listener| listener.local_addr().ok())
}
