//! A task for each role.

use std::time::Duration;

use anyhow::Context as _;
use farol_detectors::Detectors;
use farol_ingest::{Health, Ingest, IngestReport};
use farol_jobs::{Jobs, RunOptions};
use farol_kafka::KafkaConfig;
use farol_lake::{Lake, maintenance};
use farol_server::{QueryService, Readiness, ServerState, WaysIn};
use farol_triggers::Rules;
use farol_triggers::publisher::{self, PublisherOptions};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::drain::Drain;
use super::listen::Listeners;
use super::standing;
use crate::allocator;
use crate::cli::Role;
use crate::context::Context;

/// How often triggers look for new measures, and the publisher for new actions, unless jobs run more often.
const LOOK_INTERVAL_MAX: Duration = Duration::from_millis(500);

/// How often a role's health is asked for `/readyz`.
const HEALTH_INTERVAL: Duration = Duration::from_millis(500);

/// How often free memory is given back to the operating system.
const GIVE_BACK_INTERVAL: Duration = Duration::from_mins(2);

/// What a role leaves behind.
pub(super) enum Ended {
    Ingest(IngestReport),
    /// A role that ends by itself when all before it have ended.
    Drained(Role),
    Other,
}

/// Where roles are played: what they share, and their tasks.
pub(super) struct Stage<'a> {
    pub context: &'a Context,
    pub kafka: KafkaConfig,
    pub draining: bool,
    pub lake: Lake,
    pub jobs: Jobs,
    pub detectors: Detectors,
    pub rules: Rules,
    pub readiness: Readiness,
    pub drain: Drain,
    pub stop: CancellationToken,
    /// Who is told of alerts, where that role is played.
    pub notify: farol_notify::settings::Plan,
    pub tasks: JoinSet<anyhow::Result<Ended>>,
}

