//! A member of a group that remembers where it is in a place shared with the others, as ingest does in the lake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use farol_kafka::{
    Assigned, Assignment, Consumer, ConsumerEvent, KafkaConfig, Start, TopicPartition,
};

/// An offset and a value.
type Record = (i64, Vec<u8>);

/// What stands in for the lake: per topic id and partition the next offset, and everything read.
#[derive(Default)]
pub struct Ledger {
    pub next: BTreeMap<(String, i32), i64>,
    pub read: BTreeMap<(String, i32), Vec<Record>>,
    /// Partitions that are to be left alone.
    pub stopped: BTreeSet<TopicPartition>,
    /// Reads that did not begin where the last one ended: what a fence would refuse.
    pub refused: u64,
}

/// One member's view of it.
#[derive(Default)]
pub struct Shared {
    pub ledger: Mutex<Ledger>,
}

pub struct Desk {
    shared: Arc<Shared>,
    pub held: Mutex<BTreeMap<TopicPartition, Assigned>>,
    pub lost: Mutex<u64>,
}

impl Assignment for Desk {
    fn assigned(&self, partitions: Vec<Assigned>) -> Vec<Start> {
        let ledger = self.shared.ledger.lock().unwrap();
        let mut held = self.held.lock().unwrap();
        partitions
            .into_iter()
            .map(|assigned| {
                let key = (assigned.topic_id.clone(), assigned.at.partition);
                let next = ledger.next.get(&key).copied().unwrap_or(0);
                let stopped = ledger.stopped.contains(&assigned.at);
                let start = if stopped {
                    Start::Stopped
                } else {
                    Start::Offset(next.max(assigned.log_start))
                };
                println!(
                    "ASSIGNED {} {start:?} {}..{}",
                    assigned.at, assigned.log_start, assigned.log_end
                );
                held.insert(assigned.at.clone(), assigned);
                start
            })
            .collect()
    }

    fn revoked(&self, partitions: &[TopicPartition], lost: bool) {
        let mut held = self.held.lock().unwrap();
        for at in partitions {
            // One whose start could not be asked for was never held.
            held.remove(at);
        }
        *self.lost.lock().unwrap() += u64::from(lost);
    }
}

/// A member of the group.
pub struct Member {
    pub consumer: Consumer,
    pub desk: Arc<Desk>,
    shared: Arc<Shared>,
    pub events: Vec<ConsumerEvent>,
}

impl Member {
    pub fn join(config: &KafkaConfig, topic: &str, shared: &Arc<Shared>) -> Self {
        let desk = Arc::new(Desk {
            shared: shared.clone(),
            held: Mutex::default(),
            lost: Mutex::default(),
        });
        let consumer = Consumer::subscribe(config, &[topic.to_owned()], desk.clone()).unwrap();
        Self {
            consumer,
            desk,
            shared: shared.clone(),
            events: Vec::new(),
        }
    }

    /// Polls once, and writes what came into the ledger.
    pub fn turn(&mut self) {
        let polled = self.consumer.poll(Duration::from_millis(50)).unwrap();
        for batch in &polled.batches {
            let held = self.desk.held.lock().unwrap();
            let assigned = held
                .get(batch.at())
                .unwrap_or_else(|| panic!("{batch:?} is not held"));
            let key = (assigned.topic_id.clone(), batch.at().partition);
            let mut ledger = self.shared.ledger.lock().unwrap();
            let next = ledger.next.get(&key).copied().unwrap_or(0);
            let first = batch.iter().next().unwrap().offset();
            if first < next {
                ledger.refused += 1;
                continue;
            }
            let read = batch.iter().map(|message| {
                (
                    message.offset(),
                    message.payload().unwrap_or_default().to_vec(),
                )
            });
            let read: Vec<_> = read.collect();
            assert!(
                read.windows(2).all(|pair| pair[0].0 < pair[1].0),
                "{batch:?} is out of order"
            );
            if first > next {
                println!(
                    "GAP {} next {next} first {first} last {} holds {:?}",
                    batch.at(),
                    read[read.len() - 1].0,
                    held.len()
                );
            }
            for w in read.windows(2) {
                if w[1].0 != w[0].0 + 1 {
                    println!("INNER GAP {} {} {}", batch.at(), w[0].0, w[1].0);
                }
            }
            ledger.next.insert(key.clone(), read[read.len() - 1].0 + 1);
            ledger.read.entry(key).or_default().extend(read);
        }
        self.events.extend(polled.events);
    }

    /// The partitions held.
    pub fn holds(&self) -> Vec<TopicPartition> {
        self.desk.held.lock().unwrap().keys().cloned().collect()
    }

    pub fn heard(&self, wanted: impl Fn(&ConsumerEvent) -> bool) -> bool {
        self.events.iter().any(wanted)
    }
}

/// Everything read, as numbers, sorted.
pub fn numbers(shared: &Shared) -> Vec<u64> {
    let ledger = shared.ledger.lock().unwrap();
    let texts = ledger
        .read
        .values()
        .flatten()
        .map(|(_, text)| std::str::from_utf8(text).unwrap());
    let mut numbers: Vec<u64> = texts.map(|text| text.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

/// How many records were read.
pub fn count(shared: &Shared) -> usize {
    shared
        .ledger
        .lock()
        .unwrap()
        .read
        .values()
        .map(Vec::len)
        .sum()
}
