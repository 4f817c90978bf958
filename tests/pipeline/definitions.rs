//! Definitions of jobs as operators change them: tags that become segments, a change that stops a job until it is computed
//! anew, files that are shown and copied, and what is said of it all.

use std::collections::BTreeSet;
use std::fs;

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::events::{ids, keyed_traces, trace, with};
use crate::harness::farol::Farol;
use crate::harness::kafka::{RealKafka, Record, read_committed};
use crate::harness::{PATIENCE, wait_until};

const TAGS: [&str; 2] = ["--set", "jobs.tags=[team, feature]"];

const RULE: &str = "name: team-errors\non: performance\nwindow: 1m\nby: [team]\n\
    when: error_rate > 0.3 AND requests >= 20\nseverity: critical\n";

/// A minute ago, calls of two teams, of which all of one fail.
fn calls() -> Vec<Record> {
    let start = Utc::now().timestamp() / 60 * 60 - 120;
    let call = |number: usize| {
        let id = format!("tagged-{number}");
        let time = chrono::DateTime::from_timestamp(start, 0).expect("a time")
            + TimeDelta::milliseconds(500 * number as i64);
        let red = number.is_multiple_of(2);
        let fields = json!({
            "event_time": time.to_rfc3339_opts(SecondsFormat::Millis, true),
            "status": if red { "error" } else { "ok" },
            "tags": if red { json!({"team": "red", "feature": "chat"}) } else { json!({"team": "blue"}) },
        });
        Record::keyed(&id, with(trace(&id), &fields).to_string())
    };
    (0..100).map(call).collect()
}

#[test]
fn configured_tags_reach_measures_rules_and_messages() {
    let kafka = RealKafka::shared();
    let more = "outputs: {alerts: tagged.alerts, metrics: tagged.metrics}\n\
                ingest: {flush_interval: 100ms, idle_timeout: 2s}\n\
                jobs: {interval: 100ms, tags: [team, feature]}\n";
    let farol = Farol::new(&kafka.brokers(), &[("tagged.traces", "trace", 2)], more);
    let rules = farol.path().join("pipelines/triggers");
    fs::create_dir_all(&rules).expect("a directory");
    fs::write(rules.join("team-errors.yaml"), RULE).expect("a rule");
    farol.ok(&["check"]);
    farol.ok(&["topics", "create"]);
    kafka.send("tagged.traces", calls());
    farol.ok(&[
        "run",
        "--roles",
        "ingest,jobs,triggers,publisher",
        "--drain",
    ]);

    let by_team = farol.sql(
        "SELECT team, feature, CAST(sum(requests) AS BIGINT) AS requests, CAST(sum(errors) AS BIGINT) AS errors \
         FROM measures('performance', '1 hour', 'team', 'feature') GROUP BY 1, 2 ORDER BY 1",
    );
    assert_eq!(
        by_team,
        [
            json!({"team": "blue", "feature": null, "requests": 50, "errors": 0}),
            json!({"team": "red", "feature": "chat", "requests": 50, "errors": 50}),
        ]
    );
    let spent = farol.sql("SELECT team, currency FROM spend GROUP BY 1, 2 ORDER BY 1");
    assert_eq!(
        spent,
        [
            json!({"team": "blue", "currency": "USD"}),
            json!({"team": "red", "currency": "USD"}),
        ]
    );
    let alerts = read_committed(&kafka.brokers(), "tagged.alerts");
    let segments: Vec<_> = alerts
        .iter()
        .filter(|alert| alert.body["rule"] == "team-errors")
        .map(|alert| alert.body["segment"].clone())
        .collect();
    assert!(
        !segments.is_empty()
            && segments
                .iter()
                .all(|segment| *segment == json!({"team": "red"})),
        "{segments:?}"
    );
    // Windows are published when the watermark has passed them, which the clock moves once nothing more comes.
    let process = farol.start(&["run", "--roles", "ingest,jobs,publisher"]);
    wait_until("the windows of both teams are published", PATIENCE, || {
        let metrics = read_committed(&kafka.brokers(), "tagged.metrics");
        let teams: BTreeSet<_> = metrics
            .iter()
            .filter(|message| message.body["job"] == "performance")
            .map(|message| message.body["segment"]["team"].to_string())
            .collect();
        (teams == BTreeSet::from(["\"blue\"", "\"red\""].map(str::to_owned))).then_some(())
    });
    assert_eq!(process.stop(), Some(0));
}

