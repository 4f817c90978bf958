//! Putting the threads together, and waiting for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use farol_kafka::{Admin, Consumer, KafkaConfig, TopicPartition};
use farol_lake::Lake;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::assignment::LakeAssignment;
use crate::consume::{Job, Polling};
use crate::coordinator::{Coordinator, Inbox, IngestReport, Surroundings};
use crate::drain::Drain;
use crate::error::IngestError;
use crate::marks::PartitionKey;
use crate::options::{IngestOptions, InputTopic};
use crate::readiness::Health;
use crate::tables::Tables;
use crate::work;

/// How long Kafka may take to answer before ingest can begin.
const KAFKA_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes that one remembered entry takes, for bounding how much of the lake is read to rebuild the memory.
const SEEN_BYTES: usize = 48;

/// What ingest works on.
pub struct Ingest {
    /// Kafka.
    pub kafka: KafkaConfig,
    /// The lake.
    pub lake: Lake,
    /// Which topics feed which tables.
    pub topics: Vec<InputTopic>,
    /// Bounds.
    pub options: IngestOptions,
    /// Read every topic to its last stable offset as it stands at the start, then end.
    pub drain: bool,
    /// Cancelled to finish the batch in hand and end.
    pub shutdown: CancellationToken,
    /// Told how ingest is doing.
    pub health: Health,
    /// Where the lake's I/O runs.
    pub runtime: Handle,
}

/// Runs ingest until it is told to end, or until a drain is done. Blocks; call it on a thread of its own,
/// not on the runtime.
///
/// # Errors
/// When Kafka or the lake cannot be reached at the start, when Kafka's client cannot go on, or when a drain
/// cannot commit. What was read and not committed is read again at the next start.
pub fn run(ingest: Ingest) -> Result<IngestReport, IngestError> {
    let Ingest {
        kafka,
        lake,
        topics,
        options,
        drain,
        shutdown,
        health,
        runtime,
    } = ingest;
    let tables = runtime.block_on(Tables::open(&lake, &topics))?;
    let (inbox, messages) = channel();
    let (commands, to_consumer) = channel();
    let in_flight = Arc::new(AtomicUsize::new(0));
    let stop = shutdown.child_token();
    let kafka = bounded(kafka, &options);
    let admin = Admin::connect_within(&kafka, KAFKA_TIMEOUT)?;
    let cluster_id = admin.cluster_id()?;
    let names: Vec<_> = topics.iter().map(|topic| topic.name.clone()).collect();
    let drain = if drain {
        Some(drain_targets(&admin, &cluster_id, &names)?)
    } else {
        None
    };
    let assignment = Arc::new(LakeAssignment::new(
        tables.clone(),
        cluster_id,
        topics
            .iter()
            .map(|topic| (topic.name.clone(), topic.kind))
            .collect::<BTreeMap<_, _>>(),
        (
            options.dedup_horizon,
            options.dedup_memory_bytes / SEEN_BYTES,
        ),
        runtime.clone(),
        inbox.clone(),
    ));
    let consumer = Arc::new(Consumer::subscribe(&kafka, &names, assignment.clone())?);
    let (workers, handles) = spawn_workers(&inbox, &options);
    let surroundings = Surroundings {
        tables,
        consumer: consumer.clone(),
        runtime,
        inbox: inbox.clone(),
        commands,
        in_flight: in_flight.clone(),
        stop: stop.clone(),
        health,
        workers: workers.len(),
        options: options.clone(),
    };
    let in_flight_limit = options.in_flight_bytes();
    let polling = Polling {
        consumer,
        assignment,
        workers,
        inbox,
        commands: to_consumer,
        in_flight,
        in_flight_limit,
        stop,
    };
    let consuming = spawn("farol-consume", move || polling.run());
    let report = coordinate(surroundings, drain, &messages);
    join(consuming, "consumer")?;
    handles
        .into_iter()
        .try_for_each(|handle| join(handle, "decoder"))?;
    report
}

fn coordinate(
    surroundings: Surroundings,
    drain: Option<Drain>,
    messages: &Receiver<Inbox>,
) -> Result<IngestReport, IngestError> {
    let stop = surroundings.stop.clone();
    let report = Coordinator::new(surroundings, drain).run(messages);
    stop.cancel();
    report
}

/// What Kafka's client may hold, unless the operator said otherwise.
fn bounded(mut kafka: KafkaConfig, options: &IngestOptions) -> KafkaConfig {
    let fetch_ahead = (options.fetch_ahead_bytes() / 1024).to_string();
    let properties = &mut kafka.properties;
    properties
        .entry("queued.max.messages.kbytes".to_owned())
        .or_insert(fetch_ahead);
    // The client knows this property by two names.
    if !properties.contains_key("fetch.message.max.bytes") {
        properties
            .entry("max.partition.fetch.bytes".to_owned())
            .or_insert(options.partition_fetch_bytes().to_string());
    }
    kafka
}

/// Every partition's end as it stands now.
fn drain_targets(admin: &Admin, cluster_id: &str, topics: &[String]) -> Result<Drain, IngestError> {
    let ids = admin.topic_ids(topics)?;
    let target = |(at, range): (TopicPartition, (i64, i64))| {
        let topic = at.topic.to_string();
        // A topic that goes away just now must not be taken for one without an id: that is another log's name.
        let gone = || IngestError::TopicGone(topic.clone());
        let topic_id = ids.get(&topic).cloned().ok_or_else(gone)?;
        let key = PartitionKey {
            cluster_id: cluster_id.to_owned(),
            topic,
            topic_id,
            partition: at.partition,
        };
        Ok((key, range))
    };
    let targets = admin.ranges(topics)?.into_iter().map(target);
    let targets = targets.collect::<Result<Vec<_>, IngestError>>()?;
    Ok(Drain::new(targets, Instant::now()))
}

fn spawn_workers(
    inbox: &Sender<Inbox>,
    options: &IngestOptions,
) -> (Vec<Sender<Job>>, Vec<JoinHandle<()>>) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    (0..threads)
        .map(|_| {
            let (sender, jobs) = channel();
            let (inbox, options) = (inbox.clone(), options.clone());
            (
                sender,
                spawn("farol-decode", move || work::run(&jobs, &inbox, &options)),
            )
        })
        .unzip()
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .unwrap_or_else(|error| panic!("the operating system gives no thread: {error}"))
}

fn join(handle: JoinHandle<()>, name: &'static str) -> Result<(), IngestError> {
    handle.join().map_err(|_| IngestError::ThreadEnded(name))
}
