//! Jobs as operators meet them: measures of events, a job of one's own, one that fails, the past computed again.

use std::fs;

use serde_json::{Value, json};

use crate::harness::events::{ids, keyed_traces};
use crate::harness::farol::Farol;
use crate::harness::kafka::RealKafka;

fn prepared(topic: &'static str) -> Farol {
    let kafka = RealKafka::shared();
    let more = "jobs: {interval: 100ms}\n";
    let farol = Farol::new(&kafka.brokers(), &[(topic, "trace", 2)], more);
    farol.ok(&["topics", "create"]);
    kafka.send(topic, keyed_traces(&ids("measured", 0..500)));
    farol
}

fn jobs(farol: &Farol) -> Vec<Value> {
    let status = farol.call(&["status", "--json"]);
    let status: Value = serde_json::from_str(&status.stdout).expect("an object");
    status["jobs"].as_array().expect("a list of jobs").clone()
}

#[test]
fn shipped_jobs_measure_what_was_read() {
    let farol = prepared("measures.traces");
    farol.ok(&["run", "--roles", "ingest,jobs", "--drain"]);
    let rows = farol.sql(
        "SELECT sum(requests) AS requests, sum(errors) AS errors, sum(generated_tokens) AS tokens, \
         round(quantile(merge_quantiles(latency), 0.5) / 512.25, 1) AS latency FROM performance",
    );
    assert_eq!(
        rows,
        [json!({"requests": 500, "errors": 0, "tokens": 10_000, "latency": 1.0})]
    );
    let spend = farol.sql(
        "SELECT currency, CAST(sum(cost) AS VARCHAR) AS cost, sum(input_tokens) AS tokens FROM spend GROUP BY 1",
    );
    assert_eq!(
        spend,
        [json!({"currency": "USD", "cost": "0.000000061500", "tokens": 50_000})]
    );
    for job in jobs(&farol) {
        // There is no table of costs, so how far that job is behind it is not known.
        let level = if job["name"] == "billing" {
            Value::Null
        } else {
            json!(0)
        };
        assert_eq!(
            (&job["behind"], &job["error"]),
            (&level, &Value::Null),
            "{job}"
        );
    }
    // A drain of jobs alone finds nothing more to do.
    farol.ok(&["run", "--roles", "jobs", "--drain"]);
    assert_eq!(
        farol.number(
            "SELECT CAST(sum(requests) AS BIGINT) AS n FROM measures('performance', '1 day')"
        ),
        500
    );
    let listed = farol.ok(&["job", "list"]);
    assert!(
        listed.contains("performance") && listed.contains("part of farol"),
        "{listed}"
    );
    assert!(
        farol
            .ok(&["job", "explain", "spend"])
            .contains("cost_per_request")
    );
}

#[test]
fn a_job_of_ones_own_is_checked_and_a_failing_one_stops_no_other() {
    let farol = prepared("own.traces");
    let written = farol.ok(&["job", "new", "mine"]);
    assert!(written.contains("pipelines/jobs/mine.yaml"), "{written}");
    let ok = farol.ok(&["check"]);
    assert!(ok.contains("ensembles, mine, performance, quality"), "{ok}");

    let yaml = farol.path().join("pipelines/jobs/mine.yaml");
    let good = fs::read_to_string(&yaml).expect("the file that was written");
    fs::write(&yaml, good.replace("quantile(latency", "quantile(latncy")).expect("a change");
    let at = good
        .lines()
        .position(|line| line.contains("quantile(latency"));
    let place = format!("mine.yaml:{}:", at.expect("the measure") + 1);
    for command in [&["check"][..], &["run", "--roles", "jobs", "--drain"]] {
        let refused = farol.call(command);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("did you mean `latency`?"),
            "{}",
            refused.stderr
        );
        assert!(refused.stderr.contains(&place), "{}", refused.stderr);
    }

    // It fails where its rows are: this text is no number.
    fs::write(&yaml, &good).expect("a change");
    let sql = farol.path().join("pipelines/jobs/mine.sql");
    let good_sql = fs::read_to_string(&sql).expect("the file that was written");
    let bad_sql = good_sql.replace("1 AS requests", "CAST(service AS BIGINT) AS requests");
    fs::write(&sql, bad_sql).expect("a change");
    let failed = farol.call(&["run", "--roles", "ingest,jobs", "--drain"]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    let of = |name: &str| {
        jobs(&farol)
            .into_iter()
            .find(|job| job["name"] == name)
            .expect("the job")
    };
    assert!(
        of("mine")["error"]
            .as_str()
            .is_some_and(|error| error.contains("assistant")),
        "{}",
        of("mine")
    );
    assert_eq!(of("performance")["behind"], json!(0));
    assert_eq!(
        farol.number("SELECT CAST(sum(requests) AS BIGINT) AS n FROM performance"),
        500
    );

    // What it has read so far it has read with the other SQL.
    fs::write(&sql, good_sql).expect("a change");
    farol.ok(&["job", "recompute", "mine", "--yes"]);
    farol.ok(&["run", "--roles", "jobs", "--drain"]);
    assert_eq!(of("mine")["error"], Value::Null);
    assert_eq!(
        farol.number("SELECT CAST(sum(requests) AS BIGINT) AS n FROM mine"),
        500
    );

    // Without those that are part of Farol.
    let names: Vec<_> = jobs(&farol).iter().map(|job| job["name"].clone()).collect();
    assert_eq!(names.len(), 13, "{names:?}");
    assert!(
        names.contains(&json!("mine")) && names.contains(&json!("spend")),
        "{names:?}"
    );
    let listed = farol.ok(&["job", "list", "--set", "pipelines.builtin=false"]);
    assert!(
        listed.contains("mine") && !listed.contains("spend"),
        "{listed}"
    );
}
