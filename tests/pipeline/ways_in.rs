//! The ways in: psql, drivers, dashboards and curl ask a running Farol, politely and not. Who asks is
//! `tests/ways_in.py`; the server has little memory, so that queries do not fit into it.

use std::process::Command;

use serde_json::Value;

use crate::harness::farol::{Farol, FarolProcess};
use crate::harness::kafka::free_port;
use crate::harness::{PATIENCE, python, root, wait_until};

/// Events of simulated traffic.
const EVENTS: i64 = 20_000;

/// `farol up` with these keys of `server` beside its addresses.
struct Served {
    farol: Farol,
    addresses: Value,
    _process: FarolProcess,
}

impl Served {
    fn start(server: &str) -> Self {
        let kafka = free_port();
        let farol = Farol::with_config(&format!(
            "kafka: {{embedded: '127.0.0.1:{kafka}'}}\ningest: {{flush_interval: 200ms, idle_timeout: 2s}}\n\
             server:\n  http: 127.0.0.1:0\n  postgres: 127.0.0.1:0\n  flight: 127.0.0.1:0\n{server}"
        ));
        Self::up(farol)
    }

    fn up(farol: Farol) -> Self {
        let (process, addresses) = farol.up();
        Self {
            farol,
            addresses,
            _process: process,
        }
    }

    /// An hour of traffic, and its measures.
    fn with_traffic(self) -> Self {
        let events = EVENTS.to_string();
        self.simulate("5", &events);
        wait_until("the events are rows", PATIENCE, || {
            let stored = "SELECT (SELECT count(*) FROM traces) + (SELECT count(*) FROM feedback) \
                          + (SELECT count(*) FROM costs) + (SELECT count(*) FROM evaluations) AS n";
            (self.farol.number(stored) >= EVENTS).then_some(())
        });
        wait_until("the rows are measured", PATIENCE, || {
            (self.farol.number("SELECT count(*) AS n FROM performance") > 100).then_some(())
        });
        self
    }

    /// So many events of the past, sent at once.
    fn simulate(&self, seed: &str, events: &str) {
        let past = ["--start", "2026-01-05T12:00:00Z", "--rate", "5"];
        self.farol
            .ok(&[&["simulate", "--seed", seed, "--events", events], &past[..]].concat());
    }

    /// Takes steps of `ways_in.py`; they must all pass.
    fn ask(&self, scheme: [&str; 2], arguments: &[&str]) {
        let address = |key: &str| self.addresses[key].as_str().expect("an address").to_owned();
        let output = Command::new(python())
            .arg(root().join("tests/ways_in.py"))
            .arg("--http")
            .arg(format!("{}://{}", scheme[0], address("http")))
            .arg("--postgres")
            .arg(address("postgres"))
            .arg("--flight")
            .arg(format!("{}://{}", scheme[1], address("flight")))
            .args(arguments)
            .output()
            .expect("python is there");
        let said = String::from_utf8_lossy(&output.stdout);
        let failed = String::from_utf8_lossy(&output.stderr);
        println!("{said}");
        assert!(output.status.success(), "ways_in.py: {said}{failed}");
    }
}

#[test]
fn other_programs_ask_and_are_answered() {
    let served = Served::start("").with_traffic();
    let steps = [
        "psql_describes",
        "psql_cursor",
        "psql_prepared",
        "psql_errors",
        "adbc_flightsql",
        "http",
        "grafana",
        "psql_describes_more",
        "psql_cancels",
        "subqueries",
        "every_column_of_every_table",
        "psycopg",
        "polars",
        "metabase",
    ];
    served.ask(["http", "grpc"], &steps);
}

#[test]
fn a_query_that_runs_away_ends_within_its_limits_and_harms_nobody() {
    let limits =
        "  query: {memory: 128MiB, spill: 1GiB, write_timeout: 5s, max_connections: 220}\n";
    let served = Served::start(limits).with_traffic();
    let steps = [
        "endless_join",
        "sort_beyond_memory",
        "two_hundred_clients",
        "too_many_connections",
        "clients_that_do_not_read",
        "gone_clients",
        "long_messages",
    ];
    served.ask(["http", "grpc"], &steps);
    // Traffic went on all the while: what is sent now arrives.
    let rows = served.farol.number("SELECT count(*) AS n FROM traces");
    served.simulate("6", "500");
    wait_until("more rows are there", PATIENCE, || {
        (served.farol.number("SELECT count(*) AS n FROM traces") > rows).then_some(())
    });
}

#[test]
fn with_tokens_and_tls_nobody_comes_in_without() {
    let directory = tempfile::tempdir().expect("a directory");
    let made = Command::new(python())
        .arg(root().join("tests/services/certificate.py"))
        .arg(directory.path())
        .status()
        .expect("python is there");
    assert!(made.success());
    let tokens = directory.path().join("tokens");
    std::fs::write(&tokens, "# who reads\nreader:correct-horse-battery\n")
        .expect("it can be written");
    let certificate = directory.path().join("certificate.pem");
    let served = Served::start(&format!(
        "  tokens_file: {}\n  tls: {{certificate: {}, key: {}}}\n",
        tokens.display(),
        certificate.display(),
        directory.path().join("key.pem").display(),
    ))
    .with_traffic();
    let certificate = certificate.display().to_string();
    let arguments = [
        "--name",
        "reader",
        "--secret",
        "correct-horse-battery",
        "--certificate",
        &certificate,
        "psql_cursor",
        "adbc_flightsql",
        "http",
        "secrets",
    ];
    served.ask(["https", "grpc+tls"], &arguments);
}

#[test]
fn what_would_let_anybody_in_is_refused_before_anything_starts() {
    for (server, said) in [
        ("{postgres: '0.0.0.0:0'}", "server.tokens_file"),
        ("{tokens_file: /nowhere/tokens}", "/nowhere/tokens"),
        (
            "{tls: {certificate: /nowhere/a.pem, key: /nowhere/b.pem}}",
            "/nowhere/a.pem",
        ),
    ] {
        let farol = Farol::with_config(&format!("server: {server}\n"));
        for command in ["up", "check"] {
            let ended = farol.call(&[command]);
            assert_eq!(ended.code, Some(2), "{command} {server}: {}", ended.stderr);
            assert!(
                ended.stderr.contains(said),
                "{command} {server}: {}",
                ended.stderr
            );
        }
    }
}
