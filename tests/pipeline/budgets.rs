//! Budgets as a gateway meets them: spend crosses a threshold, the action and the state are on the topic, an adjustment takes
//! it back, an edit does not reset, and what is wrong in the file is told with its place.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::harness::events::{trace, with};
use crate::harness::farol::{Farol, FarolProcess};
use crate::harness::kafka::{Read, Record, free_port, read_committed, send};
use crate::harness::{PATIENCE, wait_until};

const TOPIC: &str = "llm.actions.budget";

const BUDGETS: &str = "budgets:\n  - name: assistant-monthly\n    scope: {service: assistant}\n    limit: 10\n    \
    currency: USD\n    period: monthly\n    source: calls_and_adjustments\n    thresholds:\n      \
    - {percent: 80, action: switch_to_cheaper_model}\n      - {percent: 100, action: block_requests}\n";

/// A Farol with an embedded broker and the budget.
fn prepared() -> (Farol, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let farol = Farol::with_config(&format!(
        "kafka: {{embedded: '{address}'}}\nserver: {{http: null, postgres: null, flight: null}}\n\
         ingest: {{flush_interval: 100ms, idle_timeout: 1s}}\njobs: {{interval: 100ms, tags: [team]}}\n"
    ));
    let pipelines = farol.path().join("pipelines");
    fs::create_dir_all(&pipelines).expect("a directory");
    fs::write(pipelines.join("budgets.yaml"), BUDGETS).expect("budgets");
    (farol, address)
}

fn up(farol: &Farol) -> FarolProcess {
    let mut process = farol.start(&["up", "--json"]);
    wait_until("it is up", PATIENCE, || {
        assert!(process.ended().is_none(), "{}", process.stderr());
        (!process.stdout().is_empty()).then_some(())
    });
    process
}

/// A call that cost so much.
fn call(id: &str, cost: &str, more: &Value) -> Record {
    let fields = json!({"cost": cost, "currency": "USD"});
    Record::keyed(id, with(with(trace(id), &fields), more).to_string())
}

fn told(address: &str) -> Vec<Read> {
    read_committed(address, TOPIC)
}

/// Every threshold's message as one line, and no two with one id.
fn thresholds(farol: &Farol) -> Vec<String> {
    let rows =
        farol.sql("SELECT action_id, body FROM actions WHERE kind = 'budget' ORDER BY sequence");
    let ids: BTreeSet<_> = rows
        .iter()
        .map(|row| row["action_id"].to_string())
        .collect();
    assert_eq!(ids.len(), rows.len(), "none twice");
    let bodies = rows
        .iter()
        .map(|row| serde_json::from_str(row["body"].as_str().expect("a text")).expect("JSON"));
    let line = |body: Value| {
        let payload = &body["payload"];
        let percent = payload["threshold_percent"].as_i64()?;
        let state = payload["state"].as_str()?;
        Some(format!("{percent} {state} r{}", body["revision"]))
    };
    bodies.filter_map(line).collect()
}

/// What a gateway would do: the last state.
fn enforced(read: &[Read]) -> Option<&Read> {
    read.iter()
        .rfind(|one| one.body["payload"]["type"] == "state")
}

/// Waits until the last state enforces something and shows so much spent.
fn wait_for(address: &str, enforce: &str, used: &str) -> Vec<Read> {
    wait_until(&format!("{enforce} at {used}"), PATIENCE, || {
        let read = told(address);
        let state = &enforced(&read)?.body["payload"];
        (state["enforce"] == enforce && state["used"] == used).then_some(read)
    })
}

