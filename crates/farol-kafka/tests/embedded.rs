//! The scenarios against the embedded broker, and the broker itself: one owner, found by others, durable.

mod kafka;

use std::net::SocketAddr;
use std::sync::Arc;

use farol_kafka::{EmbeddedBroker, TopicPartition};
use kafka::member::{Member, Shared, count};
use kafka::{admin, config, create, produce, scenarios, wait_for};
use tempfile::TempDir;

fn free() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn with_broker(scenario: impl FnOnce(&str)) {
    let dir = TempDir::new().unwrap();
    let broker = EmbeddedBroker::start(dir.path(), free()).unwrap();
    scenario(&broker.address().to_string());
}

#[test]
fn topics_are_created_and_described() {
    with_broker(scenarios::topics);
}

#[test]
fn a_member_reads_everything() {
    with_broker(scenarios::group);
}

#[test]
fn two_members_share_and_take_over() {
    with_broker(scenarios::two_members);
}

#[test]
fn stopped_partitions_wait_for_a_restart() {
    with_broker(scenarios::stop_and_restart);
}

#[test]
fn large_records_pass() {
    with_broker(|brokers| scenarios::large_records(brokers, 4 << 20));
}

#[test]
fn what_cannot_be_delivered_is_said() {
    with_broker(scenarios::undeliverable);
}

#[test]
fn a_tail_begins_where_it_is_told() {
    with_broker(scenarios::tail);
}

#[test]
fn data_and_offsets_outlive_the_broker() {
    let dir = TempDir::new().unwrap();
    let broker = EmbeddedBroker::start(dir.path(), free()).unwrap();
    let brokers = broker.address().to_string();
    let id = admin(&brokers).cluster_id().unwrap();
    create(&brokers, "kept", 1);
    produce(&brokers, "kept", 0..100);
    let topic_id = admin(&brokers).topic_ids(&["kept".to_owned()]).unwrap();
    let at = TopicPartition {
        topic: "kept".into(),
        partition: 0,
    };
    let shared = Arc::new(Shared::default());
    let mut member = Member::join(&config(&brokers, "kept"), "kept", &shared);
    wait_for("committed offset", || {
        member.turn();
        if count(&shared) == 100 {
            member
                .consumer
                .commit_offsets(&[(at.clone(), 100)])
                .unwrap();
        }
        scenarios::committed(&brokers, "kept", &at) == Some(100)
    });
    drop(member);
    broker.shutdown();

    let broker = EmbeddedBroker::start(dir.path(), free()).unwrap();
    let brokers = broker.address().to_string();
    assert_eq!(admin(&brokers).cluster_id().unwrap(), id);
    assert_eq!(
        admin(&brokers).topic_ids(&["kept".to_owned()]).unwrap(),
        topic_id
    );
    assert_eq!(scenarios::committed(&brokers, "kept", &at), Some(100));
    produce(&brokers, "kept", 100..200);
    let mut member = Member::join(&config(&brokers, "kept"), "kept", &shared);
    wait_for("records of both lives", || {
        member.turn();
        count(&shared) == 200
    });
    assert_eq!(
        kafka::member::numbers(&shared),
        (0..200).collect::<Vec<_>>()
    );
}

#[test]
fn a_member_that_ended_with_the_broker_keeps_no_partitions() {
    let dir = TempDir::new().unwrap();
    let broker = EmbeddedBroker::start(dir.path(), free()).unwrap();
    let brokers = broker.address().to_string();
    create(&brokers, "left", 3);
    produce(&brokers, "left", 0..30);
    let shared = Arc::new(Shared::default());
    let mut member = Member::join(&config(&brokers, "left"), "left", &shared);
    wait_for("records before", || {
        member.turn();
        count(&shared) == 30
    });
    // The broker goes first, as when a process that holds both is killed: nobody says that the member left.
    broker.shutdown();
    drop(member);

    let broker = EmbeddedBroker::start(dir.path(), free()).unwrap();
    let brokers = broker.address().to_string();
    produce(&brokers, "left", 30..60);
    let mut member = Member::join(&config(&brokers, "left"), "left", &shared);
    wait_for("records of both lives", || {
        member.turn();
        count(&shared) == 60
    });
}

#[test]
fn a_directory_has_one_broker_that_others_find() {
    let dir = TempDir::new().unwrap();
    assert_eq!(EmbeddedBroker::find(dir.path()), None);
    let (address, started) = EmbeddedBroker::connect_or_start(dir.path(), free()).unwrap();
    let broker = started.expect("nobody else runs it");
    assert_eq!(EmbeddedBroker::find(dir.path()).as_ref(), Some(&address));
    let (found, started) = EmbeddedBroker::connect_or_start(dir.path(), free()).unwrap();
    assert!(found == address && started.is_none());
    let error = EmbeddedBroker::start(dir.path(), free())
        .err()
        .expect("it runs already")
        .to_string();
    assert!(error.contains("another process"), "{error}");
    broker.shutdown();
    assert_eq!(EmbeddedBroker::find(dir.path()), None);
}

#[test]
fn a_taken_port_is_left_to_its_owner() {
    let taken = std::net::TcpListener::bind(free()).unwrap();
    let dir = TempDir::new().unwrap();
    let wanted = taken.local_addr().unwrap();
    let broker = EmbeddedBroker::start(dir.path(), wanted).unwrap();
    assert_ne!(broker.address(), wanted);
    assert!(
        !admin(&broker.address().to_string())
            .cluster_id()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_broker_that_does_not_answer_is_named() {
    let nobody = std::net::TcpListener::bind(free())
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let patience = std::time::Duration::from_secs(1);
    let error = farol_kafka::Admin::connect_within(&config(&nobody, "g"), patience)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains(&nobody) && error.contains("is it running"),
        "{error}"
    );
}
