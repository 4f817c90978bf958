//! What the embedded broker cannot do, so only `examples/drill.rs` runs it against a Kafka of one's own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use farol_kafka::{Admin, Assigned, Assignment, Consumer, ConsumerEvent, Start, TopicPartition};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::member::{Member, Shared, count, numbers};
use crate::kafka::{PATIENCE, admin, block_on, config, create, produce, unique, wait_for};

/// The safe client's own admin, for what Farol never does: deleting.
fn native_admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    rdkafka::ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .unwrap()
}

fn delete(brokers: &str, topic: &str) {
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    block_on(native_admin(brokers).delete_topics(&[topic], &options)).unwrap()[0]
        .as_ref()
        .unwrap();
}

/// The members of a group are known as the owners of their partitions.
pub fn owners(brokers: &str) {
    let (topic, group) = (unique("owners"), unique("owners"));
    create(brokers, &topic, 4);
    let config = config(brokers, &group);
    let shared = Arc::new(Shared::default());
    let mut member = Member::join(&config, &topic, &shared);
    wait_for("assignment", || {
        member.turn();
        member.holds().len() == 4
    });
    let owners = Admin::connect(&config).unwrap().owners().unwrap();
    assert_eq!(owners.len(), 4, "{owners:?}");
}

/// A topic that is deleted and created again is another log, with another id, and is read from its start.
pub fn recreated(brokers: &str) {
    let (topic, group) = (unique("again"), unique("again"));
    create(brokers, &topic, 2);
    produce(brokers, &topic, 0..100);
    let shared = Arc::new(Shared::default());
    let mut config = config(brokers, &group);
    config
        .properties
        .insert("topic.metadata.refresh.interval.ms".into(), "1000".into());
    let mut member = Member::join(&config, &topic, &shared);
    wait_for("records of the first", || {
        member.turn();
        count(&shared) == 100
    });
    delete(brokers, &topic);
    wait_for("revocation", || {
        member.turn();
        member.holds().is_empty()
    });
    create(brokers, &topic, 2);
    produce(brokers, &topic, 100..150);
    wait_for("records of the second", || {
        member.turn();
        count(&shared) == 150
    });
    let ledger = shared.ledger.lock().unwrap();
    let ids: BTreeSet<_> = ledger.next.keys().map(|(id, _)| id.clone()).collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
}

/// The same, faster than the group notices: the ids or the offsets must tell.
pub fn recreated_at_once(brokers: &str) {
    let (topic, group) = (unique("at-once"), unique("at-once"));
    create(brokers, &topic, 1);
    produce(brokers, &topic, 0..100);
    let shared = Arc::new(Shared::default());
    let mut config = config(brokers, &group);
    config
        .properties
        .insert("topic.metadata.refresh.interval.ms".into(), "60000".into());
    let mut member = Member::join(&config, &topic, &shared);
    wait_for("records of the first", || {
        member.turn();
        count(&shared) == 100
    });
    delete(brokers, &topic);
    wait_for("deletion", || {
        admin(brokers)
            .partitions(std::slice::from_ref(&topic))
            .unwrap()
            .is_empty()
    });
    create(brokers, &topic, 1);
    produce(brokers, &topic, 100..150);
    member.events.clear();
    wait_for("event or rebalance", || {
        member.turn();
        !member.events.is_empty() || member.holds().is_empty()
    });
    println!(
        "recreated at once: heard {:?}, holds {:?}",
        member.events,
        member.holds()
    );
    wait_for("records of the second", || {
        member.turn();
        let out_of_range: Vec<_> = member
            .events
            .drain(..)
            .filter_map(|event| match event {
                ConsumerEvent::OffsetOutOfRange { at } => Some(at),
                _ => None,
            })
            .collect();
        member.consumer.restart(&out_of_range).unwrap();
        count(&shared) == 150
    });
}

