//! The same history gives the same findings: in one go, live beside a second process, and through kills around every commit.
//! And a finding can be explained, drawn, and found again by running history through the detector.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::events::{trace, with};
use crate::harness::farol::Farol;
use crate::harness::kafka::{RealKafka, Record, read_committed};
use crate::harness::{PATIENCE, wait_until};

const ROLES: &str = "ingest,jobs,detectors,triggers,publisher";

/// Windows of ten seconds, so that a test sees many close. From one on there is an incident every so many windows, which lasts
/// for some of them.
const WINDOWS: usize = 2_400;
const FIRST: usize = 700;
const EVERY: usize = 200;
const LASTS: usize = 30;
const INCIDENTS: usize = (WINDOWS - FIRST).div_ceil(EVERY);

const JOB: &str = "name: calls\nreads: traces\nwindow: 10s\nsegments: [service, model]\n\
    partials: {requests: sum, errors: sum}\n\
    measures: {error_rate: {expr: errors / requests, unit: ratio, better: lower}}\n";

const SQL: &str = "SELECT event_time, service, model, 1 AS requests, \
    CASE WHEN status = 'error' THEN 1 ELSE 0 END AS errors FROM traces\n";

const DETECTOR: &str = "name: errors\non: calls\nmeasures: error_rate\nby: [service]\nwindow: 10s\n\
    warm_up: 30m\nfalse_alarms_per_week: 1\n";

const RULE: &str = "name: found\non: findings\nby: [detector, service]\nwhen: relative_effect > 1\n\
    severity: critical\n";

/// Windows that are sent at once, while processes are killed.
const PIECE: usize = 2;

/// How long a process that is to be killed has for its turn, before the other stands still until it has got it.
const TURN: Duration = Duration::from_secs(20);

/// The calls of one window. One in fifty fails; in the incident, of one service all those that ask one model.
fn window(start: DateTime<Utc>, number: usize) -> Vec<Record> {
    let call = |at: usize| {
        let time = start + TimeDelta::milliseconds(10_000 * number as i64 + 240 * at as i64);
        let id = format!("d-{number:05}-{at:02}");
        let (service, model) = (at % 2, at / 2 % 2);
        let is_incident = number >= FIRST && (number - FIRST) % EVERY < LASTS;
        let hit = is_incident && service == 0 && model == 1;
        let fails = hit || (40 * number + at) % 50 == 7;
        let names = (["checkout", "search"][service], ["small", "large"][model]);
        let fields = json!({
            "event_time": time.to_rfc3339_opts(SecondsFormat::Millis, true),
            "service": names.0,
            "request_model": names.1,
            "status": if fails { "error" } else { "ok" },
        });
        Record::keyed(&id, with(trace(&id), &fields).to_string())
    };
    (0..40).map(call).collect()
}

