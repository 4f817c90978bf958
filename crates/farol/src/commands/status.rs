//! `farol status`: how far each input partition is read, and what became of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use farol_ingest::InputTopic;
use farol_ingest::resume::LogRange;
use farol_ingest::status::{self, BrokerView, LogView, PartitionStatus};
use farol_jobs::{JobStatus, JoinStatus, join};
use farol_kafka::{Admin, KafkaConfig};
use farol_triggers::publisher;
use farol_triggers::status::{self as triggers, RuleStatus};
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::output;

/// How long Kafka may take to answer before the lake alone is told.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What `--json` prints.
#[derive(Serialize)]
struct Status<'a> {
    partitions: &'a [PartitionStatus],
    jobs: &'a [JobStatus],
    joins: &'a [JoinStatus],
    triggers: Triggers<'a>,
    publisher: Publisher,
}

/// The rules, and how many actions they have decided.
#[derive(Serialize)]
struct Triggers<'a> {
    rules: &'a [RuleStatus],
    actions: i64,
}

/// What is published: the first action that is not, and how many are not. Null where Kafka does not say.
#[derive(Debug, Default, Serialize)]
struct Publisher {
    next_action: Option<i64>,
    pending: Option<i64>,
}

/// Runs `farol status`.
pub async fn run(context: &Context) -> anyhow::Result<Exit> {
    let topics = context.input_topics();
    let lake = context.lake().await?;
    let broker = match context.kafka_if_running() {
        None => Err(anyhow::anyhow!(
            "no broker is configured, and the embedded one of {} does not run",
            context.dir.display()
        )),
        Some(kafka) => ask_broker(&kafka, &topics).await,
    };
    let marks = status::marks_of(&lake, &topics).await?;
    let now_us = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64);
    let bound_us = i64::try_from(context.config.ingest.watermark_bound.0.as_micros())?;
    let partitions = status::partitions(&topics, &marks, broker.as_ref().ok(), now_us - bound_us);
    // A mistake in a file of a job or rule must not hide how far everything else is.
    let defined = context.pipelines().await;
    let none = Default::default();
    let (jobs, rules) = defined.as_ref().unwrap_or(&none);
    let jobs = farol_jobs::progress::status(&lake, jobs).await?;
    let joins = join::status(&lake).await?;
    let (rules, actions) = triggers::status(&lake, rules).await?;
    let publisher = match (&broker, context.kafka_if_running()) {
        (Ok(_), Some(kafka)) => published(&lake, &kafka, actions).await?,
        _ => Publisher::default(),
    };
    if context.json {
        output::json(&Status {
            partitions: &partitions,
            jobs: &jobs,
            joins: &joins,
            triggers: Triggers {
                rules: &rules,
                actions,
            },
            publisher,
        })?;
    } else {
        let told = format!(
            "{}{}{}{}",
            text(&partitions, now_us),
            text_of_joins(&joins, now_us),
            text_of_jobs(&jobs, now_us),
            text_of_triggers(&rules, actions, &publisher)
        );
        output::line(told.trim_end())?;
    }
    if let Err(reason) = &broker {
        tracing::warn!("Kafka did not answer, so this is what the lake knows: {reason:#}");
    }
    if let Err(mistakes) = &defined {
        tracing::error!(
            "nothing is known of jobs and rules, since their files have mistakes:\n{mistakes:#}"
        );
    }
    let stopped = partitions.iter().any(|partition| partition.error.is_some())
        || jobs
            .iter()
            .any(|job| job.error.is_some() || job.changed.is_some())
        || joins.iter().any(|join| join.error.is_some());
    Ok(if broker.is_err() || defined.is_err() || stopped {
        Exit::Degraded
    } else {
        Exit::Done
    })
}

