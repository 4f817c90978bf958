//! What happens to topics, partitions and their owners.

use std::process::Command;

use crate::harness::events::{ids, keyed_traces, traces_to};
use crate::harness::farol::{Farol, Totals};
use crate::harness::kafka::{RealKafka, Record};
use crate::harness::{PATIENCE, wait_until};

#[test]
fn partitions_added_while_running_are_read_from_their_start() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(&kafka.brokers(), &[("grown.traces", "trace", 2)], "");
    kafka.create_topic("grown.traces", 2, &[]);
    let ingest = farol.start(&["run", "--roles", "ingest"]);
    let first = ids("grown-a", 0..500);
    kafka.send("grown.traces", keyed_traces(&first));
    farol.wait_for_read(500);
    kafka.grow_topic("grown.traces", 6);
    let second = ids("grown-b", 0..600);
    let places = kafka.send(
        "grown.traces",
        second
            .iter()
            .enumerate()
            .map(|(number, id)| traces_to((number % 6) as i32, std::slice::from_ref(id)).remove(0)),
    );
    assert!(
        places
            .iter()
            .any(|(partition, offset)| *partition == 5 && *offset == 0)
    );
    farol.wait_for_read(1_100);
    assert_eq!(ingest.stop(), Some(0));
    assert_eq!(farol.event_ids("traces"), [first, second].concat());
    assert_eq!(
        farol.totals(),
        Totals {
            read: 1_100,
            stored: 1_100,
            ..Totals::default()
        }
    );
    assert_eq!(farol.status().len(), 6);
    farol.verify();
}

#[test]
fn a_topic_deleted_and_created_again_is_another_log() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(&kafka.brokers(), &[("again.traces", "trace", 2)], "");
    kafka.create_topic("again.traces", 2, &[]);
    let before = ids("again-a", 0..400);
    kafka.send("again.traces", keyed_traces(&before));
    farol.drain();
    kafka.delete_topic("again.traces");
    kafka.create_topic("again.traces", 2, &[]);
    // Fewer records than before: by offsets alone they would all look read.
    let after = ids("again-b", 0..100);
    kafka.send("again.traces", keyed_traces(&after));
    let drained = farol.call(&["run", "--roles", "ingest", "--drain"]);
    assert_eq!(drained.code, Some(0), "{}", drained.stderr);
    assert!(
        drained.stderr.contains("deleted and created again"),
        "{}",
        drained.stderr
    );
    assert_eq!(farol.event_ids("traces"), [before, after].concat());
    // The marks are of the log that is there now.
    assert_eq!(
        farol.totals(),
        Totals {
            read: 100,
            stored: 100,
            ..Totals::default()
        }
    );
    let said = farol.ok(&["status"]);
    assert!(said.contains("deleted and created again"), "{said}");
    farol.verify();
}

#[test]
fn a_topic_created_again_and_filled_past_the_old_position_is_read_from_its_start() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(&kafka.brokers(), &[("refilled.traces", "trace", 1)], "");
    kafka.create_topic("refilled.traces", 1, &[]);
    let before = ids("refilled-a", 0..40);
    kafka.send("refilled.traces", keyed_traces(&before));
    let process = farol.start(&["run", "--roles", "ingest"]);
    let rows = || farol.number("SELECT count(*) AS n FROM traces");
    wait_until("the old topic is read", PATIENCE, || {
        (rows() == 40).then_some(())
    });
    // The client never sees that the topic was away: when it looks again, the old position lies within the new log.
    process.freeze();
    kafka.delete_topic("refilled.traces");
    kafka.create_topic("refilled.traces", 1, &[]);
    let after = ids("refilled-b", 0..300);
    kafka.send("refilled.traces", keyed_traces(&after));
    process.thaw();
    wait_until("the new topic is read", PATIENCE, || {
        (rows() >= 340).then_some(())
    });
    assert_eq!(process.stop(), Some(0));
    farol.drain();
    assert_eq!(farol.event_ids("traces"), [before, after].concat());
    assert_eq!(
        farol.totals(),
        Totals {
            read: 300,
            stored: 300,
            ..Totals::default()
        }
    );
    farol.verify();
}

