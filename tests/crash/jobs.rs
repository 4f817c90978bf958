//! Two processes run the same jobs and are killed around their commits: measures are those of the rows, once.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
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

/// A day of traces, by the time they happened.
fn day(count: usize) -> Vec<(String, String)> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let of_number = |(number, id): (usize, String)| {
        let before = Duration::from_millis(86_400_000 / count as u64 * (count - number) as u64);
        let service = ["checkout", "search", "assistant"][rng.random_range(0..3)];
        let fields = json!({
            "event_time": ago(before),
            "service": service,
            "status": if rng.random_ratio(1, 9) { "error" } else { "ok" },
            "latency_ms": rng.random_range(1.0..30_000.0),
            "time_to_first_token_ms": rng.random_range(0.1..900.0),
            "user_id": format!("u{}", rng.random_range(0..700)),
            "session_id": format!("s{number}"),
            "cost": "0.000017", "currency": "USD",
        });
        let event = with(trace(&id), &fields).to_string();
        (id, event)
    };
    let ids = ids("day", 0..count).into_iter().enumerate();
    ids.map(of_number).collect()
}

fn send(kafka: &RealKafka, topic: &str, events: &[(String, String)]) {
    let records = events.iter();
    kafka.send(
        topic,
        records.map(|(id, event)| Record::keyed(id, event.clone())),
    );
}