/// Records that are gone before they are read: the event says so, and a restart reads from what is left.
pub fn retention(brokers: &str) {
    let (topic, group) = (unique("gone"), unique("gone"));
    create(brokers, &topic, 1);
    produce(brokers, &topic, 0..100);
    let id = admin(brokers)
        .topic_ids(std::slice::from_ref(&topic))
        .unwrap()[&topic]
        .clone();
    let shared = Arc::new(Shared::default());
    let mut member = Member::join(&config(brokers, &group), &topic, &shared);
    wait_for("all records", || {
        member.turn();
        count(&shared) == 100
    });
    produce(brokers, &topic, 100..200);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(150))
        .unwrap();
    block_on(native_admin(brokers).delete_records(&list, &AdminOptions::new())).unwrap();
    // The ledger says 120, which is gone.
    shared
        .ledger
        .lock()
        .unwrap()
        .next
        .insert((id.clone(), 0), 120);
    let at = TopicPartition {
        topic: topic.as_str().into(),
        partition: 0,
    };
    let gone = Gone::read_from(brokers, &topic, 120);
    assert!(gone, "an offset that is gone must be heard of");
    member.consumer.restart(std::slice::from_ref(&at)).unwrap();
    wait_for("what is left", || {
        member.turn();
        shared.ledger.lock().unwrap().next[&(id.clone(), 0)] == 200
    });
    assert_eq!(
        member.consumer.log_range(&at, PATIENCE).unwrap(),
        (150, 200)
    );
}

/// An assignment that begins at an offset whatever the log's range is.
struct Gone(i64);

impl Assignment for Gone {
    fn assigned(&self, partitions: Vec<Assigned>) -> Vec<Start> {
        partitions.iter().map(|_| Start::Offset(self.0)).collect()
    }

    fn revoked(&self, _: &[TopicPartition], _: bool) {}
}

impl Gone {
    /// Whether reading from an offset is answered by the event, and by no message.
    fn read_from(brokers: &str, topic: &str, offset: i64) -> bool {
        let config = config(brokers, &unique("gone"));
        let consumer =
            Consumer::subscribe(&config, &[topic.to_owned()], Arc::new(Gone(offset))).unwrap();
        let mut heard = false;
        wait_for("offset out of range", || {
            let polled = consumer.poll(Duration::from_millis(50)).unwrap();
            assert!(polled.batches.is_empty());
            heard = polled
                .events
                .iter()
                .any(|event| matches!(event, ConsumerEvent::OffsetOutOfRange { .. }));
            heard
        });
        heard
    }
}

/// Records of transactions that were aborted are not read; the end is past their markers; an open
/// transaction holds the end back.
pub fn transactions(brokers: &str) {
    let topic = unique("transactions");
    create(brokers, &topic, 1);
    let producer: BaseProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("transactional.id", &topic)
        .create()
        .unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    let send = |numbers: std::ops::Range<u64>| {
        producer.begin_transaction().unwrap();
        for number in numbers {
            producer
                .send(BaseRecord::<(), str>::to(&topic).payload(&number.to_string()))
                .unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    };
    send(0..10);
    producer.commit_transaction(PATIENCE).unwrap();
    send(1_000..1_010);
    producer.abort_transaction(PATIENCE).unwrap();
    send(10..20);
    producer.commit_transaction(PATIENCE).unwrap();
    send(20..30);
    let shared = Arc::new(Shared::default());
    let mut member = Member::join(&config(brokers, &unique("transactions")), &topic, &shared);
    // 10 + marker, 10 + marker, 10 + marker; the open one begins at 33.
    wait_for("last stable offset", || {
        member.turn();
        member.heard(|event| matches!(event, ConsumerEvent::EndOfPartition { offset: 33, .. }))
    });
    assert_eq!(numbers(&shared), (0..20).collect::<Vec<_>>());
    let ranges = admin(brokers).ranges(std::slice::from_ref(&topic)).unwrap();
    assert_eq!(
        ranges.values().copied().collect::<Vec<_>>(),
        [(0, 33)],
        "the range ends at the last stable offset"
    );
    let held = member
        .desk
        .held
        .lock()
        .unwrap()
        .values()
        .next()
        .unwrap()
        .clone();
    assert_eq!((held.log_start, held.log_end), (0, 33));
    producer.commit_transaction(PATIENCE).unwrap();
    wait_for("open transaction's end", || {
        member.turn();
        member.heard(|event| matches!(event, ConsumerEvent::EndOfPartition { offset: 44, .. }))
    });
    assert_eq!(numbers(&shared), (0..30).collect::<Vec<_>>());
}