#[test]
fn what_retention_took_before_it_was_read_is_counted_and_the_rest_goes_on() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(&kafka.brokers(), &[("retained.traces", "trace", 3)], "");
    kafka.create_topic("retained.traces", 3, &[]);
    let of = |partition: i32| ids(&format!("retained-{partition}"), 0..200);
    let send = |partition: i32, range: std::ops::Range<usize>| {
        kafka.send(
            "retained.traces",
            traces_to(partition, &of(partition)[range]),
        );
    };
    (0..3).for_each(|partition| send(partition, 0..100));
    farol.drain();
    (0..3).for_each(|partition| send(partition, 100..200));
    // Of partition 0 half of what is new is gone, of partition 1 all, of partition 2 nothing.
    kafka.delete_records("retained.traces", 0, 150);
    kafka.delete_records("retained.traces", 1, 200);
    farol.drain();
    let kept = [&of(0)[..100], &of(0)[150..], &of(1)[..100], &of(2)[..]].concat();
    assert_eq!(farol.event_ids("traces"), kept);
    let lost: Vec<_> = farol
        .status()
        .iter()
        .map(|p| (p.partition, p.next, p.stored, p.lost))
        .collect();
    assert_eq!(
        lost,
        [
            (0, Some(200), 150, 50),
            (1, Some(200), 100, 100),
            (2, Some(200), 200, 0)
        ]
    );
    assert_eq!(
        farol.totals(),
        Totals {
            read: 450,
            stored: 450,
            lost: 150,
            ..Totals::default()
        }
    );
    // It is counted once.
    farol.drain();
    assert_eq!(farol.totals().lost, 150);
    farol.verify();
}

#[test]
fn retention_while_running_is_lived_through() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(&kafka.brokers(), &[("trimmed.traces", "trace", 1)], "");
    kafka.create_topic("trimmed.traces", 1, &[]);
    let ingest = farol.start(&["run", "--roles", "ingest"]);
    let sent = ids("trimmed", 0..300);
    kafka.send("trimmed.traces", traces_to(0, &sent[..100]));
    farol.wait_for_read(100);
    ingest.freeze();
    kafka.send("trimmed.traces", traces_to(0, &sent[100..200]));
    kafka.delete_records("trimmed.traces", 0, 200);
    kafka.send("trimmed.traces", traces_to(0, &sent[200..]));
    ingest.thaw();
    let totals = wait_until("the last record is read", PATIENCE, || {
        let status = farol.status();
        (status[0].next == Some(300)).then(|| farol.totals())
    });
    assert_eq!(ingest.stop(), Some(0));
    // What the client had fetched before it was frozen may still be there; nothing else may be missing.
    assert_eq!(totals.read + totals.lost, 300);
    assert_eq!(totals.stored, totals.read);
    let rows = farol.event_ids("traces");
    assert_eq!(rows.len() as i64, totals.stored);
    assert!(
        sent[200..]
            .iter()
            .chain(&sent[..100])
            .all(|id| rows.contains(id))
    );
    farol.verify();
}

#[test]
fn a_partition_of_nothing_but_malformed_records_is_read_to_its_end() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(&kafka.brokers(), &[("malformed.traces", "trace", 2)], "");
    kafka.create_topic("malformed.traces", 2, &[]);
    kafka.send(
        "malformed.traces",
        (0..500).map(|number| Record::to(0, format!("not JSON {number}"))),
    );
    let good = ids("malformed", 0..10);
    kafka.send("malformed.traces", traces_to(1, &good));
    farol.drain();
    assert_eq!(farol.event_ids("traces"), good);
    let status = farol.status();
    assert_eq!(
        (status[0].next, status[0].dead_letters, status[0].stored),
        (Some(500), 500, 0)
    );
    assert_eq!(
        (status[1].next, status[1].dead_letters, status[1].stored),
        (Some(10), 0, 10)
    );
    assert_eq!(
        farol.number("SELECT count(*) AS n FROM dead_letters WHERE reason_code = 'invalid_json'"),
        500
    );
    assert_eq!(
        farol.number("SELECT count(DISTINCT raw) AS n FROM dead_letters WHERE length(reason) > 0"),
        500
    );
    farol.drain();
    assert_eq!(farol.totals().dead_letters, 500);
    farol.verify();
}

