//! Processes that join feedback with its traces are killed around their commits and at random: what is joined, and what
//! is measured of it, is what an independent count over the raw tables says.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::harness::events::{ago, ids, trace, with};
use crate::harness::farol::{Farol, FarolProcess};
use crate::harness::kafka::{RealKafka, Record};
use crate::harness::{PATIENCE, python, root, wait_until};

const RUN: [&str; 3] = ["run", "--roles", "ingest,jobs"];
const TRACES: &str = "joins.traces";
const FEEDBACK: &str = "joins.feedback";

/// Traces of a burst.
const TRACES_OF_BURST: usize = 20;

const YAML: &str = "name: opinions\nreads: [traces, feedback_joined]\nwindow: 1m\nsegments: [service]\n\
    partials: {calls: sum, thumbs: sum, liked: sum}\n\
    measures:\n  thumbs_up_ratio: {expr: liked / thumbs, unit: ratio, better: higher}\n";
const SQL: &str = "SELECT event_time, service, 1 AS calls, 0 AS thumbs, 0 AS liked FROM traces\n\
    UNION ALL SELECT event_time, service, 0, 1, CASE WHEN value > 0 THEN 1 ELSE 0 END FROM feedback_joined\n";

/// What a producer sends, burst by burst.
struct Sender {
    kafka: &'static RealKafka,
    rng: ChaCha8Rng,
    bursts: usize,
    /// Feedback sent so far, to be sent again.
    sent: Vec<Value>,
}

impl Sender {
    fn ids(burst: usize) -> Vec<String> {
        let first = burst * TRACES_OF_BURST;
        ids("join", first..first + TRACES_OF_BURST)
    }

    /// A root and a part of it; of every fifth trace, a day ago.
    fn calls(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for (number, id) in Self::ids(self.bursts).iter().enumerate() {
            let before = if number % 5 == 0 { 86_400 } else { 0 };
            let fields = json!({
                "event_time": ago(Duration::from_secs(before)),
                "service": if number % 3 == 0 { "checkout" } else { "search" },
                "response_id": format!("r-{id}"),
            });
            let call = with(trace(id), &fields);
            let part = json!({
                "event_id": format!("{id}-part"), "span_id": format!("p-{id}"), "parent_span_id": format!("s-{id}"),
                "response_id": format!("r-{id}-part"),
            });
            let part = with(call.clone(), &part);
            for event in [part, call] {
                records.push(Record::keyed(id, event.to_string()));
            }
        }
        records
    }

    /// Thumbs for calls of the burst before, of this one, of the next and of none; and some of old ones again.
    fn thumbs(&mut self) -> Vec<Record> {
        let mut events = Vec::new();
        let of_bursts = [
            Some(self.bursts),
            self.bursts.checked_sub(1),
            Some(self.bursts + 1),
        ];
        for (which, burst) in of_bursts.into_iter().enumerate() {
            for id in burst.map(Self::ids).unwrap_or_default() {
                let about = match self.rng.random_range(0..6) {
                    0 => json!({"trace_id": format!("t-{id}"), "span_id": format!("p-{id}")}),
                    1 => json!({"trace_id": format!("t-{id}")}),
                    2 => json!({"response_id": format!("r-{id}-part")}),
                    3 => json!({"trace_id": format!("t-{id}"), "span_id": "of no call"}),
                    _ => continue,
                };
                let thumb = json!({
                    "event_id": format!("thumb-{id}-{which}"), "event_time": ago(Duration::ZERO), "kind": "thumbs",
                    "value": if self.rng.random_bool(0.7) { 1 } else { -1 },
                });
                events.push(with(thumb, &about));
            }
        }
        let again = self.sent.len().min(5);
        for _ in 0..again {
            let old = self.rng.random_range(0..self.sent.len());
            events.push(self.sent[old].clone());
        }
        let record = |event: &Value| {
            let key = event["trace_id"].as_str().unwrap_or("none");
            Record::keyed(key, event.to_string())
        };
        let records = events.iter().map(record).collect();
        self.sent.extend(events);
        records
    }

    fn burst(&mut self) {
        let thumbs = self.thumbs();
        self.kafka.send(FEEDBACK, thumbs);
        self.kafka.send(TRACES, self.calls());
        self.bursts += 1;
    }

    fn burst_until_killed(&mut self, mut process: FarolProcess, failpoint: &str) {
        let status = wait_until(&format!("{failpoint} kills"), PATIENCE, || {
            self.burst();
            process.ended()
        });
        assert_eq!(
            status.signal(),
            Some(9),
            "{failpoint}: {}",
            process.stderr()
        );
    }
}

/// Versions of the joined table.
fn versions(farol: &Farol) -> usize {
    let log = fs::read_dir(farol.lake().join("feedback_joined/_delta_log"));
    log.into_iter().flatten().count()
}

