//! The scenarios. Each takes the brokers' addresses.

use std::sync::Arc;
use std::time::Duration;

use farol_kafka::{ConsumerEvent, Created, From, KafkaError, Producer, Tail, TopicPartition};
use rdkafka::{Offset, TopicPartitionList};

use super::member::{Member, Shared, count, numbers};
use super::{PATIENCE, admin, block_on, config, create, produce, spec, unique, wait_for};

/// Topics are created once, and described with id, partitions and ranges.
pub fn topics(brokers: &str) {
    let topic = unique("topics");
    let admin = admin(brokers);
    let spec = spec(&topic, 3, &[("retention.ms", "3600000")]);
    assert_eq!(
        block_on(admin.create(std::slice::from_ref(&spec))).unwrap(),
        [(topic.clone(), Created::Created)]
    );
    assert_eq!(
        block_on(admin.create(&[spec])).unwrap(),
        [(topic.clone(), Created::AlreadyThere)]
    );
    let names = [topic.clone(), unique("absent")];
    assert_eq!(admin.partitions(&names).unwrap().len(), 3);
    let ids = admin.topic_ids(&names).unwrap();
    assert_eq!(
        ids.keys().collect::<Vec<_>>(),
        [&topic],
        "a topic that is not there has no id"
    );
    assert!(ids[&topic].len() > 16, "{ids:?}");
    produce(brokers, &topic, 0..100);
    let ranges = admin.ranges(std::slice::from_ref(&topic)).unwrap();
    assert_eq!(
        ranges.values().map(|range| range.1 - range.0).sum::<i64>(),
        100
    );
    assert!(!admin.cluster_id().unwrap().is_empty());
    assert!(admin.topics().unwrap().contains(&topic));
}

/// A member reads everything, hears of the ends, is known as the owner, and commits offsets.
pub fn group(brokers: &str) {
    let (topic, group) = (unique("group"), unique("group"));
    create(brokers, &topic, 4);
    produce(brokers, &topic, 0..1_000);
    let shared = Arc::new(Shared::default());
    let config = config(brokers, &group);
    let mut member = Member::join(&config, &topic, &shared);
    wait_for("end of every partition", || {
        member.turn();
        let ended = |partition| {
            member.heard(|event| matches!(event, ConsumerEvent::EndOfPartition { at, .. } if at.partition == partition))
        };
        (0..4).all(ended)
    });
    assert_eq!(numbers(&shared), (0..1_000).collect::<Vec<_>>());
    let ranges = admin(brokers).ranges(std::slice::from_ref(&topic)).unwrap();
    for event in &member.events {
        if let ConsumerEvent::EndOfPartition { at, offset } = event {
            assert_eq!(*offset, ranges[at].1);
        }
    }
    let at = TopicPartition {
        topic: topic.as_str().into(),
        partition: 2,
    };
    assert_eq!(
        member.consumer.log_range(&at, PATIENCE).unwrap(),
        ranges[&at]
    );
    member
        .consumer
        .commit_offsets(&[(at.clone(), ranges[&at].1)])
        .unwrap();
    wait_for("committed offset", || {
        member.turn();
        committed(brokers, &group, &at) == Some(ranges[&at].1)
    });
}

