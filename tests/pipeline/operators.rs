//! What people get who are told of something: runbooks whose queries work, and an example that posts to a chat.

use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::harness::events::ago;
use crate::harness::farol::Farol;
use crate::harness::kafka::{RealKafka, free_port};
use crate::harness::{python, root};

/// Runs one of the repository's programs in Python; fails with what it says.
fn run(program: &str, arguments: &[&str]) -> String {
    let ran = Command::new(python())
        .arg(root().join(program))
        .args(arguments)
        .output()
        .expect("Python is there");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let failed = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{program}: {said}{failed}");
    said
}

#[test]
fn every_query_of_the_runbooks_runs_over_traffic_of_the_last_hours() {
    // Without brokers each command has the embedded one for itself, and finds what the one before left.
    let farol = Farol::with_config(&format!(
        "kafka: {{embedded: '127.0.0.1:{}'}}\nserver: {{http: null, postgres: null, flight: null}}\n",
        free_port()
    ));
    let begin = ago(Duration::from_hours(2));
    let begun = SystemTime::now();
    farol.ok(&["topics", "create"]);
    farol.ok(&[
        "simulate",
        "--seed",
        "11",
        "--rate",
        "10",
        "--start",
        &begin,
        "--duration",
        "110m",
        "--incident",
        "provider_outage@70m+10m",
        "--incident",
        "injection_wave@85m+10m:service=support-assistant",
        "--incident",
        "pii_leak@95m+10m:service=support-assistant",
        "--incident",
        "retrieval_failure@97m+8m:service=support-assistant",
    ]);
    farol.ok(&["run", "--roles", "ingest,jobs", "--drain"]);
    let command = format!(
        "{} --dir {} --config {}",
        env!("CARGO_BIN_EXE_farol"),
        farol.path().join("farol-data").display(),
        farol.path().join("farol.yaml").display()
    );
    let said = run("tests/runbooks.py", &["--farol", &command]);
    // Traffic is of the last two hours only while nothing has stalled this test.
    if begun
        .elapsed()
        .is_ok_and(|took| took < Duration::from_mins(5))
    {
        for runbook in [
            "provider-outage",
            "jailbreak-wave",
            "pii-detected-high",
            "retrieval-failure",
        ] {
            let line = said
                .lines()
                .find(|line| line.contains(runbook))
                .expect(runbook);
            let told: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(told["queries"], told["with_rows"], "{line}");
        }
    }
}

#[test]
fn the_chat_poster_posts_each_alert_once_through_whatever_the_chat_does() {
    let brokers = RealKafka::shared().brokers();
    run("tests/chat_poster.py", &["--brokers", &brokers]);
}