/// A Farol with the detector and topics that begin with `name`.
fn prepared(name: &str) -> Farol {
    let kafka = RealKafka::shared();
    let more = format!(
        "outputs: {{alerts: {name}.alerts, metrics: {name}.metrics}}\n\
         ingest: {{flush_interval: 100ms, idle_timeout: 1h, watermark_bound: 1s}}\njobs: {{interval: 50ms}}\n\
         triggers: {{max_age: 1d}}\npipelines: {{builtin: false}}\n"
    );
    let topic = format!("{name}.traces");
    let farol = Farol::new(&kafka.brokers(), &[(&topic, "trace", 2)], &more);
    let pipelines = farol.path().join("pipelines");
    for (file, text) in [
        ("jobs/calls.yaml", JOB),
        ("jobs/calls.sql", SQL),
        ("detectors/errors.yaml", DETECTOR),
        ("triggers/found.yaml", RULE),
    ] {
        let path = pipelines.join(file);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    farol.ok(&["topics", "create"]);
    farol
}

/// The findings as they do not depend on when they were committed.
fn findings(farol: &Farol) -> Vec<Value> {
    farol.sql(
        "SELECT finding_id, revision, state, detector, method, job, measure, direction, segment, since, window_start, \
         window_end, noticed_at, ended_at, statistic, statistic_value, threshold, observed, reference, effect, effect_low, \
         effect_high, reference_start, reference_end, observations, root_causes, samples, sql \
         FROM findings ORDER BY finding_id, revision",
    )
}

/// What the alert topic says of the rule: states in order.
fn states(name: &str) -> Vec<String> {
    let told = read_committed(&RealKafka::shared().brokers(), &format!("{name}.alerts"));
    told.iter()
        .filter(|alert| alert.body["rule"] == "found")
        .map(|alert| {
            let payload = &alert.body["payload"];
            assert_eq!(payload["finding"]["measure"], "error_rate", "{payload}");
            format!("{} {}", alert.body["segment"]["service"], payload["state"])
        })
        .collect()
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[test]
fn the_same_history_gives_the_same_findings_in_one_go_live_and_through_kills() {
    let kafka = RealKafka::shared();
    let start = DateTime::from_timestamp(Utc::now().timestamp() / 60 * 60, 0).expect("a time")
        - TimeDelta::hours(8);
    let one_go = prepared("whole");
    let windows =
        |range: std::ops::Range<usize>| range.flat_map(move |number| window(start, number));
    kafka.send("whole.traces", windows(0..WINDOWS));
    one_go.ok(&["run", "--roles", ROLES, "--drain"]);
    let expected = findings(&one_go);
    is_the_incident(&expected, start);
    let told = ["\"checkout\" \"alert\"", "\"checkout\" \"recovered\""].repeat(INCIDENTS);
    assert_eq!(states("whole"), told);

    let live = prepared("pieces");
    let run = ["run", "--roles", ROLES];
    let mut sent = 0;
    let mut send = |count: usize| {
        let next = (sent + count).min(WINDOWS);
        kafka.send("pieces.traces", windows(sent..next));
        sent = next;
    };
    // Until shortly before the incident a process alone; then a second one beside it, which is killed again and again.
    let steady = live.start(&run);
    send(FIRST - 20);
    for point in ["detectors.before_commit", "detectors.after_commit"] {
        for pass in [1, 2] {
            let failpoint = format!("{point}=kill@{pass}");
            let mut armed = live.start_with_failpoint(&run, &failpoint);
            let began = Instant::now();
            let status = wait_until(&format!("{failpoint} kills"), PATIENCE * 2, || {
                send(PIECE);
                // Event time runs faster than the clock, but a process must get its turn.
                std::thread::sleep(Duration::from_millis(100));
                if began.elapsed() > TURN {
                    steady.freeze();
                }
                armed.ended()
            });
            steady.thaw();
            assert_eq!(status.signal(), Some(9), "{failpoint}: {}", armed.stderr());
        }
    }
    steady.kill();
    send(WINDOWS);
    live.ok(&["run", "--roles", ROLES, "--drain"]);
    assert_eq!(findings(&live), expected);
    assert_eq!(states("pieces"), told);
    is_explained(&one_go, &expected, start);
}

/// There is a finding for each incident, of the service that was hit, opened and ended, and its cause is the model.
fn is_the_incident(findings: &[Value], start: DateTime<Utc>) {
    assert_eq!(findings.len(), 2 * INCIDENTS, "{findings:#?}");
    let mut opened: Vec<_> = findings.iter().filter(|one| one["revision"] == 0).collect();
    opened.sort_by_key(|one| one["since"].to_string());
    for (number, opened) in opened.into_iter().enumerate() {
        let ended = findings
            .iter()
            .find(|one| one["finding_id"] == opened["finding_id"] && one["revision"] == 1);
        let begin = start + TimeDelta::seconds(10 * (FIRST + number * EVERY) as i64);
        is_one(opened, ended.expect("it ended"), begin);
    }
}

fn is_one(opened: &Value, ended: &Value, begin: DateTime<Utc>) {
    assert_eq!(
        (&opened["state"], &ended["state"]),
        (&json!("open"), &json!("ended"))
    );
    assert_eq!(opened["segment"], r#"{"service":"checkout"}"#);
    let since: DateTime<Utc> = opened["since"]
        .as_str()
        .expect("a time")
        .parse()
        .expect("a time");
    assert!(
        (since - begin).num_seconds().abs() <= 20,
        "{since} and not {begin}"
    );
    let causes: Value =
        serde_json::from_str(opened["root_causes"].as_str().expect("text")).expect("JSON");
    assert_eq!(causes[0]["segment"], json!({"model": "large"}), "{causes}");
    assert!(
        causes[0]["share"].as_f64().expect("a number") > 0.9,
        "{causes}"
    );
    let samples: Vec<String> =
        serde_json::from_str(opened["samples"].as_str().expect("text")).expect("JSON");
    assert_eq!(samples.len(), 5, "{samples:?}");
}

/// People can look at it: in words, as a picture, by its query, and by running history through the detector.
fn is_explained(farol: &Farol, findings: &[Value], start: DateTime<Utc>) {
    let id = findings[0]["finding_id"].as_str().expect("text");
    let told = farol.ok(&["detect", "explain", &id[..8], "--plot", "finding.svg"]);
    for part in [
        id,
        "error_rate of service=checkout",
        "▲",
        "explained",
        "model=large",
        "SELECT",
    ] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    let picture = fs::read_to_string(farol.path().join("finding.svg")).expect("a picture");
    assert!(picture.starts_with("<svg ") && picture.contains("expected"));
    let unknown = farol.call(&["detect", "explain", "ffffffffffff"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
    assert!(
        unknown.stderr.contains("no finding begins with"),
        "{}",
        unknown.stderr
    );
    let rows = farol.sql(findings[0]["sql"].as_str().expect("SQL"));
    assert!(rows.len() > 50, "{} rows", rows.len());

    let end = start + TimeDelta::seconds(10 * WINDOWS as i64);
    let (from, to) = (text(start), text(end));
    let replayed = farol.ok(&[
        "detect", "run", "errors", "--from", &from, "--to", &to, "--json",
    ]);
    let replayed: Vec<Value> = replayed
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(replayed.len(), findings.len());
    for found in findings {
        let same = replayed.iter().find(|one| {
            let names = ["finding_id", "revision", "state", "observed", "reference"];
            names.iter().all(|name| one[*name] == found[*name])
        });
        assert!(same.is_some(), "{found} is not among what was found again");
    }
}
