//! A process is killed at every point that has a name, again and again on the same tables.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use crate::harness::events::{ids, keyed_traces};
use crate::harness::farol::{Farol, FarolProcess, Totals};
use crate::harness::kafka::{RealKafka, Record};
use crate::harness::{PATIENCE, wait_until};

/// SIGKILL.
const KILLED: i32 = 9;

const RUN: [&str; 3] = ["run", "--roles", "ingest"];

/// What a producer knows it sent.
struct Sender<'a> {
    kafka: &'a RealKafka,
    topic: &'static str,
    good: Vec<String>,
    duplicates: usize,
    bad: usize,
}

impl<'a> Sender<'a> {
    fn new(kafka: &'a RealKafka, topic: &'static str) -> Self {
        Self {
            kafka,
            topic,
            good: Vec::new(),
            duplicates: 0,
            bad: 0,
        }
    }

    /// Forty events, retries of events sent before, and records that are no events.
    fn burst(&mut self) {
        let first = self.good.len();
        let new = ids("crash", first..first + 40);
        let again: Vec<_> = self
            .good
            .iter()
            .rev()
            .step_by(7)
            .take(10)
            .cloned()
            .collect();
        let mut records = keyed_traces(&new);
        records.extend(keyed_traces(&again));
        records.extend(
            (0..3).map(|number| Record::keyed(&number.to_string(), format!("malformed {first}"))),
        );
        self.kafka.send(self.topic, records);
        self.good.extend(new);
        self.duplicates += again.len();
        self.bad += 3;
    }

    /// Sends until a process is killed by its failpoint.
    fn burst_until_killed(&mut self, mut process: FarolProcess, failpoint: &str) {
        let status = wait_until(&format!("{failpoint} kills"), PATIENCE, || {
            self.burst();
            process.ended()
        });
        assert_eq!(
            status.signal(),
            Some(KILLED),
            "{failpoint}: {}",
            process.stderr()
        );
    }

    /// Everything sent is there, once.
    fn check(&self, farol: &Farol) {
        assert_eq!(farol.event_ids("traces"), self.good);
        assert_eq!(
            farol.number("SELECT count(*) AS n FROM dead_letters") as usize,
            self.bad
        );
        let expected = Totals {
            read: (self.good.len() + self.duplicates + self.bad) as i64,
            stored: self.good.len() as i64,
            duplicates: self.duplicates as i64,
            dead_letters: self.bad as i64,
            ..Totals::default()
        };
        assert_eq!(farol.totals(), expected);
        farol.verify();
    }
}

fn prepared(topic: &'static str, flush_interval: &str) -> (Farol, Sender<'static>) {
    let kafka = RealKafka::shared();
    let ingest = format!("ingest: {{flush_interval: {flush_interval}, idle_timeout: 2s}}\n");
    let farol = Farol::new(&kafka.brokers(), &[(topic, "trace", 2)], &ingest);
    kafka.create_topic(topic, 2, &[]);
    (farol, Sender::new(kafka, topic))
}

#[test]
fn a_process_killed_at_any_point_of_ingest_loses_and_doubles_nothing() {
    let (farol, mut sender) = prepared("points.traces", "100ms");
    for point in [
        "ingest.after_decode",
        "ingest.after_upload",
        "ingest.before_secondary_commit",
        "ingest.after_secondary_commit",
        "ingest.before_commit",
        "ingest.after_commit",
        "ingest.before_kafka_commit",
    ] {
        for pass in [1, 2] {
            let failpoint = format!("{point}=kill@{pass}");
            let process = farol.start_with_failpoint(&RUN, &failpoint);
            sender.burst_until_killed(process, &failpoint);
        }
    }
    farol.drain();
    sender.check(&farol);
}

/// An error at a point is not a crash: the process says it and tries again.
#[test]
fn a_process_lives_through_errors_at_any_point_of_ingest() {
    let (farol, mut sender) = prepared("errors.traces", "100ms");
    let errors = "ingest.after_upload=error@1;ingest.before_secondary_commit=error@2;ingest.after_secondary_commit=error@2;\
                  ingest.before_commit=error@3;ingest.after_commit=error@4;ingest.before_kafka_commit=error@1";
    let mut process = farol.start_with_failpoint(&RUN, errors);
    for _ in 0..8 {
        sender.burst();
        let target = sender.good.len() + sender.duplicates + sender.bad;
        farol.wait_for_read(target);
    }
    assert!(process.ended().is_none(), "{}", process.stderr());
    assert_eq!(process.stop(), Some(0));
    sender.check(&farol);
}

/// Files of the log of `traces` whose names end so.
fn log_files(farol: &Farol, ending: &str) -> usize {
    let log = std::fs::read_dir(farol.lake().join("traces/_delta_log"));
    let names = log
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name());
    names
        .filter(|name| name.to_string_lossy().ends_with(ending))
        .count()
}

/// A checkpoint is written after every hundredth commit. It may fail, or the process may die over it: the
/// commit stands.
#[test]
fn a_checkpoint_that_fails_after_its_commit_harms_nothing() {
    let (farol, mut sender) = prepared("checkpoints.traces", "20ms");
    let mut process = farol.start_with_failpoint(&RUN, "lake.checkpoint=error");
    wait_until("a hundred commits are made", PATIENCE, || {
        sender.burst();
        (log_files(&farol, ".json") > 105).then_some(())
    });
    assert!(process.ended().is_none(), "{}", process.stderr());
    assert_eq!(process.stop(), Some(0));
    assert_eq!(log_files(&farol, ".checkpoint.parquet"), 0);
    sender.check(&farol);

    let failpoint = "lake.checkpoint=kill@1";
    let process = farol.start_with_failpoint(&RUN, failpoint);
    sender.burst_until_killed(process, failpoint);
    farol.drain();
    sender.check(&farol);

    let process = farol.start(&RUN);
    wait_until("a checkpoint is written", PATIENCE, || {
        sender.burst();
        (log_files(&farol, ".checkpoint.parquet") > 0).then_some(())
    });
    assert_eq!(process.stop(), Some(0));
    farol.drain();
    sender.check(&farol);
}

#[test]
fn a_compaction_killed_before_or_after_its_commit_changes_no_row() {
    let (farol, mut sender) = prepared("compacted.traces", "50ms");
    let process = farol.start(&RUN);
    for _ in 0..10 {
        sender.burst();
        let target = sender.good.len() + sender.duplicates + sender.bad;
        farol.wait_for_read(target);
    }
    assert_eq!(process.stop(), Some(0));
    for point in ["maintenance.before_commit", "maintenance.after_commit"] {
        let failpoint = format!("{point}=kill@1");
        let mut process = farol.start_with_failpoint(&["lake", "compact"], &failpoint);
        assert_eq!(
            process.wait(Duration::from_secs(60)).signal(),
            Some(KILLED),
            "{failpoint}: {}",
            process.stderr()
        );
        sender.check(&farol);
    }
    farol.ok(&["lake", "compact"]);
    sender.burst();
    farol.drain();
    sender.check(&farol);
}