#[test]
fn spend_that_crosses_a_threshold_is_told_enforced_and_taken_back() {
    let (farol, address) = prepared();
    let process = up(&farol);
    // Other services, other currencies and chains that repeat what their calls cost are not counted.
    let other = |fields: Value| call(&format!("other-{fields}"), "50", &fields);
    send(
        &address,
        "llm.traces",
        vec![
            call("a", "7.999999999999", &json!({})),
            other(json!({"service": "search"})),
            other(json!({"currency": "EUR"})),
            other(json!({"operation": "chain"})),
        ],
    );
    wait_for(&address, "none", "7.999999999999");
    assert_eq!(thresholds(&farol), [""; 0]);
    send(
        &address,
        "llm.traces",
        vec![call("b", "0.000000000001", &json!({}))],
    );
    wait_for(&address, "switch_to_cheaper_model", "8");
    assert_eq!(thresholds(&farol), ["80 crossed r0"]);
    send(
        &address,
        "llm.traces",
        vec![call("c", "3.5", &json!({"tags": {}}))],
    );
    let read = wait_for(&address, "block_requests", "11.5");
    assert_eq!(thresholds(&farol), ["80 crossed r0", "100 crossed r0"]);
    let crossed = read
        .iter()
        .rfind(|one| one.body["payload"]["type"] == "threshold")
        .expect("it is there");
    assert_eq!(crossed.headers["ce_type"], "farol.budget");
    assert_eq!(crossed.body["severity"], "critical");
    let value = farol.sql(crossed.body["evidence"]["sql"].as_str().expect("a query"));
    assert_eq!(value, [json!({"value": 11.5})]);
    let ids: BTreeSet<_> = read.iter().map(|one| &one.headers["ce_id"]).collect();
    assert_eq!(ids.len(), read.len(), "none twice");
    // Compaction keeps one state, and each threshold by itself.
    let keys: BTreeSet<_> = read.iter().map(|one| one.key.clone()).collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
    commands_say_the_same(&farol);

    // The provider gives something back.
    let credit = json!({
        "event_id": "credit", "event_time": crate::harness::events::ago(std::time::Duration::ZERO),
        "service": "assistant", "amount": "-2", "currency": "USD", "source": "adjustment",
    });
    send(
        &address,
        "llm.costs",
        vec![Record::keyed("credit", credit.to_string())],
    );
    wait_for(&address, "switch_to_cheaper_model", "9.5");
    assert_eq!(thresholds(&farol)[2..], ["100 withdrawn r1"]);
    assert_eq!(process.stop(), Some(0));

    // An edit keeps what was spent, and a restart says nothing twice.
    let edited = BUDGETS.replace("limit: 10", "limit: 9");
    fs::write(farol.path().join("pipelines/budgets.yaml"), edited).expect("budgets");
    let process = up(&farol);
    wait_for(&address, "block_requests", "9.5");
    assert_eq!(thresholds(&farol)[3..], ["100 crossed r2"]);
    assert_eq!(process.stop(), Some(0));

    // A budget that is no more enforces nothing.
    fs::write(farol.path().join("pipelines/budgets.yaml"), "budgets: []\n").expect("budgets");
    let process = up(&farol);
    let read = wait_for(&address, "none", "9.5");
    let state = enforced(&read).expect("a state");
    assert_eq!(state.body["payload"]["status"], "removed");
    assert_eq!(process.stop(), Some(0));
    assert_eq!(thresholds(&farol).len(), 4);
}

fn commands_say_the_same(farol: &Farol) {
    let line = farol.ok(&["budget", "list", "--json"]);
    let shown: Value = serde_json::from_str(&line).expect("an object");
    assert_eq!(shown["used"], "11.5");
    assert_eq!(shown["enforce"], "block_requests");
    let rows = farol.sql("SELECT budget, scope, period, currency, used, \"limit\", used_percent, status, enforce FROM budget_status");
    assert_eq!(
        rows,
        [json!({
            "budget": "assistant-monthly", "scope": r#"{"service":"assistant"}"#, "period": "monthly", "currency": "USD",
            "used": 11.5, "limit": 10.0, "used_percent": 115.0, "status": "exhausted",
            "enforce": "block_requests",
        })]
    );
    let shares = farol.ok(&[
        "budget",
        "show",
        "assistant-monthly",
        "--by",
        "tag.team",
        "--json",
    ]);
    let shares: Vec<Value> = shares
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    assert_eq!(
        shares,
        [
            json!({"team": "blue", "cost": 8.0, "percent": 69.57}),
            json!({"team": null, "cost": 3.5, "percent": 30.43}),
        ]
    );
    // A day of spend is too little to say when it will be spent.
    let foreseen = farol.ok(&["budget", "forecast", "assistant-monthly", "--json"]);
    let foreseen: Value = serde_json::from_str(&foreseen).expect("an object");
    assert_eq!(foreseen["forecast"], Value::Null);
    assert!(
        farol
            .ok(&["budget", "show", "assistant-monthly"])
            .contains("crossed 100 %")
    );
}

#[test]
fn a_budget_that_cannot_be_held_is_refused_with_its_place() {
    let (farol, _) = prepared();
    let path = farol.path().join("pipelines/budgets.yaml");
    fs::write(
        &path,
        BUDGETS.replace("monthly\n    source", "monhly\n    source"),
    )
    .expect("budgets");
    for command in [&["check"][..], &["budget", "list"]] {
        let refused = farol.call(command);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(
            said.contains("budgets.yaml:6:13") && said.contains("did you mean `monthly`?"),
            "{said}"
        );
    }
    fs::write(&path, BUDGETS).expect("budgets");
    assert!(farol.ok(&["check"]).contains("assistant-monthly"));
    let unknown = farol.call(&["budget", "show", "none"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("there are assistant-monthly"),
        "{}",
        unknown.stderr
    );
}
