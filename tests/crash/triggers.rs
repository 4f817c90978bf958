//! Two processes decide and publish, and are killed around their commits: what is on the topic is what was decided,
//! each once, and says what one process that is never killed would have said.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::events::{trace, with};
use crate::harness::farol::Farol;
use crate::harness::kafka::{Read, RealKafka, Record, read_committed};
use crate::harness::{PATIENCE, wait_until};
use crate::told::told_once;

const ROLES: &str = "ingest,jobs,triggers,publisher";

const RULE: &str = "name: errors\non: performance\nwindow: 10s\nby: [service]\n\
    when: error_rate > 0.3 AND requests >= 5\nseverity: critical\nmuted_by: [outage]\n";

/// Its cause: over all services, in the same windows.
const OUTAGE: &str = "name: outage\non: calls\nwindow: 10s\n\
    when: error_rate > 0.3 AND requests >= 5\nseverity: critical\n";

/// A rule on single events beside it.
const EVENT_RULE: &str = "name: dear\non: traces\nby: [service]\nwhen: cost > 10\nwithin: 1m\n";

/// Every so many windows, two minutes, a few calls are dear.
const DEAR_EVERY: usize = 12;

/// Which calls of such a window: none of those that are late.
const DEAR: [usize; 3] = [2, 4, 6];

/// How long a process that is to be killed has for its turn, before another takes its place.
const TURN: Duration = Duration::from_secs(20);

/// As many windows as there are in ten hours, and some fewer.
const WINDOWS_MAX: usize = 3_500;

/// Measures by ten seconds, so that a test sees many windows close.
const JOB: &str = "name: calls\nreads: traces\nwindow: 10s\nsegments: [service]\n\
    partials: {requests: sum, errors: sum}\nmeasures: {error_rate: {expr: errors / requests}}\n";

const SQL: &str = "SELECT event_time, service, 1 AS requests, \
    CASE WHEN status = 'error' THEN 1 ELSE 0 END AS errors FROM traces\n";

/// The calls of one window of ten seconds: every third window is an incident. Some calls of the window before are late.
fn window(start: DateTime<Utc>, number: usize) -> Vec<Record> {
    let call = |at: usize| {
        let late = at % 10 == 9 && number > 0;
        let time = start + TimeDelta::milliseconds(10_000 * number as i64 + 100 * at as i64)
            - TimeDelta::seconds(if late { 10 } else { 0 });
        let id = format!("c-{number:05}-{at:02}");
        let fields = json!({
            "event_time": time.to_rfc3339_opts(SecondsFormat::Millis, true),
            "service": if at.is_multiple_of(2) { "checkout" } else { "search" },
            "cost": if number.is_multiple_of(DEAR_EVERY) && DEAR.contains(&at) { "50" } else { "0.001" },
            "status": if number % 3 == 1 && at.is_multiple_of(2) { "error" } else { "ok" },
        });
        Record::keyed(&id, with(trace(&id), &fields).to_string())
    };
    (0..40).map(call).collect()
}

#[test]
fn two_processes_killed_around_their_commits_tell_each_alert_once() {
    let kafka = RealKafka::shared();
    let more = "outputs: {alerts: told.alerts, metrics: told.metrics}\n\
        ingest: {flush_interval: 100ms, idle_timeout: 1h, watermark_bound: 1s}\njobs: {interval: 50ms}\n\
        triggers: {max_age: 1d}\npipelines: {builtin: false}\n";
    let farol = Farol::new(&kafka.brokers(), &[("told.traces", "trace", 2)], more);
    let pipelines = farol.path().join("pipelines");
    fs::create_dir_all(pipelines.join("triggers")).expect("a directory");
    fs::create_dir_all(pipelines.join("jobs")).expect("a directory");
    fs::write(
        pipelines.join("triggers/errors.yaml"),
        RULE.replace("performance", "calls"),
    )
    .expect("a rule");
    fs::write(pipelines.join("triggers/dear.yaml"), EVENT_RULE).expect("a rule");
    fs::write(pipelines.join("triggers/outage.yaml"), OUTAGE).expect("a rule");
    fs::write(pipelines.join("jobs/calls.yaml"), JOB).expect("a job");
    fs::write(pipelines.join("jobs/calls.sql"), SQL).expect("a job");
    farol.ok(&["topics", "create"]);
    let start = DateTime::from_timestamp(Utc::now().timestamp() / 60 * 60, 0).expect("a time")
        - TimeDelta::hours(10);
    let mut sent = 0;
    let run = ["run", "--roles", ROLES];
    let steady = farol.start(&run);
    for point in [
        "triggers.before_commit",
        "triggers.after_commit",
        "publisher.before_commit",
        "publisher.after_commit",
    ] {
        for pass in [1, 2] {
            let failpoint = format!("{point}=kill@{pass}");
            let mut armed = farol.start_with_failpoint(&run, &failpoint);
            let mut began = Instant::now();
            let status = wait_until(&format!("{failpoint} kills"), PATIENCE * 2, || {
                // Event time runs faster than the clock, but must not pass it.
                if sent < WINDOWS_MAX {
                    kafka.send("told.traces", window(start, sent));
                    sent += 1;
                }
                std::thread::sleep(Duration::from_millis(250));
                // Where the steady one has taken the publishing back, it keeps it: whoever starts has it next.
                if began.elapsed() > TURN {
                    let again = farol.start_with_failpoint(&run, &failpoint);
                    std::mem::replace(&mut armed, again).kill();
                    began = Instant::now();
                }
                armed.ended()
            });
            assert_eq!(status.signal(), Some(9), "{failpoint}: {}", armed.stderr());
        }
    }
    steady.kill();
    farol.ok(&["run", "--roles", ROLES, "--drain"]);

    let told = read_committed(&kafka.brokers(), "told.alerts");
    told_once(
        &farol,
        &told,
        "SELECT action_id FROM actions ORDER BY sequence",
    );

    measured_windows_stand(&told, start, sent);
    single_events_stand(&told, start, sent);
}