/// The table for people, and a line for whatever needs more words.
fn text(partitions: &[PartitionStatus], now_us: i64) -> String {
    if partitions.is_empty() {
        return "nothing is known of any input topic yet\n".to_owned();
    }
    let rows: Vec<Vec<String>> = partitions
        .iter()
        .map(|partition| {
            vec![
                partition.topic.clone(),
                partition.partition.to_string(),
                output::known(partition.next),
                output::known(partition.log_end),
                output::known(partition.lag_records),
                partition.read.to_string(),
                partition.stored.to_string(),
                partition.duplicates.to_string(),
                partition.dead_letters.to_string(),
                partition.lost.to_string(),
                partition
                    .watermark_us
                    .map_or_else(|| "-".to_owned(), |time_us| ago(time_us, now_us)),
                partition.owner.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    let header = [
        "topic",
        "part",
        "next",
        "end",
        "lag",
        "read",
        "stored",
        "dup",
        "dead",
        "lost",
        "watermark",
        "owner",
    ];
    let mut text = output::table(&header, &rows);
    text.push_str(&freshness(partitions));
    for partition in partitions {
        // Writing to a string cannot fail.
        if partition.recreated {
            let _ = writeln!(
                text,
                "note: {} {}: the topic was deleted and created again; what was read before is not counted here",
                partition.topic, partition.partition
            );
        }
        if partition.replayed > 0 || partition.expired > 0 {
            let _ = writeln!(
                text,
                "note: {} {}: {} stored by replay, {} dropped by retention",
                partition.topic, partition.partition, partition.replayed, partition.expired
            );
        }
        if let Some(error) = &partition.error {
            let _ = writeln!(text, "STOPPED: {error}");
        }
    }
    text
}

/// The joined tables: how far, and what has not found what it is about.
fn text_of_joins(joins: &[JoinStatus], now_us: i64) -> String {
    if joins.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = joins
        .iter()
        .map(|join| {
            vec![
                join.table.to_owned(),
                join.behind.to_string(),
                join.read.to_string(),
                join.joined.to_string(),
                join.repeated.to_string(),
                join.unmatched.to_string(),
                join.watermark_us
                    .map_or_else(|| "-".to_owned(), |time_us| ago(time_us, now_us)),
            ]
        })
        .collect();
    let header = [
        "joined with traces",
        "behind",
        "read",
        "joined",
        "repeated",
        "unmatched",
        "watermark",
    ];
    let mut text = format!("\n{}", output::table(&header, &rows));
    for join in joins {
        if let Some(error) = &join.error {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "FAILING: {}: {error}", join.table);
        }
    }
    text
}

/// The jobs: how far, and which fail.
fn text_of_jobs(jobs: &[JobStatus], now_us: i64) -> String {
    let rows: Vec<Vec<String>> = jobs
        .iter()
        .map(|job| {
            vec![
                job.name.clone(),
                output::known(job.version),
                output::known(job.behind),
                job.watermark_us
                    .map_or_else(|| "-".to_owned(), |time_us| ago(time_us, now_us)),
                job.overflowed.to_string(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n");
    text.push_str(&output::table(
        &["job", "version", "behind", "watermark", "other"],
        &rows,
    ));
    for job in jobs {
        // Writing to a string cannot fail.
        if job.overflowed > 0 {
            let _ = writeln!(
                text,
                "note: {}: {} partials are kept under the segment `other`, since there were more series than max_series",
                job.name, job.overflowed
            );
        }
        if let Some(changed) = &job.changed {
            let name = &job.name;
            let differences = changed.differences.join("; ");
            let _ = writeln!(
                text,
                "STOPPED: job {name} was changed ({differences}): `farol job recompute {name}`"
            );
        } else if let Some(error) = &job.error {
            let _ = writeln!(text, "FAILING: job {}: {error}", job.name);
        }
    }
    text
}

/// How far the publisher is, by its progress on Kafka.
async fn published(
    lake: &farol_lake::Lake,
    kafka: &KafkaConfig,
    actions: i64,
) -> anyhow::Result<Publisher> {
    let next_action = match lake.existing(farol_lake::ACTIONS).await? {
        Some(table) => {
            let lake_id = publisher::lake_id(&table).await?;
            let published = publisher::published(kafka, &lake_id).await?;
            published.map_or(0, |published| published.next_action)
        }
        None => 0,
    };
    Ok(Publisher {
        next_action: Some(next_action),
        pending: Some(actions - next_action),
    })
}

/// The rules, and what is published of their actions.
fn text_of_triggers(rules: &[RuleStatus], actions: i64, publisher: &Publisher) -> String {
    if rules.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = rules
        .iter()
        .map(|rule| {
            vec![
                rule.name.clone(),
                rule.on.clone(),
                rule.evaluated_to.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    let pending = publisher.pending.map_or_else(
        || "what is published is not known".to_owned(),
        |pending| format!("{pending} not published yet"),
    );
    format!(
        "\n{}actions: {actions}, {pending}\n",
        output::table(&["trigger", "on", "evaluated to"], &rows)
    )
}

/// How far the rows of each topic are behind the clock, by its slowest partition.
fn freshness(partitions: &[PartitionStatus]) -> String {
    let mut slowest = BTreeMap::<&str, f64>::new();
    for partition in partitions {
        if let Some(lag_seconds) = partition.lag_seconds {
            let known = slowest.entry(&partition.topic).or_default();
            *known = known.max(lag_seconds);
        }
    }
    if slowest.is_empty() {
        return String::new();
    }
    let told: Vec<String> = slowest
        .into_iter()
        .map(|(topic, lag_seconds)| format!("{topic} {lag_seconds:.0} s behind"))
        .collect();
    format!("freshness: {}\n", told.join(", "))
}

/// A time as its distance from now.
fn ago(time_us: i64, now_us: i64) -> String {
    let seconds = (now_us - time_us) / 1_000_000;
    match seconds {
        ..0 => format!("in {} s", -seconds),
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// Asks Kafka for the partitions of the topics, their logs and who reads them. A topic that is not there has
/// no partitions.
pub async fn ask_broker(kafka: &KafkaConfig, topics: &[InputTopic]) -> anyhow::Result<BrokerView> {
    let kafka = kafka.clone();
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    // Kafka's client blocks.
    tokio::task::spawn_blocking(move || ask(&kafka, &names)).await?
}

fn ask(kafka: &KafkaConfig, names: &[String]) -> anyhow::Result<BrokerView> {
    let admin = Admin::connect_within(kafka, TIMEOUT)?;
    let cluster_id = admin.cluster_id()?;
    let ids = admin.topic_ids(names)?;
    let ranges = admin.ranges(names)?;
    // A broker that cannot describe groups still has logs to speak of.
    let mut owners = admin.owners().unwrap_or_else(|error| {
        tracing::debug!("owners are not known: {error}");
        BTreeMap::new()
    });
    let logs = ranges.into_iter().map(|(at, (start, end))| {
        let topic_id = ids
            .get(at.topic.as_ref())
            .cloned()
            .unwrap_or_else(|| "-".to_owned());
        let owner = owners.remove(&at);
        (
            (at.topic.to_string(), at.partition),
            LogView {
                topic_id,
                range: LogRange { start, end },
                owner,
            },
        )
    });
    Ok(BrokerView {
        cluster_id,
        logs: logs.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_distances() {
        let seconds = |seconds: i64| ago(0, seconds * 1_000_000);
        assert_eq!(seconds(-5), "in 5 s");
        assert_eq!(seconds(3), "3 s ago");
        assert_eq!(seconds(600), "10 min ago");
        assert_eq!(seconds(90_000), "25 h ago");
        assert_eq!(seconds(40_000_000), "462 d ago");
    }
}