/// All partials, merged: every value, and every byte of the sketches.
fn merged(farol: &Farol) -> Vec<Value> {
    let mut rows = farol.sql(
        "SELECT window_start, service, sum(requests) AS requests, sum(errors) AS errors, sum(generated_tokens) AS tokens, \
         sum(generation_us) AS generation_us, encode(merge_quantiles(latency), 'hex') AS latency, \
         encode(merge_quantiles(time_to_first_token), 'hex') AS first_token, encode(merge_distinct(users), 'hex') AS users, \
         encode(merge_distinct(sessions), 'hex') AS sessions FROM partials.performance GROUP BY 1, 2 ORDER BY 1, 2",
    );
    rows.extend(farol.sql(
        "SELECT window_start, service, currency, sum(cost) AS cost, sum(input_tokens) AS input_tokens FROM partials.spend \
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    ));
    rows
}

#[test]
fn order_lateness_repetition_and_kills_do_not_show_in_any_bit_of_the_measures() {
    let kafka = RealKafka::shared();
    let more = "ingest: {flush_interval: 100ms, idle_timeout: 2s}\njobs: {interval: 50ms}\n";
    let of = |topic: &str| {
        kafka.create_topic(topic, 2, &[]);
        Farol::new(&kafka.brokers(), &[(topic, "trace", 2)], more)
    };
    let mut events = day(4_000);

    let calm = of("calm.traces");
    send(kafka, "calm.traces", &events);
    calm.ok(&["run", "--roles", "ingest,jobs", "--drain"]);
    let expected = merged(&calm);
    assert!(expected.len() > 2_000, "{}", expected.len());

    // Shuffled; a tenth comes up to a day late, after all others; and a fifth is delivered twice.
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    events.shuffle(&mut rng);
    let late = events.split_off(events.len() * 9 / 10);
    events.extend(late);
    let wild = of("wild.traces");
    let mut killed = 0;
    for (number, part) in events.chunks(1_000).enumerate() {
        let mut part = part.to_vec();
        let again: Vec<_> = part.choose_multiple(&mut rng, 200).cloned().collect();
        part.extend(again);
        let point = [
            "jobs.before_commit",
            "jobs.after_commit",
            "ingest.after_commit",
        ]
        .get(number);
        let Some(point) = point else {
            send(kafka, "wild.traces", &part);
            continue;
        };
        let mut process = wild.start_with_failpoint(&RUN, &format!("{point}=kill@1"));
        let mut parts = part.chunks(100);
        let status = wait_until(&format!("{point} kills"), PATIENCE, || {
            if let Some(few) = parts.next() {
                send(kafka, "wild.traces", few);
            }
            process.ended()
        });
        assert_eq!(status.signal(), Some(9), "{point}: {}", process.stderr());
        killed += 1;
        for few in parts {
            send(kafka, "wild.traces", few);
        }
    }
    assert_eq!(killed, 3);
    wild.ok(&["run", "--roles", "ingest,jobs", "--drain"]);
    let totals = wild.totals();
    assert_eq!(
        (totals.stored, totals.duplicates),
        (4_000, 800),
        "{totals:?}"
    );
    assert_eq!(merged(&wild), expected);

    // And computed again from the rows, the same once more.
    for job in ["performance", "spend"] {
        let (from, to) = (ago(Duration::from_hours(48)), ago(Duration::ZERO));
        wild.ok(&["job", "run", job, "--from", &from, "--to", &to]);
    }
    assert_eq!(merged(&wild), expected);
}

#[test]
fn a_job_computed_anew_survives_kills_anywhere_and_a_runner_of_the_old_definition() {
    const TAGS: [&str; 2] = ["--set", "jobs.tags=[team]"];
    let kafka = RealKafka::shared();
    let more = "ingest: {flush_interval: 100ms, idle_timeout: 2s}\njobs: {interval: 50ms}\n";
    kafka.create_topic("anew.traces", 2, &[]);
    let farol = Farol::new(&kafka.brokers(), &[("anew.traces", "trace", 2)], more);
    let events = day(2_000);
    let (before, meanwhile) = events.split_at(1_500);
    send(kafka, "anew.traces", before);
    farol.ok(&["run", "--roles", "ingest,jobs", "--drain"]);
    let steady = farol.start(&RUN);
    let recompute = [&["job", "recompute", "performance", "--yes"][..], &TAGS].concat();
    let measured = "SELECT CAST(sum(requests) AS BIGINT) AS n FROM performance";
    let mut parts = meanwhile.chunks(200);
    let mut sent = before.len();
    for failpoint in [
        "jobs.before_commit=kill@2",
        "jobs.after_commit=kill@1",
        "jobs.before_switch=kill@1",
    ] {
        let mut process = farol.start_with_failpoint(&recompute, failpoint);
        // The runner of the old definition goes on, past what the new partials are of.
        if let Some(part) = parts.next() {
            send(kafka, "anew.traces", part);
            sent += part.len();
        }
        let status = process.wait(PATIENCE);
        assert_eq!(
            status.signal(),
            Some(9),
            "{failpoint}: {}",
            process.stderr()
        );
        wait_until("the old partials have all rows", PATIENCE, || {
            (farol.number(measured) == sent as i64).then_some(())
        });
    }
    let mut process = farol.start_with_failpoint(&recompute, "jobs.after_switch=kill@1");
    let status = process.wait(PATIENCE);
    assert_eq!(status.signal(), Some(9), "{}", process.stderr());
    let again = farol.ok(&recompute);
    assert!(
        again.contains("there is nothing to compute anew"),
        "{again}"
    );
    for part in parts {
        send(kafka, "anew.traces", part);
    }
    // The old definition does not go on: its process says so, and ingests all the same.
    farol.wait_for_read(events.len());
    wait_until("the old definition is stopped", PATIENCE, || {
        let told = steady.stderr();
        told.contains("job `performance` was changed").then_some(())
    });
    steady.kill();

    // Every other job that counts by tags was changed as well.
    let checked = farol.ok(&[&["check", "--json"][..], &TAGS].concat());
    let checked: Value = serde_json::from_str(&checked).expect("an object");
    let changed = checked["changed"].as_object().expect("jobs");
    assert!(!changed.is_empty(), "{checked}");
    for job in changed.keys() {
        farol.ok(&[&["job", "recompute", job, "--yes"][..], &TAGS].concat());
    }
    farol.ok(&[&["run", "--roles", "ingest,jobs", "--drain"][..], &TAGS].concat());
    let ask = |sql: &str| -> Vec<Value> {
        let text = farol.ok(&[&["sql", sql, "--format", "json"][..], &TAGS].concat());
        serde_json::from_str(&text).expect("rows")
    };
    let rows = ask(
        "SELECT date_trunc('minute', event_time) AS minute, service, tags['team'] AS team, count(*) AS requests, \
         sum(CASE WHEN status = 'error' THEN 1 ELSE 0 END) AS errors FROM traces GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    );
    let measures = ask(
        "SELECT window_start AS minute, service, team, sum(requests) AS requests, sum(errors) AS errors \
         FROM performance GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    );
    assert!(rows.len() > 1_000, "{}", rows.len());
    assert_eq!(measures, rows);
}
