//! What people get who are told of something: runbooks whose queries work, and an example that posts to a chat.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

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
        "provider_outage@92m+6m",
        "--incident",
        "injection_wave@75m+10m:service=support-assistant",
        "--incident",
        "pii_leak@100m+8m:service=support-assistant",
        "--incident",
        "retrieval_failure@100m+8m:service=support-assistant",
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
            let told: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(told["queries"], told["with_rows"], "{line}");
        }
    }
}

#[test]
fn the_chat_poster_posts_each_alert_once_through_whatever_the_chat_does() {
    let brokers = RealKafka::shared().brokers();
    run("tests/chat_poster.py", &["--brokers", &brokers]);
}

#[test]
fn check_warns_of_rules_that_never_fire_or_always_do() {
    let farol = Farol::with_config(&format!(
        "kafka: {{embedded: '127.0.0.1:{}'}}\nserver: {{http: null, postgres: null, flight: null}}\n",
        free_port()
    ));
    let rules = farol.path().join("pipelines/triggers");
    fs::create_dir_all(&rules).expect("a directory");
    let rule = |name: &str, rest: &str| {
        let text = format!("name: {name}\non: performance\nby: [service]\n{rest}");
        fs::write(rules.join(format!("{name}.yaml")), text).expect("a rule");
    };
    rule("never", "when: >\n  requests > 10\n  AND error_rate > 20\n");
    rule("always", "when: requests > 0\n");
    rule("good", "when: error_rate > 0.5 AND requests > 1000000\n");
    let warnings = || {
        let checked = farol.call(&["check"]);
        assert_eq!(checked.code, Some(0), "{}", checked.stderr);
        checked.stderr
    };
    let before = warnings();
    assert!(
        before.contains("never.yaml:6:7: the rule never fires: "),
        "{before}"
    );
    assert!(
        !before.contains("always.yaml"),
        "there is no lake yet: {before}"
    );

    farol.ok(&["topics", "create"]);
    farol.ok(&[
        "simulate",
        "--rate",
        "2",
        "--start",
        "2026-01-05T00:00:00Z",
        "--duration",
        "9h",
    ]);
    farol.ok(&["run", "--roles", "ingest,jobs", "--drain"]);
    let after = warnings();
    assert!(
        after.contains("always.yaml:4:7: the rule would have been firing in 9 of the last 9 hours"),
        "{after}"
    );
    assert!(!after.contains("good.yaml"), "{after}");
    let told: Value = serde_json::from_str(&farol.ok(&["check", "--json"])).expect("an object");
    assert_eq!(told["warnings"].as_array().map(Vec::len), Some(2), "{told}");
}

#[test]
fn a_rule_is_tried_on_simulated_incidents_without_a_kafka() {
    let farol = Farol::with_config("kafka: {brokers: '127.0.0.1:1'}\n");
    let tried = farol.ok(&[
        "trigger",
        "test",
        "error-rate-high",
        "--simulate",
        "error_burst",
        "--runs",
        "1",
        "--json",
    ]);
    let told: Value = serde_json::from_str(&tried).expect("an object");
    // Seed 0 hits the service with the most calls.
    assert_eq!(
        (&told["runs"], &told["recall"]),
        (&json!(1), &json!(1.0)),
        "{told}"
    );
    assert_eq!(told["false_alarms"], 0, "{told}");
    let delay = told["delay_p50_minutes"].as_f64().expect("a delay");
    assert!((1.0..10.0).contains(&delay), "{told}");
    assert!(
        !farol.path().join("farol-data").exists(),
        "it leaves nothing"
    );

    let wrong = farol.call(&["trigger", "test", "error-rate-high", "--simulate", "storm"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("latency_spike"), "{}", wrong.stderr);
    let runbook = farol.ok(&["trigger", "runbook", "provider-outage"]);
    assert!(runbook.starts_with("# provider-outage\n"), "{runbook}");
}
