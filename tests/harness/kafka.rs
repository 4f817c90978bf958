//! A real Apache Kafka on loopback, and the few things that tests do to it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{PATIENCE, Served, root, serve, wait_until};

/// A broker with a directory of its own. It ends with this process, however that ends.
pub struct RealKafka {
    directory: PathBuf,
    ports: (u16, u16),
    _serving: Served,
}

/// A record to send.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Where to; by key where it is not said.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value; none is a tombstone.
    pub payload: Option<Vec<u8>>,
    /// The headers.
    pub headers: Vec<(&'static str, Vec<u8>)>,
}

impl Record {
    /// A record without a key.
    pub fn to(partition: i32, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            partition: Some(partition),
            payload: Some(payload.into()),
            ..Self::default()
        }
    }

    /// A record that finds its partition by its key.
    pub fn keyed(key: &str, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            key: Some(key.into()),
            payload: Some(payload.into()),
            ..Self::default()
        }
    }
}

impl RealKafka {
    /// The broker that the tests of this program share; each has topics of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RealKafka> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a broker that only one test uses.
    pub fn start() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("farol-kafka-")
            .tempdir()
            .expect("a directory")
            .keep();
        let ports = (free_port(), free_port());
        let serving = serve(
            script("serve")
                .arg(&directory)
                .args([ports.0.to_string(), ports.1.to_string()]),
        );
        assert_eq!(serving.said, "ready", "Kafka did not start");
        Self {
            directory,
            ports,
            _serving: serving,
        }
    }

    /// Its address.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.ports.0)
    }

    /// Kills the broker as a crash would.
    pub fn crash(&self) {
        self.act("kill", &[]);
    }

    /// Ends the broker in good order.
    pub fn stop(&self) {
        self.act("stop", &[]);
    }

    /// Starts the broker again, on what it left.
    pub fn restart(&self) {
        self.act(
            "start",
            &[self.ports.0.to_string(), self.ports.1.to_string()],
        );
    }

    /// Where the broker keeps its logs.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn act(&self, action: &str, ports: &[String]) {
        let done = script(action)
            .arg(&self.directory)
            .args(ports)
            .status()
            .expect("bash is there");
        assert!(done.success(), "kafka.sh {action} failed");
    }

    /// Creates a topic. Settings are Kafka's, such as `max.message.bytes`.
    pub fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let created =
            block_on(self.admin().create_topics([&topic], &options())).expect("Kafka answers");
        assert!(
            created.iter().all(Result::is_ok),
            "{name} could not be created: {created:?}"
        );
        wait_until("the topic is there", PATIENCE, || {
            (self.partitions_of(name) == partitions as usize).then_some(())
        });
    }

    /// Adds partitions to a topic, up to `count`.
    pub fn grow_topic(&self, name: &str, count: usize) {
        let grown = block_on(
            self.admin()
                .create_partitions([&NewPartitions::new(name, count)], &options()),
        );
        assert!(
            grown.expect("Kafka answers").iter().all(Result::is_ok),
            "{name} could not grow"
        );
        wait_until("the partitions are there", PATIENCE, || {
            (self.partitions_of(name) == count).then_some(())
        });
    }

    /// Deletes a topic and waits until it is gone.
    pub fn delete_topic(&self, name: &str) {
        let deleted =
            block_on(self.admin().delete_topics(&[name], &options())).expect("Kafka answers");
        assert!(
            deleted.iter().all(Result::is_ok),
            "{name} could not be deleted: {deleted:?}"
        );
        wait_until("the topic is gone", PATIENCE, || {
            (self.partitions_of(name) == 0).then_some(())
        });
    }

    /// Deletes what a partition holds before an offset, as retention does.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(before))
            .expect("an offset");
        let deleted =
            block_on(self.admin().delete_records(&offsets, &options())).expect("Kafka answers");
        let left = deleted
            .elements()
            .first()
            .map(rdkafka::topic_partition_list::TopicPartitionListElem::offset);
        assert_eq!(left, Some(Offset::Offset(before)));
    }

    fn partitions_of(&self, topic: &str) -> usize {
        let admin = self.admin();
        let metadata = admin
            .inner()
            .fetch_metadata(Some(topic), Duration::from_secs(10));
        metadata.map_or(0, |metadata| {
            metadata
                .topics()
                .iter()
                .map(|topic| topic.partitions().len())
                .sum()
        })
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        client(&self.brokers()).create().expect("a client")
    }

    /// Sends records in order and waits for the broker's word on each: their partitions and offsets.
    pub fn send(&self, topic: &str, records: impl IntoIterator<Item = Record>) -> Vec<(i32, i64)> {
        send(&self.brokers(), topic, records)
    }
}