impl Stage<'_> {
    /// Starts a role. The server is started by itself, with its socket.
    pub fn enter(&mut self, role: Role) {
        match role {
            Role::Ingest => self.ingest(),
            Role::Jobs => self.jobs(),
            Role::Detectors => self.detectors(),
            Role::Triggers => self.triggers(),
            Role::Publisher => self.publisher(),
            Role::Maintenance => self.maintenance(),
            Role::Notify => self.notify(),
            Role::Server => {}
        }
    }

    /// Answers on the sockets.
    pub fn serve(&mut self, listeners: Listeners, state: ServerState) -> anyhow::Result<()> {
        let context = self.context;
        let queries = QueryService::new(
            self.lake.clone(),
            self.jobs.clone(),
            context.query_options(),
        )
        .context("the operating system gives no threads for queries")?;
        let ways = WaysIn {
            queries,
            tokens: listeners.tokens,
            tls: listeners.tls,
            connections: context.connection_options(),
        };
        if let Some(listener) = listeners.http {
            // Who may ask is not known: then only this machine may.
            let is_open = ways.tokens.is_none()
                && listener
                    .local_addr()
                    .is_ok_and(|address| !address.ip().is_loopback());
            let state = if is_open {
                state
            } else {
                state.with_sql(ways.clone())
            };
            let (connections, tls, stop) = (
                ways.connections.clone(),
                ways.tls.clone(),
                self.stop.clone(),
            );
            self.tasks.spawn(async move {
                farol_server::serve(listener, state, connections, tls, stop).await?;
                Ok(Ended::Other)
            });
        }
        if let Some(listener) = listeners.postgres {
            let (ways, stop) = (ways.clone(), self.stop.clone());
            self.tasks.spawn(async move {
                farol_server::serve_postgres(listener, ways, stop).await?;
                Ok(Ended::Other)
            });
        }
        if let Some(listener) = listeners.flight {
            let (ways, stop) = (ways, self.stop.clone());
            self.tasks.spawn(async move {
                farol_server::serve_flight(listener, ways, stop).await?;
                Ok(Ended::Other)
            });
        }
        Ok(())
    }

    /// Ingest blocks, so it has a thread of its own.
    fn ingest(&mut self) {
        let health = Health::default();
        let reasons = health.clone();
        self.watch("ingest", move || reasons.reasons());
        let ingest = Ingest {
            kafka: self.kafka.clone(),
            lake: self.lake.clone(),
            topics: self.context.input_topics(),
            options: self.context.ingest_options(),
            drain: self.draining,
            shutdown: self.stop.clone(),
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
        self.tasks.spawn(async move {
            thread.context("the operating system gives no thread")?;
            let report = outcome
                .await
                .context("ingest ended unexpectedly; see the log above")?;
            Ok(Ended::Ingest(report.context("ingest")?))
        });
    }

    fn jobs(&mut self) {
        let health = farol_jobs::Health::default();
        let options = RunOptions {
            interval: self.context.config.jobs.interval.0,
            shutdown: self.stop.clone(),
            finish: self.drain.of(Role::Jobs),
            health: health.clone(),
        };
        self.watch("jobs", move || health.reasons());
        let (lake, jobs) = (self.lake.clone(), self.jobs.clone());
        self.tasks.spawn(async move {
            farol_jobs::run(lake, jobs, options).await.context("jobs")?;
            Ok(Ended::Drained(Role::Jobs))
        });
    }

    /// What is computed often is wanted soon.
    fn look_interval(&self) -> Duration {
        LOOK_INTERVAL_MAX.min(self.context.config.jobs.interval.0)
    }

    fn detectors(&mut self) {
        let health = farol_detectors::Health::default();
        let options = farol_detectors::RunOptions {
            // They look at every job, and no window of theirs is closed more often than jobs are run.
            interval: self.context.config.jobs.interval.0,
            shutdown: self.stop.clone(),
            finish: self.drain.of(Role::Detectors),
            health: health.clone(),
        };
        self.watch("detectors", move || health.reasons());
        let (lake, jobs) = (self.lake.clone(), self.jobs.clone());
        let detectors = self.detectors.clone();
        self.tasks.spawn(async move {
            let ended = farol_detectors::run(lake, jobs, detectors, options).await;
            ended.context("detectors")?;
            Ok(Ended::Drained(Role::Detectors))
        });
    }

    fn triggers(&mut self) {
        let health = farol_triggers::Health::default();
        let (known, standing) = standing::channel();
        let options = farol_triggers::RunOptions {
            interval: self.look_interval(),
            max_age: self.context.config.triggers.max_age.0,
            shutdown: self.stop.clone(),
            finish: self.drain.of(Role::Triggers),
            health: health.clone(),
            standing: Some(standing),
        };
        self.watch("triggers", move || health.reasons());
        let (lake, jobs, rules) = (self.lake.clone(), self.jobs.clone(), self.rules.clone());
        self.tasks.spawn(async move {
            let ended = farol_triggers::run(lake, jobs, rules, options).await;
            ended.context("triggers")?;
            Ok(Ended::Drained(Role::Triggers))
        });
        let topics = self.context.input_topics();
        let (lake, kafka) = (self.lake.clone(), self.kafka.clone());
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            standing::look(lake, kafka, topics, known, stop).await;
            Ok(Ended::Other)
        });
    }

    fn publisher(&mut self) {
        let config = &self.context.config;
        let health = farol_triggers::Health::default();
        let options = PublisherOptions {
            kafka: self.kafka.clone(),
            // The embedded broker has none.
            transactions: config.kafka.brokers.is_some(),
            outputs: publisher::Outputs {
                alerts: config.outputs.alerts.clone(),
                budget: config.outputs.budget.clone(),
                metrics: config.outputs.metrics.clone(),
            },
            jobs: self.jobs.clone(),
            interval: self.look_interval(),
            shutdown: self.stop.clone(),
            finish: self.drain.of(Role::Publisher),
            health: health.clone(),
        };
        self.watch("publisher", move || health.reasons());
        let lake = self.lake.clone();
        self.tasks.spawn(async move {
            publisher::run(lake, options).await.context("publisher")?;
            Ok(Ended::Drained(Role::Publisher))
        });
    }

    fn notify(&mut self) {
        if self.notify.routes.is_empty() {
            return;
        }
        let outputs = &self.context.config.outputs;
        let health = farol_notify::service::Health::default();
        let options = farol_notify::service::RunOptions {
            kafka: self.kafka.clone(),
            alerts: outputs.alerts.clone(),
            dead_letters: outputs.notifications_dead_letters.clone(),
            plan: self.notify.clone(),
            shutdown: self.stop.clone(),
            health: health.clone(),
        };
        self.watch("notify", move || health.reasons());
        self.tasks.spawn(async move {
            farol_notify::service::run(options)
                .await
                .context("notify")?;
            Ok(Ended::Other)
        });
    }

    fn maintenance(&mut self) {
        let options = self.context.maintenance_options();
        let partials = farol_jobs::compact::run(
            self.lake.clone(),
            self.jobs.clone(),
            options.compact.clone(),
            options.interval,
            self.stop.clone(),
        );
        self.tasks.spawn(async move {
            partials.await;
            Ok(Ended::Other)
        });
        let (lake, stop) = (self.lake.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            maintenance::run(lake, options, stop).await;
            Ok(Ended::Other)
        });
    }

    /// Gives free memory back, for as long as roles are played: compaction needs much for a minute, and then none.
    pub fn tidy(&mut self) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return Ok(Ended::Other),
                    () = tokio::time::sleep(GIVE_BACK_INTERVAL) => {}
                }
                tokio::task::spawn_blocking(allocator::give_back).await?;
            }
        });
    }

    /// Tells a role's readiness, for as long as it is played.
    fn watch(&self, name: &'static str, reasons: impl Fn() -> Vec<String> + Send + 'static) {
        let role = self.readiness.register(name);
        let stop = self.stop.clone();
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
}
