//! What every command works with: the configuration, and the way to the lake and to Kafka.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use farol_detectors::Detectors;
use farol_ingest::{IngestOptions, InputTopic};
use farol_jobs::{Jobs, Sources};
use farol_kafka::{EmbeddedBroker, KafkaConfig};
use farol_lake::Lake;
use farol_lake::maintenance::{MaintenanceOptions, SAFE_AGE};
use farol_server::{ConnectionOptions, QueryOptions};
use farol_triggers::Rules;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::exit::usage;
use crate::progress::Progress;
use crate::signals;

/// What every command works with.
#[derive(Debug)]
pub struct Context {
    /// The configuration, all layers applied.
    pub config: Config,
    /// Where lake and embedded broker live (`--dir`).
    pub dir: PathBuf,
    /// Machine-readable output (`--json`).
    pub json: bool,
    /// Only errors on standard error (`--quiet`).
    pub quiet: bool,
    /// Keys that are set and that nothing acts on yet.
    pub not_in_effect: Vec<String>,
}

/// The way to Kafka, and the embedded broker where this process had to start it. Drop it last.
pub struct Kafka {
    /// Brokers, group and properties.
    pub config: KafkaConfig,
    /// The embedded broker, if it runs in this process.
    embedded: Option<EmbeddedBroker>,
}

impl Kafka {
    /// Ends the embedded broker, if it runs in this process.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if let Some(broker) = self.embedded.take() {
            // It has a runtime of its own, whose end blocks.
            tokio::task::block_in_place(|| broker.shutdown());
        }
    }
}

/// The jobs that a configuration puts into effect.
pub async fn load_jobs(config: &Config) -> Result<Jobs, farol_jobs::JobError> {
    let jobs = farol_jobs::load(&job_sources(config)).await?;
    Ok(jobs.in_time_zone(config.jobs.time_zone))
}

/// Where jobs are looked for, as configured.
pub fn job_sources(config: &Config) -> Sources {
    Sources {
        dir: config.pipelines.dir.clone(),
        builtin: config.pipelines.builtin,
        max_series: config.jobs.max_series,
        tags: config.jobs.tags.clone(),
    }
}

/// The lake's place: as configured, else below the directory given by `--dir`.
pub fn lake_uri(config: &Config, dir: &Path) -> String {
    let configured = config.lake.uri.clone();
    configured.unwrap_or_else(|| dir.join("lake").to_string_lossy().into_owned())
}

/// The detectors that a configuration puts into effect, over these jobs.
pub fn load_detectors(
    config: &Config,
    jobs: &Jobs,
) -> Result<Detectors, farol_detectors::DetectorError> {
    let sources = farol_detectors::Sources {
        dir: config.pipelines.dir.clone(),
        builtin: config.pipelines.builtin,
    };
    farol_detectors::load(&sources, jobs).map_err(farol_detectors::DetectorError::Definitions)
}

/// The rules that a configuration puts into effect, over these jobs.
pub fn load_rules(config: &Config, jobs: &Jobs) -> Result<Rules, farol_triggers::TriggerError> {
    let sources = farol_triggers::Sources {
        dir: config.pipelines.dir.clone(),
        builtin: config.pipelines.builtin,
    };
    let rules = farol_triggers::load(&sources, &farol_triggers::catalog(jobs));
    let budgets = farol_triggers::budget::load(&sources.dir, sources.builtin, jobs);
    match (rules, budgets) {
        (Ok(mut rules), Ok(budgets)) => {
            rules.budgets = budgets;
            Ok(rules)
        }
        (rules, budgets) => {
            let wrong = rules.err().into_iter().chain(budgets.err());
            Err(farol_triggers::TriggerError::Rules(
                wrong.flatten().collect(),
            ))
        }
    }
}

impl Context {
    /// The lake's place: as configured, else below [`Context::dir`].
    pub fn lake_uri(&self) -> String {
        lake_uri(&self.config, &self.dir)
    }

    /// Opens the lake; a directory is made where there is none.
    pub async fn lake(&self) -> anyhow::Result<Lake> {
        let options = self
            .config
            .lake
            .storage_options
            .clone()
            .into_iter()
            .collect();
        let uri = self.lake_uri();
        Lake::open(&uri, options)
            .await
            .with_context(|| format!("cannot open the lake at {uri}"))
    }

    /// The configured brokers; else the embedded broker, which is started in this process unless
    /// another has it running.
    pub fn kafka(&self) -> anyhow::Result<Kafka> {
        if let Some(brokers) = &self.config.kafka.brokers {
            return Ok(Kafka {
                config: self.kafka_config(brokers),
                embedded: None,
            });
        }
        let (brokers, embedded) =
            EmbeddedBroker::connect_or_start(&self.dir, self.config.kafka.embedded).with_context(
                || format!("cannot start the embedded broker in {}", self.dir.display()),
            )?;
        Ok(Kafka {
            config: self.kafka_config(&brokers),
            embedded,
        })
    }

    /// The configured brokers or the running embedded one; `None` where there is neither. Starts nothing.
    pub fn kafka_if_running(&self) -> Option<KafkaConfig> {
        match &self.config.kafka.brokers {
            Some(brokers) => Some(self.kafka_config(brokers)),
            None => EmbeddedBroker::find(&self.dir).map(|brokers| self.kafka_config(&brokers)),
        }
    }