/// A record that was read.
#[derive(Debug, Clone)]
pub struct Read {
    /// Its key.
    pub key: String,
    /// Its value.
    pub body: serde_json::Value,
    /// Its headers.
    pub headers: std::collections::BTreeMap<String, String>,
}

/// Reads all of a topic, in each partition's order: what transactions committed, and nothing else.
pub fn read_committed(brokers: &str, topic: &str) -> Vec<Read> {
    let consumer: BaseConsumer = client(brokers)
        .set("group.id", "reads-committed")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    let metadata = consumer
        .fetch_metadata(Some(topic), PATIENCE)
        .expect("the broker answers");
    let partitions = metadata.topics()[0].partitions();
    let mut open = partitions.len();
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, partition.id(), Offset::Beginning)
            .expect("an offset");
    }
    consumer.assign(&list).expect("partitions");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let mut found = Vec::new();
    let began = std::time::Instant::now();
    while open > 0 {
        assert!(began.elapsed() < PATIENCE, "{topic} has no end");
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => panic!("{topic}: {error}"),
            Some(Ok(message)) => found.push(Read {
                key: message.key().map(text).unwrap_or_default(),
                body: serde_json::from_slice(message.payload().expect("a value")).expect("JSON"),
                headers: message
                    .headers()
                    .map(|headers| {
                        headers
                            .iter()
                            .map(|header| {
                                (header.key.to_owned(), text(header.value.unwrap_or(b"")))
                            })
                            .collect()
                    })
                    .unwrap_or_default(),
            }),
        }
    }
    found
}

/// Sends records to any broker in order and waits for its word on each: their partitions and offsets.
pub fn send(
    brokers: &str,
    topic: &str,
    records: impl IntoIterator<Item = Record>,
) -> Vec<(i32, i64)> {
    let producer: FutureProducer = client(brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("compression.type", "lz4")
        .set("message.max.bytes", "33554432")
        .set("queue.buffering.max.kbytes", "262144")
        .set("message.timeout.ms", "120000")
        .create()
        .expect("a producer");
    let waiting: Vec<_> = records
        .into_iter()
        .map(|record| enqueue(&producer, topic, &record))
        .collect();
    producer
        .flush(PATIENCE)
        .expect("the broker takes the records");
    let delivered = waiting.into_iter().map(|delivery| {
        let delivery = block_on(delivery).expect("the producer lives");
        let delivery = delivery
            .map_err(|(error, _)| error)
            .expect("the broker takes the record");
        (delivery.partition, delivery.offset)
    });
    delivered.collect()
}

fn enqueue(
    producer: &FutureProducer,
    topic: &str,
    record: &Record,
) -> rdkafka::producer::DeliveryFuture {
    let mut headers = OwnedHeaders::new();
    for (key, value) in &record.headers {
        headers = headers.insert(Header {
            key,
            value: Some(value),
        });
    }
    let mut message = FutureRecord::<[u8], [u8]>::to(topic).headers(headers);
    message.partition = record.partition;
    message.key = record.key.as_deref();
    message.payload = record.payload.as_deref();
    loop {
        match producer.send_result(message) {
            Ok(delivery) => return delivery,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                thread::sleep(Duration::from_millis(5));
                message = back;
            }
            Err((error, _)) => panic!("the record was refused: {error}"),
        }
    }
}

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("log_level", "2");
    config
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(Duration::from_secs(30)))
        .operation_timeout(Some(Duration::from_secs(30)))
}

fn script(action: &str) -> Command {
    let mut command = Command::new("bash");
    command
        .arg(root().join("tests/services/kafka.sh"))
        .arg(action);
    command
}

/// A port of loopback that nobody listens at.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("it is bound").port()
}
