//! The way the README shows: one command, no Kafka to install, and everything still there after a restart.

use serde_json::Value;

use crate::harness::events::{ids, keyed_traces, trace};
use crate::harness::farol::{Farol, FarolProcess};
use crate::harness::kafka::{Record, free_port, send};
use crate::harness::{PATIENCE, wait_until};

/// `farol up` on free ports, and the addresses it printed.
fn up(farol: &Farol, arguments: &[&str]) -> (FarolProcess, Value) {
    let mut process = farol.start(&[&["up", "--json"], arguments].concat());
    let addresses = wait_until("the addresses are printed", PATIENCE, || {
        assert!(process.ended().is_none(), "{}", process.stderr());
        serde_json::from_str(process.stdout().lines().next()?).ok()
    });
    (process, addresses)
}

fn configured() -> Farol {
    let (kafka, http) = (free_port(), free_port());
    Farol::with_config(&format!(
        "kafka: {{embedded: '127.0.0.1:{kafka}'}}\nserver: {{http: '127.0.0.1:{http}', postgres: null, flight: null}}\n\
         ingest: {{flush_interval: 200ms, idle_timeout: 2s}}\n"
    ))
}

fn rows(farol: &Farol) -> i64 {
    farol.number("SELECT count(*) AS n FROM traces")
}

fn text<'a>(addresses: &'a Value, key: &str) -> &'a str {
    addresses[key].as_str().expect("an address")
}

/// What a path of the HTTP server answers: its status line and its body.
fn get(address: &str, path: &str) -> Option<(String, String)> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: farol\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.lines().next()?.to_owned(), body.to_owned()))
}

#[test]
fn everything_is_one_process_and_survives_its_restart() {
    let farol = configured();
    let (process, addresses) = up(&farol, &[]);
    let sent = ids("embedded", 0..1_000);
    send(
        text(&addresses, "kafka"),
        "llm.traces",
        keyed_traces(&sent[..400]),
    );
    wait_until("the rows are queryable", PATIENCE, || {
        (rows(&farol) == 400).then_some(())
    });
    let http = text(&addresses, "http").to_owned();
    wait_until("it is ready", PATIENCE, || {
        get(&http, "/readyz").filter(|(status, _)| status.contains("200"))
    });
    let (_, metrics) = get(&http, "/metrics").expect("it answers");
    let stored: f64 = metrics
        .lines()
        .filter(|line| {
            line.starts_with("farol_ingest_entries_total{") && line.contains("outcome=\"stored\"")
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert!((stored - 400.0).abs() < f64::EPSILON, "{metrics}");
    // Another `up` in the same directory is refused, and says why.
    let second = farol.call(&["up"]);
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("another"), "{}", second.stderr);
    // Any command given the same directory finds the broker while it runs.
    assert!(farol.ok(&["status"]).contains("llm.traces"));
    assert_eq!(
        farol
            .ok(&[
                "tail",
                "llm.traces",
                "--from",
                "earliest",
                "-n",
                "3",
                "--json"
            ])
            .lines()
            .count(),
        3
    );

    // Sent, and killed before anything can be tidied up: the broker's log and the lake are both durable.
    send(
        text(&addresses, "kafka"),
        "llm.traces",
        keyed_traces(&sent[400..700]),
    );
    process.kill();
    let (process, addresses) = up(&farol, &[]);
    send(
        text(&addresses, "kafka"),
        "llm.traces",
        keyed_traces(&sent[700..]),
    );
    wait_until("the rows are queryable", PATIENCE, || {
        (rows(&farol) >= 1_000).then_some(())
    });
    assert_eq!(process.stop(), Some(0));
    assert_eq!(farol.event_ids("traces"), sent);
    // The broker is down: what was read is known from the lake.
    let status = farol.call(&["status", "--json"]);
    assert_eq!(status.code, Some(3), "{}", status.stderr);
    // A drain starts the broker for as long as it needs it.
    farol.drain();
    farol.verify();
    assert_eq!(farol.event_ids("traces"), sent);
}

#[test]
fn the_demo_makes_traffic_that_sql_answers_over() {
    let farol = configured();
    let (process, addresses) = up(&farol, &["--demo"]);
    wait_until("an hour of history is there", PATIENCE, || {
        let query = "SELECT count(*) AS n FROM traces WHERE event_time < now() - INTERVAL '1 hour'";
        (farol.number(query) > 100).then_some(())
    });
    let services = farol.sql("SELECT service, count(*) AS calls FROM traces GROUP BY service");
    assert!(services.len() > 1, "{services:?}");
    wait_until("feedback arrives", PATIENCE, || {
        (farol.number("SELECT count(*) AS n FROM feedback JOIN traces USING (trace_id)") > 0)
            .then_some(())
    });
    // Other traffic lands beside it.
    send(
        text(&addresses, "kafka"),
        "llm.traces",
        [Record::keyed("k", trace("mine").to_string())],
    );
    wait_until("the row is queryable", PATIENCE, || {
        (farol.number("SELECT count(*) AS n FROM traces WHERE event_id = 'mine'") == 1)
            .then_some(())
    });
    assert_eq!(process.stop(), Some(0));
    farol.verify();
}

#[test]
fn the_broker_runs_alone_and_other_commands_use_it() {
    let farol = configured();
    let broker = farol.start(&["broker"]);
    let address = wait_until("the address is printed", PATIENCE, || {
        let printed = broker.stdout();
        let place = printed
            .split_whitespace()
            .find(|word| word.starts_with("127.0.0.1:"))?;
        Some(place.trim_end_matches([',', '.', ';']).to_owned())
    });
    farol.ok(&["topics", "create"]);
    let again = farol.ok(&["topics", "create"]);
    assert!(again.contains("llm.traces"), "{again}");
    let sent = ids("alone", 0..50);
    send(&address, "llm.traces", keyed_traces(&sent));
    farol.drain();
    assert_eq!(farol.event_ids("traces"), sent);
    assert_eq!(broker.stop(), Some(0));
}
