//! `farol topics create`: the topics that Farol reads and writes.

use std::collections::BTreeMap;

use farol_kafka::{Admin, Created, KafkaConfig, TopicSpec};
use serde::Serialize;

use crate::config::Config;
use farol_triggers::publisher::PROGRESS_TOPIC;

use crate::context::Context;
use crate::exit::Exit;
use crate::output;

/// What became of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ensured {
    /// Its name.
    pub topic: String,
    /// Whether it was made now.
    pub created: bool,
    /// Its partitions.
    pub partitions: i32,
    /// Partitions the configuration asks for.
    pub configured_partitions: i32,
}

/// Runs `farol topics create`.
pub async fn create(context: &Context) -> anyhow::Result<Exit> {
    let kafka = context.kafka()?;
    let outcome = ensure(context, &kafka.config).await;
    kafka.shutdown();
    for topic in outcome? {
        if context.json {
            output::json(&topic)?;
        } else {
            output::line(&described(&topic))?;
        }
    }
    Ok(Exit::Done)
}

fn described(topic: &Ensured) -> String {
    let Ensured {
        topic,
        created,
        partitions,
        configured_partitions,
    } = topic;
    match (*created, partitions == configured_partitions) {
        (true, _) => format!("created  {topic}, {partitions} partitions"),
        (false, true) => format!("there    {topic}, {partitions} partitions"),
        (false, false) => {
            format!(
                "there    {topic}, {partitions} partitions (the configuration says {configured_partitions})"
            )
        }
    }
}

/// Creates the topics that are not there; the others are left alone.
pub async fn ensure(context: &Context, kafka: &KafkaConfig) -> anyhow::Result<Vec<Ensured>> {
    let wanted = wanted(&context.config);
    let kafka = kafka.clone();
    // Kafka's client blocks when it is asked what is there.
    let admin = tokio::task::spawn_blocking(move || Admin::connect(&kafka)).await??;
    let outcomes = admin.create(&wanted).await?;
    let names: Vec<String> = wanted.iter().map(|topic| topic.name.clone()).collect();
    let there = tokio::task::spawn_blocking(move || admin.partitions(&names)).await??;
    let mut partitions = BTreeMap::<String, i32>::new();
    for at in there {
        *partitions.entry(at.topic.to_string()).or_default() += 1;
    }
    let ensured = wanted
        .into_iter()
        .zip(outcomes)
        .map(|(topic, (_, outcome))| Ensured {
            created: outcome == Created::Created,
            // The brokers may not have told each other of a new topic yet.
            partitions: partitions
                .get(&topic.name)
                .copied()
                .unwrap_or(topic.partitions),
            configured_partitions: topic.partitions,
            topic: topic.name,
        });
    Ok(ensured.collect())
}

/// Every topic of the configuration and how it is to be made.
fn wanted(config: &Config) -> Vec<TopicSpec> {
    let retention = |topic: &crate::config::Topic| {
        let retention = topic.retention?;
        Some((
            "retention.ms".to_owned(),
            retention.0.as_millis().to_string(),
        ))
    };
    let inputs = config.topics.iter().map(|topic| TopicSpec {
        name: topic.name.clone(),
        partitions: topic.partitions,
        settings: retention(topic).into_iter().collect(),
    });
    // A message's key is what it is about, so compaction keeps the last word on each.
    let outputs = &config.outputs;
    let compacted = [&outputs.alerts, &outputs.budget, &outputs.metrics];
    let outputs = config.outputs.topics().into_iter().map(|name| TopicSpec {
        name: name.to_owned(),
        partitions: 1,
        settings: if compacted.iter().any(|topic| topic.as_str() == name) {
            BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())])
        } else {
            BTreeMap::new()
        },
    });
    let progress = TopicSpec {
        name: PROGRESS_TOPIC.to_owned(),
        partitions: 1,
        settings: BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]),
    };
    let of_delivery = farol_notify::service::topics(&config.outputs.notifications_dead_letters);
    inputs
        .chain(outputs)
        .chain([progress])
        .chain(of_delivery)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_and_outputs_are_wanted() {
        let mut config = Config::default();
        config.topics[0].retention = Some("1d".parse().unwrap());
        let wanted = wanted(&config);
        assert_eq!(wanted.len(), 14);
        assert_eq!(
            (wanted[0].name.as_str(), wanted[0].partitions),
            ("llm.traces", 4)
        );
        assert_eq!(wanted[0].settings["retention.ms"], "86400000");
        let alerts = wanted
            .iter()
            .find(|topic| topic.name == "llm.alerts")
            .unwrap();
        assert_eq!(alerts.settings["cleanup.policy"], "compact");
    }

    #[test]
    fn what_is_there_is_said_with_its_difference() {
        let topic = Ensured {
            topic: "t".into(),
            created: false,
            partitions: 2,
            configured_partitions: 4,
        };
        assert_eq!(
            described(&topic),
            "there    t, 2 partitions (the configuration says 4)"
        );
    }
}
