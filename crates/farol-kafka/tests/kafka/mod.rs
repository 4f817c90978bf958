//! What the consumer, the producer and the questions must do with any broker: scenarios that the tests run
//! against the embedded one and `examples/drill.rs` against a Kafka of one's own. Each panics where something is not as
//! it must be, and uses topics and groups of its own.

pub mod member;
pub mod scenarios;

use std::time::{Duration, Instant};

use farol_kafka::{Admin, KafkaConfig, Producer, TopicSpec};
use uuid::Uuid;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A name that no other run uses.
pub fn unique(name: &str) -> String {
    format!("{name}-{}", Uuid::new_v4().simple())
}

/// Brokers and group; `DRILL_GROUP_PROTOCOL=consumer` tries the group protocol of Kafka 4.
pub fn config(brokers: &str, group: &str) -> KafkaConfig {
    let protocol = std::env::var("DRILL_GROUP_PROTOCOL");
    KafkaConfig {
        brokers: brokers.to_owned(),
        group: group.to_owned(),
        properties: protocol
            .map(|protocol| ("group.protocol".to_owned(), protocol))
            .into_iter()
            .collect(),
    }
}

pub fn admin(brokers: &str) -> Admin {
    Admin::connect(&config(brokers, "admin")).unwrap()
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

pub fn spec(name: &str, partitions: i32, settings: &[(&str, &str)]) -> TopicSpec {
    let settings = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    TopicSpec {
        name: name.to_owned(),
        partitions,
        settings,
    }
}

pub fn create(brokers: &str, name: &str, partitions: i32) {
    block_on(admin(brokers).create(&[spec(name, partitions, &[])])).unwrap();
}

/// Sends texts `from..to`, spread over the partitions by their keys.
pub fn produce(brokers: &str, topic: &str, numbers: std::ops::Range<u64>) {
    let producer = Producer::new(&config(brokers, "")).unwrap();
    for number in numbers {
        let text = number.to_string();
        producer
            .send(topic, Some(text.as_bytes()), text.as_bytes(), None)
            .unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// Calls until it says yes.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "no {what} within {PATIENCE:?}");
    }
}
