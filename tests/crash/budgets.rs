//! Two processes watch a budget, and are killed around their commits: each threshold is told once, what stands in the end is what the
//! rows say, and the topic holds what the table holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::events::{trace, with};
use crate::harness::farol::Farol;
use crate::harness::kafka::{RealKafka, Record, read_committed};
use crate::harness::{PATIENCE, root, wait_until};
use crate::told::told_once;

const ROLES: &str = "ingest,jobs,triggers,publisher";

/// Every team has its own, by the day, so that many thresholds are crossed and days are closed.
const BUDGETS: &str = "budgets:\n  - name: teams\n    by: tag.team\n    limit: 100\n    currency: USD\n    period: daily\n    \
    thresholds:\n      - {percent: 50, action: notify_team}\n      - {percent: 80, action: switch_to_cheaper_model}\n      \
    - {percent: 100, action: block_requests}\n";

/// How long a process that is to be killed has for its turn, before another takes its place.
const TURN: Duration = Duration::from_secs(20);

/// Hours of event time, one a batch; it must not pass the clock.
const HOURS_MAX: usize = 24 * 40;

/// Hours that there are at the least, so that days are closed.
const HOURS_MIN: usize = 24 * 5;

const TEAMS: [&str; 3] = ["blue", "green", "red"];

/// The spend of one hour. Some is late, some is given back.
fn hour(start: DateTime<Utc>, number: usize) -> Vec<Record> {
    let call = |at: usize| {
        let late = if at == 5 { number.min(30) as i64 } else { 0 };
        let time =
            start + TimeDelta::hours(number as i64 - late) + TimeDelta::minutes(7 * at as i64);
        let id = format!("c-{number:05}-{at:02}");
        let cost = if (number + at).is_multiple_of(23) {
            "-9.000000000001"
        } else {
            "3.100000000007"
        };
        let fields = json!({
            "event_time": time.to_rfc3339_opts(SecondsFormat::Millis, true), "cost": cost, "currency": "USD",
            "tags": {"team": TEAMS[at % TEAMS.len()]},
        });
        Record::keyed(&id, with(trace(&id), &fields).to_string())
    };
    (0..6).map(call).collect()
}

#[test]
fn two_processes_killed_around_their_commits_tell_each_threshold_once() {
    let kafka = RealKafka::shared();
    let more = "outputs: {alerts: held.alerts, budget: held.budget, metrics: held.metrics}\n\
        ingest: {flush_interval: 100ms, idle_timeout: 1h, watermark_bound: 1s}\njobs: {interval: 50ms, tags: [team]}\npipelines: {builtin: false}\n";
    let farol = Farol::new(&kafka.brokers(), &[("held.traces", "trace", 2)], more);
    let pipelines = farol.path().join("pipelines");
    fs::create_dir_all(pipelines.join("jobs")).expect("a directory");
    // No other job: their windows would be published too.
    for name in ["jobs/spend.yaml", "jobs/spend.sql"] {
        let shipped = root().join("pipelines").join(name);
        fs::copy(shipped, pipelines.join(name)).expect("a job");
    }
    fs::write(pipelines.join("budgets.yaml"), BUDGETS).expect("budgets");
    farol.ok(&["topics", "create"]);
    let start = DateTime::from_timestamp(Utc::now().timestamp() / 86_400 * 86_400, 0)
        .expect("a time")
        - TimeDelta::days(41);
    let mut sent = 0;
    let run = ["run", "--roles", ROLES];
    let steady = farol.start(&run);
    for point in [
        "triggers.before_commit",
        "triggers.after_commit",
        "publisher.before_commit",
        "publisher.after_commit",
    ] {
        let failpoint = format!("{point}=kill@2");
        let mut armed = farol.start_with_failpoint(&run, &failpoint);
        let mut began = Instant::now();
        let status = wait_until(&format!("{failpoint} kills"), PATIENCE * 2, || {
            if sent < HOURS_MAX {
                kafka.send("held.traces", hour(start, sent));
                sent += 1;
            }
            std::thread::sleep(Duration::from_millis(100));
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
    while sent < HOURS_MIN {
        kafka.send("held.traces", hour(start, sent));
        sent += 1;
    }
    let closed = || {
        let days = "SELECT count(*) AS n FROM actions WHERE kind = 'budget' AND body LIKE '%\"type\":\"statement\"%'";
        (farol.number(days) >= 6).then_some(())
    };
    wait_until("days are closed", PATIENCE, closed);
    steady.kill();
    farol.ok(&["run", "--roles", ROLES, "--drain"]);

    let told = read_committed(&kafka.brokers(), "held.budget");
    let stored = "SELECT action_id FROM actions WHERE kind = 'budget' ORDER BY sequence";
    told_once(&farol, &told, stored);
    stands(&farol, told.iter().map(|one| &one.body));
}

/// The highest revision of each day is what the rows say.
fn stands<'a>(farol: &Farol, told: impl Iterator<Item = &'a Value>) {
    let mut sums = BTreeMap::new();
    let mut crossed = BTreeSet::new();
    for body in told {
        let payload = &body["payload"];
        let team = payload["scope"]["tags"]["team"]
            .as_str()
            .expect("a team")
            .to_owned();
        let day = payload["period_start"].as_str().expect("a time").to_owned();
        if payload["type"] == "statement" {
            sums.insert((team.clone(), day.clone()), payload["used"].clone());
        }
        if payload["type"] == "threshold" {
            let key = (
                team,
                day,
                payload["threshold_percent"].as_i64().expect("a number"),
            );
            if payload["state"] == "withdrawn" {
                crossed.remove(&key);
            } else {
                assert!(crossed.insert(key), "told twice: {body}");
            }
        }
    }
    assert!(sums.len() > 2 && crossed.len() > 2, "{sums:?} {crossed:?}");
    let query = "SELECT tags['team'] AS team, date_trunc('day', event_time) AS day, CAST(sum(cost) AS VARCHAR) AS used, \
        sum(cost) >= 50 AS half, sum(cost) >= 80 AS most, sum(cost) >= 100 AS whole FROM traces GROUP BY 1, 2";
    let (mut expected, mut days) = (BTreeSet::new(), BTreeMap::new());
    for row in farol.sql(query) {
        let text = |name: &str| row[name].as_str().expect("a text").to_owned();
        let key = (text("team"), text("day"));
        for (name, percent) in [("half", 50), ("most", 80), ("whole", 100)] {
            if row[name] == true {
                expected.insert((key.0.clone(), key.1.clone(), percent));
            }
        }
        let used = text("used");
        let used = used.trim_end_matches('0').trim_end_matches('.');
        days.insert(key, json!(used));
    }
    assert_eq!(crossed, expected);
    // The day that is open has no statement.
    for (key, used) in &sums {
        assert_eq!(days.get(key), Some(used), "{key:?}");
    }
}
