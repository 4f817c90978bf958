//! The check from outside: it kills instances and the broker at random, and reads the lake with another
//! implementation of Delta Lake.

use std::process::Command;

use crate::harness::kafka::free_port;
use crate::harness::{python, root, shared_data};

#[test]
fn an_independent_producer_and_reader_agree_after_kills() {
    agree("ingest", "6");
}

/// From events to alerts: the roles of the whole loop are killed.
#[test]
fn measures_and_alerts_are_those_of_an_independent_reader_after_kills() {
    agree("loop", "12");
}

fn agree(stage: &str, kills: &str) {
    let Some(script) = shared_data("acceptance/exactly_once.py") else {
        return;
    };
    let libraries = Command::new("bash")
        .arg(root().join("tests/services/kafka.sh"))
        .arg("libs")
        .output()
        .expect("bash is there");
    assert!(
        libraries.status.success(),
        "{}",
        String::from_utf8_lossy(&libraries.stderr)
    );
    // It starts a broker of its own, and takes the next port for the controller.
    let output = Command::new(python())
        .arg(script)
        .args([
            "--farol",
            env!("CARGO_BIN_EXE_farol"),
            "--stage",
            stage,
            "--events",
            "20000",
            "--kills",
            kills,
        ])
        .args(["--failpoints", "--port", &two_free_ports().to_string()])
        .env(
            "KAFKA_LIBS",
            String::from_utf8_lossy(&libraries.stdout).trim(),
        )
        .env("KAFKA_HEAP", "512m")
        .output()
        .expect("Python is there");
    let said = String::from_utf8_lossy(&output.stdout);
    eprintln!("{said}");
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A free port with a free one after it.
fn two_free_ports() -> u16 {
    let next_is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", port + 1)).is_ok();
    std::iter::repeat_with(free_port)
        .find(next_is_free)
        .expect("loopback has free ports")
}