/// What other programs make of the raw tables.
fn independently(farol: &Farol) -> Value {
    let output = Command::new(python())
        .arg(root().join("tests/joined.py"))
        .arg(farol.lake())
        .output()
        .expect("Python is there");
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "joined.py: {failed}");
    serde_json::from_slice(&output.stdout).expect("an object")
}

fn lists(rows: &[Value], names: &[&str]) -> Value {
    let list = |row: &Value| {
        names
            .iter()
            .map(|name| row[name].clone())
            .collect::<Value>()
    };
    rows.iter().map(list).collect()
}

fn compare(farol: &Farol) {
    let expected = independently(farol);
    let joined = farol.sql(
        "SELECT event_id, trace_event_id AS call, service, CAST(event_time AS BIGINT) AS time_us, value \
         FROM feedback_joined ORDER BY event_id",
    );
    assert!(joined.len() > 100, "{}", joined.len());
    let names = ["event_id", "call", "service", "time_us", "value"];
    assert_eq!(lists(&joined, &names), expected["joined"]);
    let minutes = farol.sql(
        "SELECT CAST(window_start AS BIGINT) AS minute, service, calls, thumbs, liked FROM opinions ORDER BY 1, 2",
    );
    let names = ["minute", "service", "calls", "thumbs", "liked"];
    assert_eq!(lists(&minutes, &names), expected["minutes"]);
    let status: Value =
        serde_json::from_str(&farol.call(&["status", "--json"]).stdout).expect("an object");
    let join = &status["joins"][0];
    assert_eq!(join["table"], "feedback_joined");
    let counts = ["read", "joined", "repeated", "unmatched"];
    assert_eq!(
        lists(std::slice::from_ref(join), &counts)[0],
        expected["counts"]
    );
    let unmatched = farol.number("SELECT count(*) AS n FROM feedback_unmatched");
    assert_eq!(json!(unmatched), expected["counts"][3]);
    for count in ["repeated", "unmatched"] {
        assert!(join[count].as_i64() > Some(0), "{join}");
    }
}

#[test]
fn feedback_is_joined_and_measured_once_through_kills() {
    let kafka = RealKafka::shared();
    // What is sent again after so short a time is for the join to tell. Without other jobs all kills are around its commits
    // and those of the job that reads it.
    let more = "ingest: {flush_interval: 100ms, idle_timeout: 2s, dedup: {horizon: 200ms}}\njobs: {interval: 50ms}\n\
                pipelines: {builtin: false}\n";
    let topics = [(TRACES, "trace", 2), (FEEDBACK, "feedback", 2)];
    let farol = Farol::new(&kafka.brokers(), &topics, more);
    for (topic, ..) in topics {
        kafka.create_topic(topic, 2, &[]);
    }
    let pipelines = farol.path().join("pipelines/jobs");
    fs::create_dir_all(&pipelines).expect("a directory");
    fs::write(pipelines.join("opinions.yaml"), YAML).expect("a file");
    fs::write(pipelines.join("opinions.sql"), SQL).expect("a file");
    let mut sender = Sender {
        kafka,
        rng: ChaCha8Rng::seed_from_u64(17),
        bursts: 0,
        sent: Vec::new(),
    };
    // Each process knows nothing but the lake; and then there are two at once.
    for point in ["jobs.before_commit", "jobs.after_commit"] {
        for pass in [1, 2, 5] {
            let failpoint = format!("{point}=kill@{pass}");
            let process = farol.start_with_failpoint(&RUN, &failpoint);
            sender.burst_until_killed(process, &failpoint);
        }
    }
    farol.ok(&["run", "--roles", "ingest,jobs", "--drain"]);
    compare(&farol);

    let steady = farol.start(&RUN);
    for point in ["jobs.before_commit", "jobs.after_commit"] {
        let failpoint = format!("{point}=kill@4");
        let process = farol.start_with_failpoint(&RUN, &failpoint);
        sender.burst_until_killed(process, &failpoint);
    }
    for _ in 0..4 {
        let process = farol.start(&RUN);
        let until = versions(&farol) + sender.rng.random_range(0..6);
        wait_until("the joined table goes on", PATIENCE, || {
            sender.burst();
            (versions(&farol) >= until).then_some(())
        });
        process.kill();
    }
    steady.kill();
    farol.ok(&["run", "--roles", "ingest,jobs", "--drain"]);
    compare(&farol);

    // Compaction changes no row, and the past computed again is the same.
    farol.ok(&["lake", "compact"]);
    let (from, to) = (ago(Duration::from_hours(48)), ago(Duration::ZERO));
    farol.ok(&["job", "run", "opinions", "--from", &from, "--to", &to]);
    sender.burst();
    farol.ok(&["run", "--roles", "ingest,jobs", "--drain"]);
    compare(&farol);
    farol.verify();
}