/// The offset that a group has committed.
pub fn committed(brokers: &str, group: &str, at: &TopicPartition) -> Option<i64> {
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    let client: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition(&at.topic, at.partition);
    match client.committed_offsets(list, PATIENCE).unwrap().elements()[0].offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

/// A second member joins while records flow, takes its share, and leaves again; nothing is lost or read by both.
pub fn two_members(brokers: &str) {
    let (topic, group) = (unique("two"), unique("two"));
    create(brokers, &topic, 6);
    let shared = Arc::new(Shared::default());
    let config = config(brokers, &group);
    let mut first = Member::join(&config, &topic, &shared);
    produce(brokers, &topic, 0..3_000);
    wait_for("first records", || {
        first.turn();
        count(&shared) == 3_000
    });
    let mut second = Member::join(&config, &topic, &shared);
    let mut sent = 3_000;
    wait_for("shared assignment", || {
        produce(brokers, &topic, sent..sent + 100);
        sent += 100;
        first.turn();
        second.turn();
        first.holds().len() == 3 && second.holds().len() == 3
    });
    drop(first);
    wait_for("takeover", || {
        produce(brokers, &topic, sent..sent + 100);
        sent += 100;
        second.turn();
        second.holds().len() == 6
    });
    wait_for("rest", || {
        second.turn();
        count(&shared) as u64 == sent
    });
    assert_eq!(numbers(&shared), (0..sent).collect::<Vec<_>>());
    assert_eq!(
        shared.ledger.lock().unwrap().refused,
        0,
        "the members read the same records"
    );
}

/// A stopped partition is not read until it is restarted; restarts in a row lose and double nothing.
pub fn stop_and_restart(brokers: &str) {
    let (topic, group) = (unique("stop"), unique("stop"));
    create(brokers, &topic, 2);
    produce(brokers, &topic, 0..1_000);
    let shared = Arc::new(Shared::default());
    let stopped = TopicPartition {
        topic: topic.as_str().into(),
        partition: 1,
    };
    shared
        .ledger
        .lock()
        .unwrap()
        .stopped
        .insert(stopped.clone());
    let mut member = Member::join(&config(brokers, &group), &topic, &shared);
    let ended = |member: &Member, wanted: i32| {
        member.heard(|event| matches!(event, ConsumerEvent::EndOfPartition { at, .. } if at.partition == wanted))
    };
    wait_for("end of partition 0", || {
        member.turn();
        ended(&member, 0)
    });
    assert!(!ended(&member, 1) && count(&shared) < 1_000);
    shared.ledger.lock().unwrap().stopped.clear();
    for round in 1_u64..=20 {
        member.consumer.restart(&member.holds()).unwrap();
        produce(brokers, &topic, round * 1_000..(round + 1) * 1_000);
        member.turn();
    }
    wait_for("all records", || {
        member.turn();
        count(&shared) == 21_000
    });
    assert_eq!(numbers(&shared), (0..21_000).collect::<Vec<_>>());
    assert_eq!(shared.ledger.lock().unwrap().refused, 0);
}

/// Large records pass whole, among small ones.
pub fn large_records(brokers: &str, bytes: usize) {
    let topic = unique("large");
    let admin = admin(brokers);
    block_on(admin.create(&[spec(&topic, 1, &[("max.message.bytes", "33554432")])])).unwrap();
    let mut settings = config(brokers, "");
    settings
        .properties
        .insert("compression.type".into(), "none".into());
    let producer = Producer::new(&settings).unwrap();
    for round in 0..6_u8 {
        let large = vec![b'0' + round; bytes];
        producer.send(&topic, None, b"7", None).unwrap();
        producer.send(&topic, None, &large, None).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let shared = Arc::new(Shared::default());
    let mut member = Member::join(&config(brokers, &unique("large")), &topic, &shared);
    wait_for("all records", || {
        member.turn();
        count(&shared) == 12
    });
    let ledger = shared.ledger.lock().unwrap();
    let sizes = ledger
        .read
        .values()
        .flatten()
        .map(|(_, payload)| payload.len());
    assert_eq!(sizes.filter(|size| *size == bytes).count(), 6);
}

/// What cannot be delivered is counted and said.
pub fn undeliverable(brokers: &str) {
    let mut settings = config(brokers, "");
    settings
        .properties
        .insert("message.timeout.ms".into(), "4000".into());
    settings
        .properties
        .insert("topic.metadata.propagation.max.ms".into(), "1000".into());
    let producer = Producer::new(&settings).unwrap();
    let absent = unique("absent");
    let mut refused = 0;
    for _ in 0..3 {
        refused += u64::from(producer.send(&absent, None, b"x", None).is_err());
    }
    match producer.flush(PATIENCE) {
        Err(KafkaError::NotDelivered { failed, sent, .. }) => {
            assert_eq!((failed + refused, sent + refused), (3, 3));
        }
        outcome => assert!(
            outcome.is_ok() && refused == 3,
            "{outcome:?} after {refused} refusals"
        ),
    }
    let large = vec![0; 40 << 20];
    let error = producer
        .send(&absent, None, &large, None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("too large"), "{error}");
}

/// A tail reads from the start, from the last so many, and from the end; headers and keys come along.
pub fn tail(brokers: &str) {
    let topic = unique("tail");
    create(brokers, &topic, 2);
    produce(brokers, &topic, 0..100);
    let config = config(brokers, "tail");
    let read = |from: From| {
        let mut tail = Tail::open(&config, &topic, from).unwrap();
        let mut found = Vec::new();
        wait_for("end", || {
            found.extend(tail.next(Duration::from_millis(50)).unwrap());
            tail.reached_end()
        });
        found
    };
    let all = read(From::Beginning);
    assert_eq!(all.len(), 100);
    assert!(
        all.iter()
            .all(|record| record.key == record.payload && record.timestamp_ms.is_some())
    );
    assert_eq!(read(From::Last(5)).len(), 10, "five of each partition");
    assert_eq!(read(From::Last(1_000)).len(), 100, "no more than there are");
    assert_eq!(read(From::End).len(), 0);
    assert!(Tail::open(&config, &unique("absent"), From::End).is_err());
}