    /// How to reach these brokers with the configured group and properties.
    pub fn kafka_config(&self, brokers: &str) -> KafkaConfig {
        KafkaConfig {
            brokers: brokers.to_owned(),
            group: self.config.kafka.group.clone(),
            properties: self.config.kafka.properties.clone(),
        }
    }

    /// The topics that this version reads.
    pub fn input_topics(&self) -> Vec<InputTopic> {
        let readable = |topic: &crate::config::Topic| {
            Some(InputTopic {
                name: topic.name.clone(),
                kind: topic.readable()?,
            })
        };
        self.config.topics.iter().filter_map(readable).collect()
    }

    /// The jobs that are in effect: those that are part of Farol, and the user's own over them.
    ///
    /// # Errors
    /// Everything that is wrong with their files.
    pub async fn jobs(&self) -> anyhow::Result<Jobs> {
        Ok(load_jobs(&self.config).await?)
    }

    /// The jobs and the rules that are in effect.
    ///
    /// # Errors
    /// Everything that is wrong with their files.
    pub async fn pipelines(&self) -> anyhow::Result<(Jobs, Rules)> {
        let jobs = self.jobs().await?;
        let rules = load_rules(&self.config, &jobs).map_err(|error| usage(error.to_string()))?;
        Ok((jobs, rules))
    }

    /// The detectors that are in effect over these jobs.
    ///
    /// # Errors
    /// Everything that is wrong with their files.
    pub fn detectors(&self, jobs: &Jobs) -> anyhow::Result<Detectors> {
        load_detectors(&self.config, jobs).map_err(|error| usage(error.to_string()))
    }

    /// Who is told of alerts.
    ///
    /// # Errors
    /// What is wrong with a receiver, a route or a template.
    pub fn notify_plan(&self) -> anyhow::Result<farol_notify::settings::Plan> {
        let plan = self.config.notify.plan();
        plan.map_err(|error| usage(error.to_string()))
    }

    /// The bounds of ingest.
    pub fn ingest_options(&self) -> IngestOptions {
        let ingest = &self.config.ingest;
        IngestOptions {
            flush_interval: ingest.flush_interval.0,
            max_batch_bytes: ingest.max_batch_bytes.bytes(),
            memory_bytes: ingest.memory.bytes(),
            watermark_bound: ingest.watermark_bound.0,
            idle_timeout: ingest.idle_timeout.0,
            max_record_bytes: ingest.max_record_bytes.bytes(),
            dedup_horizon: ingest.dedup.horizon.0,
            dedup_memory_bytes: ingest.dedup.memory.bytes(),
            event_time_past: ingest.event_time_range.past.0,
            event_time_future: ingest.event_time_range.future.0,
        }
    }

    /// The bounds of queries.
    pub fn query_options(&self) -> QueryOptions {
        let query = &self.config.server.query;
        QueryOptions {
            timeout: query.timeout.0,
            memory_bytes: query.memory.bytes(),
            spill_bytes: query.spill.0,
            concurrent_max: query.max_concurrent as usize,
            queue_timeout: query.queue_timeout.0,
            write_timeout: query.write_timeout.0,
        }
    }

    /// The bounds of connections.
    pub fn connection_options(&self) -> ConnectionOptions {
        let query = &self.config.server.query;
        ConnectionOptions {
            connections_max: query.max_connections as usize,
            idle_timeout: query.idle_timeout.0,
            write_timeout: query.write_timeout.0,
        }
    }

    /// How tables are kept in shape.
    pub fn maintenance_options(&self) -> MaintenanceOptions {
        let maintenance = &self.config.maintenance;
        let mut options = MaintenanceOptions {
            interval: maintenance.interval.0,
            ..MaintenanceOptions::default()
        };
        options.compact.target_file_bytes = maintenance.target_file_bytes.0;
        options.vacuum.older_than = maintenance.vacuum_after.0;
        // Who writes less than a day into the configuration was warned by its comment.
        options.vacuum.unsafe_age = maintenance.vacuum_after.0 < SAFE_AGE;
        options
    }

    /// A token that the first SIGTERM or Ctrl-C cancels; the second ends the process at once. A
    /// command that does not ask for it is ended by the first.
    #[expect(
        clippy::unused_self,
        reason = "commands ask the context for whatever they work with"
    )]
    pub fn shutdown(&self) -> anyhow::Result<CancellationToken> {
        signals::shutdown_token().context("cannot listen for signals")
    }

    /// Shows how far long work is: a bar at a terminal, now and then a line elsewhere, nothing under
    /// `--quiet`. `total` is 0 where it is not known.
    pub fn progress(&self, what: &str, total: u64, unit: &'static str) -> Progress {
        Progress::start(what, total, unit, self.quiet)
    }

    /// Says on standard error what is configured and has no effect.
    pub fn say_not_in_effect(&self) {
        if !self.not_in_effect.is_empty() {
            tracing::warn!(
                "configured, but not in effect in this version: {}",
                self.not_in_effect.join(", ")
            );
        }
    }
}