/// The start of a window of ten seconds, as messages have it.
fn time(start: DateTime<Utc>, number: usize) -> String {
    let time = start + TimeDelta::seconds(10 * number as i64);
    json!(time.to_rfc3339_opts(SecondsFormat::Secs, true)).to_string()
}

/// What stands of each window, by its highest revision, is what the rules on measures say of all the rows.
fn measured_windows_stand(told: &[Read], start: DateTime<Utc>, sent: usize) {
    let mut expected = Vec::new();
    for number in (0..sent).filter(|number| number % 3 == 1) {
        expected.push((time(start, number), json!("alert")));
        if number + 1 < sent {
            expected.push((time(start, number + 1), json!("recovered")));
        }
    }
    assert_eq!(stands(told, "errors"), expected);
    // So is their cause, which mutes each of them and names it.
    assert_eq!(stands(told, "outage"), expected);
    for alert in told
        .iter()
        .filter(|alert| alert.body["payload"]["state"] == "alert")
    {
        let payload = &alert.body["payload"];
        if alert.body["rule"] == "errors" {
            assert_eq!(payload["muted"]["rule"], "outage", "{}", alert.body);
        } else if alert.body["rule"] == "outage" {
            let named = payload["consequences"].as_array().expect("a list");
            let named: Vec<_> = named.iter().map(|one| &one["rule"]).collect();
            assert_eq!(named, ["errors"], "{}", alert.body);
        }
    }
}

/// A minute with dear calls fires, the next one recovers; of the last it may not be known yet.
fn single_events_stand(told: &[Read], start: DateTime<Utc>, sent: usize) {
    let known = (0..sent)
        .step_by(DEAR_EVERY)
        .filter(|number| number + DEAR_EVERY + 2 <= sent);
    let mut expected = Vec::new();
    for number in known {
        expected.push((time(start, number), json!("warning")));
        expected.push((time(start, number + DEAR_EVERY / 2), json!("recovered")));
    }
    let mut stood = stands(told, "dear");
    assert!(
        !expected.is_empty() && stood.len() <= expected.len() + 4,
        "{stood:?}"
    );
    stood.truncate(expected.len());
    assert_eq!(stood, expected);
    let ends = told.iter().filter(|alert| {
        alert.body["rule"] == "dear" && alert.body["payload"]["state"] == "recovered"
    });
    let counts: Vec<_> = ends
        .map(|end| end.body["payload"]["count"].clone())
        .collect();
    // A partition of which nothing was ever committed is not waited for, and its first owner is killed: the first
    // incidents may be over before all of their calls are read.
    let settled = &counts[counts.len() / 2..];
    assert!(!settled.is_empty(), "{counts:?}");
    assert!(
        settled.iter().all(|count| *count == json!(DEAR.len())),
        "{counts:?}"
    );
}

/// What a rule's messages leave standing of each window: its start and the state, without what was withdrawn.
fn stands(told: &[Read], rule: &str) -> Vec<(String, Value)> {
    let mut stands = BTreeMap::<(String, String), (i64, Value)>::new();
    for alert in told.iter().filter(|alert| alert.body["rule"] == rule) {
        let body = &alert.body;
        let key = (
            body["segment"].to_string(),
            body["window_start"].to_string(),
        );
        let revision = body["revision"].as_i64().expect("a number");
        let said =
            (body["payload"]["cause"] != "withdrawn").then(|| body["payload"]["state"].clone());
        let known = stands.entry(key).or_insert((-1, Value::Null));
        assert!(revision > known.0, "revisions grow: {body}");
        *known = (revision, said.unwrap_or(Value::Null));
    }
    stands
        .into_iter()
        .filter(|(_, (_, state))| !state.is_null())
        .map(|((_, window), (_, state))| (window, state))
        .collect()
}
