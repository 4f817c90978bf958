//! `farol topics create`: the topics that Farol reads and writes.

use anyhow::Context as _;
use farol_kafka::{Admin, CreateOutcome, KafkaConfig, NewTopic};
use serde::Serialize;

use crate::config::Config;
use crate::context::{Context, KAFKA_TIMEOUT};
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
    let Ensured { topic, created, partitions, configured_partitions } = topic;
    match (*created, partitions == configured_partitions) {
        (true, _) => format!("created  {topic}, {partitions} partitions"),
        (false, true) => format!("there    {topic}, {partitions} partitions"),
        (false, false) => {
            format!("there    {topic}, {partitions} partitions (the configuration says {configured_partitions})")
        }
    }
}

/// Creates the topics that are not there; the others are left alone.
pub async fn ensure(context: &Context, kafka: &KafkaConfig) -> anyhow::Result<Vec<Ensured>> {
    let wanted = wanted(&context.config);
    let kafka = kafka.clone();
    // Kafka's client blocks.
    tokio::task::spawn_blocking(move || ensure_blocking(&kafka, &wanted)).await?.context("cannot create the topics")
}

fn ensure_blocking(kafka: &KafkaConfig, wanted: &[NewTopic]) -> anyhow::Result<Vec<Ensured>> {
    let admin = Admin::connect(kafka)?;
    let outcomes = admin.create_topics(wanted, KAFKA_TIMEOUT)?;
    let _ = outcomes;
    anyhow::bail!("pending")
}

/// Every topic of the configuration and how it is to be made.
fn wanted(config: &Config) -> Vec<NewTopic> {
    let retention = |topic: &crate::config::Topic| {
        let retention = topic.retention?;
        Some(("retention.ms".to_owned(), retention.0.as_millis().to_string()))
    };
    let inputs = config.topics.iter().map(|topic| NewTopic {
        name: topic.name.clone(),
        partitions: topic.partitions,
        properties: retention(topic).into_iter().collect(),
    });
    // An alert's key is what it is about, so compaction keeps each one's last state.
    let alerts = &config.outputs.alerts;
    let outputs = config.outputs.topics().into_iter().map(|name| NewTopic {
        name: name.to_owned(),
        partitions: 1,
        properties: if name == alerts {
            vec![("cleanup.policy".to_owned(), "compact".to_owned())]
        } else {
            Vec::new()
        },
    });
    inputs.chain(outputs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_and_outputs_are_wanted() {
        let mut config = Config::default();
        config.topics[0].retention = Some("1d".parse().unwrap());
        let wanted = wanted(&config);
        assert_eq!(wanted.len(), 11);
        assert_eq!((wanted[0].name.as_str(), wanted[0].partitions), ("llm.traces", 4));
        assert_eq!(wanted[0].properties, [("retention.ms".to_owned(), "86400000".to_owned())]);
        let alerts = wanted.iter().find(|topic| topic.name == "llm.alerts").unwrap();
        assert_eq!(alerts.properties, [("cleanup.policy".to_owned(), "compact".to_owned())]);
    }

    #[test]
    fn what_is_there_is_said_with_its_difference() {
        let topic = Ensured { topic: "t".into(), created: false, partitions: 2, configured_partitions: 4 };
        assert_eq!(described(&topic), "there    t, 2 partitions (the configuration says 4)");
    }
}