#[test]
fn a_changed_job_stops_says_why_and_is_computed_anew() {
    let kafka = RealKafka::shared();
    let more = "jobs: {interval: 100ms}\n";
    let farol = Farol::new(&kafka.brokers(), &[("redefined.traces", "trace", 2)], more);
    farol.ok(&["topics", "create"]);
    kafka.send("redefined.traces", keyed_traces(&ids("redefined", 0..300)));
    farol.ok(&["run", "--roles", "ingest,jobs", "--drain"]);

    // A tag more, and every command says what that means.
    let tagged = |arguments: &[&str]| farol.call(&[arguments, &TAGS].concat());
    let checked = tagged(&["check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(
        checked.stdout.contains("segment `team` was added")
            && checked
                .stdout
                .contains("computed anew from traces: windows "),
        "{}",
        checked.stdout
    );
    let checked: Value =
        serde_json::from_str(&tagged(&["check", "--json"]).stdout).expect("an object");
    assert_eq!(
        checked["changed"]["performance"]["differences"],
        json!(["segment `feature` was added", "segment `team` was added"])
    );
    let status = tagged(&["status"]);
    assert_eq!(status.code, Some(3));
    assert!(
        status
            .stdout
            .contains("STOPPED: job performance was changed"),
        "{}",
        status.stdout
    );
    assert!(
        tagged(&["job", "list"])
            .stdout
            .contains("`farol job recompute spend`")
    );
    let refused = tagged(&["sql", "SELECT count(*) FROM performance"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    assert!(
        refused.stderr.contains("`farol job recompute performance`"),
        "{}",
        refused.stderr
    );
    assert_eq!(
        tagged(&["sql", "SELECT count(*) FROM traces"]).code,
        Some(0)
    );
    let stopped = tagged(&["run", "--roles", "jobs", "--drain"]);
    assert_eq!(stopped.code, Some(1));
    assert!(
        stopped.stderr.contains("segment `team` was added"),
        "{}",
        stopped.stderr
    );

    // It is done on request alone.
    let unasked = tagged(&["job", "recompute", "performance"]);
    assert_eq!(unasked.code, Some(2));
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    let changed = checked["changed"].as_object().expect("jobs");
    assert!(changed.len() > 1, "{checked}");
    for job in changed.keys() {
        let done = tagged(&["job", "recompute", job, "--yes"]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert!(done.stdout.contains("computed anew, "), "{}", done.stdout);
    }
    let again = tagged(&["job", "recompute", "spend", "--yes"]);
    assert!(
        again.stdout.contains("there is nothing to compute anew"),
        "{}",
        again.stdout
    );
    let drained = tagged(&["run", "--roles", "ingest,jobs", "--drain"]);
    assert_eq!(drained.code, Some(0), "{}", drained.stderr);
    let rows = tagged(&[
        "sql",
        "SELECT team, CAST(sum(requests) AS BIGINT) AS n FROM performance GROUP BY 1",
        "--format",
        "json",
    ]);
    let rows: Value = serde_json::from_str(&rows.stdout).expect("rows");
    assert_eq!(rows, json!([{"team": "blue", "n": 300}]));
    // And the configuration of before is now the one that differs.
    assert!(farol.ok(&["check"]).contains("segment `team` was removed"));
}

#[test]
fn files_of_jobs_are_shown_copied_explained_and_checked() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(
        &kafka.brokers(),
        &[("explained.traces", "trace", 2)],
        "jobs: {interval: 100ms}\n",
    );
    let unknown = farol.ok(&["job", "explain", "performance"]);
    assert!(
        unknown.contains("cost       not known: traces has no rows yet"),
        "{unknown}"
    );

    let shown = farol.ok(&["job", "show", "spend"]);
    assert!(
        shown.contains("name: spend") && shown.contains("FROM traces"),
        "{shown}"
    );
    farol.ok(&["job", "new", "by_task", "--from", "spend"]);
    let jobs = farol.path().join("pipelines/jobs");
    let copied = fs::read_to_string(jobs.join("by_task.yaml")).expect("the copy");
    assert!(copied.starts_with("name: by_task\n"), "{copied}");
    let refused = farol.call(&["job", "new", "by_task"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("is there already"),
        "{}",
        refused.stderr
    );
    assert_eq!(
        fs::read_to_string(jobs.join("by_task.yaml")).expect("the copy"),
        copied
    );
    let taken = farol.call(&["job", "new", "traces"]);
    assert!(
        taken.stderr.contains("is the name of a table"),
        "{}",
        taken.stderr
    );

    let checked = farol.ok(&["check"]);
    assert!(
        checked.contains("no measure uses partial `cache_write_tokens`"),
        "{checked}"
    );
    // In a shipped job's place, what shipped rules need must stay.
    farol.ok(&["job", "new", "performance", "--from", "performance"]);
    farol.ok(&["check"]);
    let yaml = jobs.join("performance.yaml");
    let good = fs::read_to_string(&yaml).expect("the copy");
    fs::write(&yaml, good.replace("error_rate:", "failure_rate:")).expect("a change");
    let wrong = farol.call(&["check", "--json"]);
    assert_eq!(wrong.code, Some(2));
    let told: Value = serde_json::from_str(&wrong.stdout).expect("an object");
    let help = told["mistakes"][0]["help"].as_str().expect("what to do");
    assert!(
        help.contains(
            "rule `error-rate-high`, which is part of farol, needs this of job `performance`"
        ),
        "{told}"
    );
    assert!(told["mistakes"][0]["line"].is_u64(), "{told}");
    fs::write(&yaml, good).expect("a change");

    farol.ok(&["topics", "create"]);
    kafka.send("explained.traces", keyed_traces(&ids("explained", 0..500)));
    farol.drain();
    let explained = farol.ok(&["job", "explain", "performance", "--json"]);
    let explained: Value = serde_json::from_str(&explained).expect("an object");
    let cost = &explained["cost"];
    assert_eq!(cost["events"], 500, "{cost}");
    assert!(
        cost["events_per_second"]
            .as_f64()
            .is_some_and(|rate| rate > 0.0),
        "{cost}"
    );
    assert!(
        cost["partials_bytes_per_event"]
            .as_f64()
            .is_some_and(|bytes| bytes > 0.0),
        "{cost}"
    );
    assert!(
        cost["cpu_us_per_event"]
            .as_f64()
            .is_some_and(|cpu| cpu > 0.0),
        "{cost}"
    );
    assert_eq!(cost["series_per_window"], 1.0, "{cost}");
    let columns = explained["columns"]["traces"].as_array().expect("columns");
    assert!(
        columns.contains(&json!("latency_ms")) && !columns.contains(&json!("input")),
        "{columns:?}"
    );
    let plan = explained["plan"]["physical"].as_str().expect("a plan");
    assert!(
        plan.contains("AggregateExec") && plan.contains("DataSourceExec"),
        "{plan}"
    );
}
