//! `farol run`: named roles in this process.

use farol_kafka::{Admin, KafkaConfig};

use crate::cli::{Role, RunArgs};
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::output;

use super::roles::{self, Plan};

/// Runs the roles until a signal, or until a drain is done.
pub async fn run(context: &Context, arguments: &RunArgs) -> anyhow::Result<Exit> {
    let drains = |role: &Role| Role::DRAINED.contains(role);
    if arguments.drain && !arguments.roles.iter().any(drains) {
        return Err(usage(
            "--drain needs one of the roles ingest, jobs, detectors, triggers, publisher: the others read nothing to its end",
        ));
    }
    context.say_not_in_effect();
    let shutdown = context.shutdown()?;
    let listeners = roles::bind(context, &arguments.roles).await?;
    let kafka = context.kafka()?;
    let names: Vec<_> = arguments.roles.iter().map(|role| role.as_str()).collect();
    tracing::info!(
        "running {}; Kafka {}, lake {}",
        names.join(", "),
        kafka.config.brokers,
        context.lake_uri()
    );
    if arguments.roles.contains(&Role::Ingest) {
        warn_of_missing_topics(context, &kafka.config);
    }
    let plan = Plan {
        roles: &arguments.roles,
        kafka: kafka.config.clone(),
        drain: arguments.drain,
        shutdown,
        listeners,
    };
    let outcome = roles::play(context, plan).await;
    kafka.shutdown();
    let Some(report) = outcome? else {
        return Ok(Exit::Done);
    };
    let stopped = report.stopped_partitions;
    if context.json {
        output::json(&serde_json::json!({
            "read": report.read, "stored": report.stored, "duplicates": report.duplicates,
            "dead_letters": report.dead_letters, "lost": report.lost, "commits": report.commits,
            "stopped_partitions": stopped,
        }))?;
    } else {
        output::line(&format!(
            "read {}: stored {}, duplicates {}, dead letters {}; lost {}; {} commits",
            report.read,
            report.stored,
            report.duplicates,
            report.dead_letters,
            report.lost,
            report.commits
        ))?;
    }
    if stopped > 0 {
        tracing::error!("{stopped} partitions are stopped; `farol status` says why");
        return Ok(Exit::Degraded);
    }
    Ok(Exit::Done)
}

/// A topic that is not there is read as soon as it is, but who forgot to make it should hear of it. Kafka that
/// does not answer is for ingest to speak of.
fn warn_of_missing_topics(context: &Context, kafka: &KafkaConfig) {
    let kafka = kafka.clone();
    let names: Vec<String> = context
        .input_topics()
        .into_iter()
        .map(|topic| topic.name)
        .collect();
    tokio::task::spawn_blocking(move || {
        let there = Admin::connect(&kafka)
            .and_then(|admin| admin.topics())
            .unwrap_or(names.clone());
        let missing: Vec<_> = names
            .into_iter()
            .filter(|name| !there.contains(name))
            .collect();
        if !missing.is_empty() {
            tracing::warn!(
                "not on Kafka: {}; `farol topics create` makes them",
                missing.join(", ")
            );
        }
    });
}
