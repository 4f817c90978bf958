//! Two processes run the same jobs and are killed around their commits: measures are those of the rows, once.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::events::{ago, ids, trace, with};
use crate::harness::farol::Farol;
use crate::harness::kafka::{RealKafka, Record};
use crate::harness::{PATIENCE, wait_until};

const RUN: [&str; 3] = ["run", "--roles", "ingest,jobs"];

/// Traces of two services, some of them hours late.
fn burst(first: usize) -> Vec<Record> {
    let ids = ids("job", first..first + 60);
    let events = ids.iter().enumerate().map(|(number, id)| {
        let late = if number % 10 == 0 {
            number as u64 * 600
        } else {
            0
        };
        let fields = json!({
            "event_time": ago(Duration::from_secs(late)),
            "service": if number % 3 == 0 { "checkout" } else { "search" },
            "status": if number % 7 == 0 { "error" } else { "ok" },
            "latency_ms": 100.0 + (number * number) as f64,
            "user_id": format!("u{}", number % 20),
        });
        Record::keyed(id, with(trace(id), &fields).to_string())
    });
    events.collect()
}

/// What the rows themselves say, and what the measures say, of the same.
fn compare(farol: &Farol) {
    let rows = farol.sql(
        "SELECT date_trunc('minute', event_time) AS minute, service, count(*) AS requests, \
         sum(CASE WHEN status = 'error' THEN 1 ELSE 0 END) AS errors, sum(output_tokens) AS tokens \
         FROM traces GROUP BY 1, 2 ORDER BY 1, 2",
    );
    let measures = farol.sql(
        "SELECT window_start AS minute, service, sum(requests) AS requests, sum(errors) AS errors, \
         sum(generated_tokens) AS tokens FROM performance GROUP BY 1, 2 ORDER BY 1, 2",
    );
    assert!(!rows.is_empty());
    assert_eq!(measures, rows);
}

fn measures(farol: &Farol) -> Vec<Value> {
    farol.sql("SELECT * FROM performance ORDER BY window_start, service")
}

#[test]
fn two_processes_killed_around_the_jobs_commits_measure_as_one_that_is_not() {
    let kafka = RealKafka::shared();
    let more = "ingest: {flush_interval: 100ms, idle_timeout: 2s}\njobs: {interval: 50ms}\n";
    let farol = Farol::new(&kafka.brokers(), &[("jobs.traces", "trace", 2)], more);
    kafka.create_topic("jobs.traces", 2, &[]);
    let mut sent = 0;
    let steady = farol.start(&RUN);
    for point in ["jobs.before_commit", "jobs.after_commit"] {
        for pass in [1, 3] {
            let failpoint = format!("{point}=kill@{pass}");
            let mut process = farol.start_with_failpoint(&RUN, &failpoint);
            let status = wait_until(&format!("{failpoint} kills"), PATIENCE, || {
                kafka.send("jobs.traces", burst(sent));
                sent += 60;
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
    steady.kill();
    farol.ok(&["run", "--roles", "ingest,jobs", "--drain"]);
    assert_eq!(farol.event_ids("traces").len(), sent);
    compare(&farol);

    // The past computed again is the same, to the last bit of the sketches.
    let before = measures(&farol);
    farol.ok(&[
        "job",
        "run",
        "performance",
        "--from",
        &ago(Duration::from_hours(12)),
        "--to",
        &ago(Duration::ZERO),
    ]);
    assert_eq!(measures(&farol), before);
}