/// An instance is frozen between its upload and its commit. Another takes the partitions over and commits
/// the same records. Thawed, the first one commits what it had: the lake refuses it, and it finds its place.
#[test]
fn a_zombie_that_wakes_after_its_partitions_moved_stores_nothing_twice() {
    let kafka = RealKafka::shared();
    let topic = [("zombie.traces", "trace", 2)];
    let farol = Farol::new(&kafka.brokers(), &topic, "");
    kafka.create_topic("zombie.traces", 2, &[]);
    let run = ["run", "--roles", "ingest"];
    let zombie = farol.start_with_failpoint(&run, "ingest.after_upload=sleep(2000)@1");
    let first = ids("zombie-a", 0..400);
    kafka.send("zombie.traces", keyed_traces(&first));
    wait_until("the first instance has uploaded", PATIENCE, || {
        (farol.parquet_files("traces") > 0).then_some(())
    });
    zombie.freeze();
    assert_eq!(
        farol.number("SELECT count(*) AS n FROM traces"),
        0,
        "it has committed before it was frozen"
    );

    let heir = farol.start(&run);
    farol.wait_for_read(400);
    zombie.thaw();
    let second = ids("zombie-b", 0..400);
    kafka.send("zombie.traces", keyed_traces(&second));
    farol.wait_for_read(800);
    // The zombie is a member again, with partitions of its own.
    wait_until("both instances own partitions", PATIENCE, || {
        let status = farol.status();
        let owners: std::collections::BTreeSet<_> =
            status.iter().filter_map(|p| p.owner.clone()).collect();
        (owners.len() == 2).then_some(())
    });
    let third = ids("zombie-c", 0..400);
    kafka.send("zombie.traces", keyed_traces(&third));
    farol.wait_for_read(1_200);
    assert_eq!(zombie.stop(), Some(0));
    assert_eq!(heir.stop(), Some(0));
    assert_eq!(farol.event_ids("traces"), [first, second, third].concat());
    assert_eq!(
        farol.totals(),
        Totals {
            read: 1_200,
            stored: 1_200,
            ..Totals::default()
        }
    );
    farol.verify();
}

#[test]
fn a_broker_that_crashes_is_waited_for() {
    let kafka = RealKafka::start();
    let farol = Farol::new(&kafka.brokers(), &[("crashed.traces", "trace", 2)], "");
    kafka.create_topic("crashed.traces", 2, &[]);
    let mut ingest = farol.start(&["run", "--roles", "ingest"]);
    let sent = ids("crashed", 0..1_000);
    kafka.send("crashed.traces", keyed_traces(&sent[..500]));
    farol.wait_for_read(500);
    kafka.crash();
    // Without a broker, status answers from the lake.
    let status = farol.call(&["status", "--json"]);
    assert_eq!(status.code, Some(3), "{}", status.stderr);
    assert!(
        status.stdout.contains("\"log_end\":null"),
        "{}",
        status.stdout
    );
    assert_eq!(farol.event_ids("traces").len(), 500);
    kafka.restart();
    kafka.send("crashed.traces", keyed_traces(&sent[500..]));
    farol.wait_for_read(1_000);
    assert!(ingest.ended().is_none(), "{}", ingest.stderr());
    assert_eq!(ingest.stop(), Some(0));
    assert_eq!(farol.event_ids("traces"), sent);
    farol.verify();
}

/// The broker comes back from a backup: the same log, but shorter than what was read of it.
#[test]
fn a_mark_beyond_the_log_stops_its_partition_until_a_person_decides() {
    let kafka = RealKafka::start();
    let farol = Farol::new(&kafka.brokers(), &[("beyond.traces", "trace", 2)], "");
    kafka.create_topic("beyond.traces", 2, &[]);
    let sent = ids("beyond", 0..60);
    kafka.send("beyond.traces", traces_to(0, &sent[..30]));
    kafka.stop();
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let copied = Command::new("cp")
            .arg("-a")
            .arg(from)
            .arg(to)
            .status()
            .expect("cp is there");
        assert!(copied.success());
    };
    let backup = farol.path().join("backup");
    copy(&kafka.data(), &backup);
    kafka.restart();
    kafka.send("beyond.traces", traces_to(0, &sent[30..50]));
    farol.drain();
    kafka.stop();
    std::fs::remove_dir_all(kafka.data()).expect("the broker has ended");
    copy(&backup, &kafka.data());
    kafka.restart();

    kafka.send("beyond.traces", traces_to(1, &sent[50..]));
    let drained = farol.call(&["run", "--roles", "ingest", "--drain"]);
    assert_eq!(drained.code, Some(3), "{}", drained.stderr);
    let status = farol.call(&["status"]);
    assert_eq!(status.code, Some(3), "{}", status.stdout);
    assert!(status.stdout.contains("reset-offsets"), "{}", status.stdout);
    // The other partition is not held up.
    assert_eq!(farol.event_ids("traces"), sent);
    let reset = [
        "lake",
        "reset-offsets",
        "--topic",
        "beyond.traces",
        "--partition",
        "0",
        "--to",
    ];
    assert_eq!(
        farol.call(&[&reset[..], &["31"]].concat()).code,
        Some(2),
        "past the end of the log"
    );
    farol.ok(&[&reset[..], &["latest"]].concat());
    let more = ids("beyond-more", 0..5);
    kafka.send("beyond.traces", traces_to(0, &more));
    farol.drain();
    assert_eq!(farol.event_ids("traces"), [sent, more].concat());
}
