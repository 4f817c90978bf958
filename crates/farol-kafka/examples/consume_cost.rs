//! What taking a message from Kafka costs, in CPU time of the whole process: one by one with
//! `BaseConsumer::poll`, and in batches as Farol does.
//!
//! ```text
//! cargo run --release -p farol-kafka --example consume_cost -- BROKERS [MESSAGES [BYTES [ROUNDS]]]
//! ```
//!
//! The topic is filled once, lz4, 4 partitions, and kept. CPU time is read from /proc, so Linux only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use farol_kafka::{
    Admin, Assigned, Assignment, Consumer, KafkaConfig, Producer, Start, TopicPartition, TopicSpec,
};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Message as _, Offset, TopicPartitionList};

const PARTITIONS: i32 = 4;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let Some(brokers) = arguments.first() else {
        eprintln!("usage: consume_cost BROKERS [MESSAGES [BYTES [ROUNDS]]]");
        std::process::exit(2);
    };
    let number = |index: usize, default: usize| {
        arguments
            .get(index)
            .map_or(default, |text| text.parse().expect("a number"))
    };
    let (messages, bytes, rounds) = (number(1, 1_000_000), number(2, 800), number(3, 4));
    let config = KafkaConfig {
        brokers: brokers.clone(),
        group: String::new(),
        properties: [].into(),
    };
    let topic = fill(&config, messages, bytes);
    for round in 1..=rounds {
        let polled = measure(|| poll(&config, &topic, messages));
        let batched = measure(|| batch(&config, &topic, messages));
        println!(
            "round {round}: poll {}; batch {}",
            polled.per(messages),
            batched.per(messages)
        );
    }
}

/// A topic with so many records, made once.
fn fill(config: &KafkaConfig, messages: usize, bytes: usize) -> String {
    let topic = format!("consume-cost-{messages}-{bytes}");
    let admin = Admin::connect(config).expect("Kafka answers");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let spec = TopicSpec {
        name: topic.clone(),
        partitions: PARTITIONS,
        settings: [].into(),
    };
    runtime.block_on(admin.create(&[spec])).expect("a topic");
    let ranges = admin.ranges(std::slice::from_ref(&topic)).expect("ranges");
    let there: i64 = ranges.values().map(|range| range.1 - range.0).sum();
    let producer = Producer::new(config).expect("a producer");
    for index in there as usize..messages {
        producer
            .send(
                &topic,
                Some(&index.to_be_bytes()),
                &payload(index, bytes),
                None,
            )
            .expect("room");
    }
    producer
        .flush(Duration::from_mins(5))
        .expect("acknowledgements");
    topic
}

/// Text that compresses about as JSON does.
fn payload(index: usize, bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 64);
    let mut state = index as u64;
    while text.len() < bytes {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.extend(format!("\"field_{}\": \"{:08x}\", ", text.len() % 17, state >> 40).as_bytes());
    }
    text.truncate(bytes);
    text
}

struct Cost {
    cpu: Duration,
    wall: Duration,
}

impl Cost {
    fn per(&self, messages: usize) -> String {
        let nanos = |time: Duration| time.as_nanos() / messages.max(1) as u128;
        format!(
            "{} ns of CPU a message, {} ns wall",
            nanos(self.cpu),
            nanos(self.wall)
        )
    }
}

fn measure(work: impl FnOnce()) -> Cost {
    let (cpu, wall) = (cpu_time(), Instant::now());
    work();
    Cost {
        cpu: cpu_time().saturating_sub(cpu),
        wall: wall.elapsed(),
    }
}

/// User and system time of this process; the kernel counts hundredths of a second.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|text| text.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

fn poll(config: &KafkaConfig, topic: &str, messages: usize) {
    let consumer: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        .set("group.id", "consume-cost")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning)
            .expect("an offset");
    }
    consumer.assign(&list).expect("an assignment");
    let (mut count, mut sum) = (0, 0_usize);
    while count < messages {
        if let Some(message) = consumer.poll(Duration::from_secs(1)) {
            sum += message.expect("a message").payload().map_or(0, <[u8]>::len);
            count += 1;
        }
    }
    assert!(sum > 0);
}

struct FromStart;

impl Assignment for FromStart {
    fn assigned(&self, partitions: Vec<Assigned>) -> Vec<Start> {
        partitions
            .iter()
            .map(|assigned| Start::Offset(assigned.log_start))
            .collect()
    }

    fn revoked(&self, _: &[TopicPartition], _: bool) {}
}

fn batch(config: &KafkaConfig, topic: &str, messages: usize) {
    let config = KafkaConfig {
        group: format!("{topic}-{}", uuid::Uuid::new_v4()),
        ..config.clone()
    };
    let consumer =
        Consumer::subscribe(&config, &[topic.to_owned()], Arc::new(FromStart)).expect("a consumer");
    let (mut count, mut sum) = (0, 0);
    while count < messages {
        for batch in consumer
            .poll(Duration::from_secs(1))
            .expect("a poll")
            .batches
        {
            count += batch.len();
            sum += batch
                .iter()
                .map(|message| message.payload().map_or(0, <[u8]>::len))
                .sum::<usize>();
        }
    }
    assert!(sum > 0);
}
