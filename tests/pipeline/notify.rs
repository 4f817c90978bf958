//! Delivery as operators meet it: over a real Kafka, to a receiver that fails, while another never answers, through the
//! death of the process; and what reached nobody is sent again.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::harness::farol::Farol;
use crate::harness::kafka::{RealKafka, Record};
use crate::harness::{PATIENCE, wait_until};

/// A receiver of webhooks.
#[derive(Clone)]
struct Hook {
    port: u16,
    /// The status it answers with; 0: it does not answer at all.
    status: Arc<Mutex<u16>>,
    /// What it was sent: the header `webhook-id`, the body, and how it answered.
    heard: Arc<Mutex<Vec<(String, Value, u16)>>>,
}

impl Hook {
    fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let hook = Self {
            port: listener.local_addr().expect("an address").port(),
            status: Arc::new(Mutex::new(status)),
            heard: Arc::default(),
        };
        let shared = hook.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hook = shared.clone();
                // A client that was killed leaves half a request, which is none.
                thread::spawn(move || hook.answer(stream).ok());
            }
        });
        hook
    }

    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let (mut id, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(": ") {
                match name.to_ascii_lowercase().as_str() {
                    "webhook-id" => value.clone_into(&mut id),
                    "content-length" => length = value.parse().unwrap_or(0),
                    _ => {}
                }
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = serde_json::from_slice(&body)?;
        let status = *self.status.lock().expect("no panic");
        self.heard
            .lock()
            .expect("no panic")
            .push((id, body, status));
        let mut stream = reader.into_inner();
        if status == 0 {
            // Until the client gives up.
            stream.read_to_end(&mut Vec::new())?;
            return Ok(());
        }
        write!(
            stream,
            "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
    }

    fn set(&self, status: u16) {
        *self.status.lock().expect("no panic") = status;
    }

    fn heard(&self) -> Vec<(String, Value, u16)> {
        self.heard.lock().expect("no panic").clone()
    }

    /// The last accepted notification of each id.
    fn accepted(&self) -> BTreeMap<String, Value> {
        let heard = self
            .heard()
            .into_iter()
            .filter(|(.., status)| *status == 200);
        heard
            .map(|(id, body, _)| (id, body["data"]["notification"].clone()))
            .collect()
    }
}

fn alert(service: &str, state: &str, number: usize) -> Record {
    let alert_id = format!("errors/{service}");
    let message = json!({
        "action_id": format!("{alert_id}/{number}"), "kind": "alert", "rule": "errors",
        "segment": {"service": service},
        "window_start": "2026-03-01T10:00:00Z", "window_end": "2026-03-01T10:01:00Z", "revision": 0,
        "severity": "critical", "evidence": {"measure": "error_rate", "value": 0.4, "threshold": 0.2},
        "runbook": null,
        "payload": {"alert_id": alert_id, "state": state, "previous_state": "ok",
                    "since": "2026-03-01T10:00:00Z", "cause": "changed"},
    });
    Record::keyed(&alert_id, message.to_string())
}

/// A Farol with a route to each hook. Attempts that fail are made again soon.
fn prepared(name: &str, hooks: &[(&str, &Hook, u32)]) -> Farol {
    let mut receivers = serde_json::Map::new();
    let mut routes = Vec::new();
    for (route, hook, attempts) in hooks {
        let url = format!("http://localhost:{}/", hook.port);
        receivers.insert(
            (*route).to_owned(),
            json!({"webhook": {"url": url}, "timeout": "2s"}),
        );
        routes.push(json!({
            "name": route, "receiver": route, "group_by": ["alert_id"], "group_wait": "200ms",
            "group_interval": "200ms", "rate_limit": {"count": 1000, "per": "1s"},
            "retry": {"first": "100ms", "longest": "500ms", "attempts": attempts},
        }));
    }
    let notify = json!({"receivers": receivers, "routes": routes, "allow_private_targets": true});
    let more = format!(
        "outputs: {{alerts: {name}.alerts, notifications_dead_letters: {name}.dead}}\nnotify: {notify}\n"
    );
    let farol = Farol::new(
        &RealKafka::shared().brokers(),
        &[(&format!("{name}.traces"), "trace", 1)],
        &more,
    );
    farol.ok(&["topics", "create"]);
    farol
}

fn routes(farol: &Farol) -> BTreeMap<String, Value> {
    let listed = farol.ok(&["notify", "list", "--json"]);
    let rows = listed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    rows.map(|row| (row["route"].as_str().unwrap_or_default().to_owned(), row))
        .collect()
}

/// Waits until every route has begun: what is published before that is history to it.
fn wait_for_routes(farol: &Farol) {
    wait_until("the routes begin", PATIENCE, || {
        routes(farol)
            .values()
            .all(|row| !row["next"].is_null())
            .then_some(())
    });
}

#[test]
fn nothing_is_lost_through_failures_and_deaths_and_a_slow_receiver_delays_itself_alone() {
    let (good, stuck) = (Hook::start(500), Hook::start(0));
    let name = "notify-deaths";
    let farol = prepared(name, &[("good", &good, 1_000), ("stuck", &stuck, 1_000)]);
    let start = || farol.start(&["run", "--roles", "notify"]);
    let mut process = start();
    wait_for_routes(&farol);
    let kafka = RealKafka::shared();
    let topic = format!("{name}.alerts");
    for round in 0..5 {
        let service = format!("s{round}");
        kafka.send(&topic, [alert(&service, "alert", round * 2)]);
        let heard = good.heard().len();
        wait_until("the receiver is asked", PATIENCE, || {
            (good.heard().len() > heard).then_some(())
        });
        if round % 2 == 0 {
            process.kill();
            process = start();
        }
        good.set(200);
        wait_until("the alert is accepted", PATIENCE, || {
            let accepted = good.accepted();
            accepted
                .values()
                .any(|told| told["alerts"][0]["segment"]["service"] == *service)
                .then_some(())
        });
        good.set(500);
    }
    good.set(200);
    kafka.send(
        &topic,
        (0..5).map(|round| alert(&format!("s{round}"), "recovered", round * 2 + 1)),
    );
    wait_until("every alert is closed", PATIENCE, || {
        let accepted = good.accepted();
        let closed = accepted
            .values()
            .filter(|told| told["status"] == "resolved");
        (closed.count() == 5).then_some(())
    });
    // By their ids, each transition was told once.
    assert_eq!(good.accepted().len(), 10);
    let incidents: std::collections::BTreeSet<_> = good
        .accepted()
        .values()
        .map(|told| told["incident"].to_string())
        .collect();
    assert_eq!(incidents.len(), 5);
    wait_until("the good route is at the end", PATIENCE, || {
        (routes(&farol)["good"]["lag_records"] == 0).then_some(())
    });
    // The other has its whole way before it, and lost nothing.
    let behind = &routes(&farol)["stuck"];
    assert_eq!(behind["lag_records"], 10, "{behind}");
    assert!(stuck.accepted().is_empty());
    stuck.set(200);
    wait_until("the stuck route catches up", PATIENCE, || {
        (routes(&farol)["stuck"]["lag_records"] == 0).then_some(())
    });
    assert_eq!(process.stop(), Some(0));
}

#[test]
fn a_dead_letter_can_be_looked_at_and_sent_again() {
    let hook = Hook::start(404);
    let name = "notify-dead";
    let farol = prepared(name, &[("ops", &hook, 3)]);
    let process = farol.start(&["run", "--roles", "notify"]);
    wait_for_routes(&farol);
    RealKafka::shared().send(&format!("{name}.alerts"), [alert("shop", "alert", 0)]);
    let letter = wait_until("it is a dead letter", PATIENCE, || {
        let listed = farol.ok(&["notify", "dead-letters", "list", "--json"]);
        let first = listed.lines().next()?.to_owned();
        serde_json::from_str::<Value>(&first).ok()
    });
    assert_eq!(
        letter["reason"],
        "refused: the receiver answered 404 Not Found"
    );
    let id = letter["notification"]["id"].as_str().expect("an id");
    assert!(
        farol
            .ok(&["notify", "dead-letters", "show", id])
            .contains("errors/shop")
    );
    // While it is refused it stays.
    assert_eq!(farol.call(&["notify", "replay"]).code, Some(3));
    hook.set(200);
    farol.ok(&["notify", "replay", "--route", "ops"]);
    assert!(hook.accepted().contains_key(id), "{:?}", hook.heard());
    assert_eq!(farol.ok(&["notify", "dead-letters", "list", "--json"]), "");
    farol.ok(&["notify", "test", "ops"]);
    assert!(hook.accepted().values().any(|told| told["is_test"] == true));
    assert_eq!(process.stop(), Some(0));
}

#[test]
fn mistakes_are_told_before_anything_starts_without_secrets() {
    let config = |notify: &str| Farol::with_config(&format!("notify:\n{notify}"));
    let cases = [
        (
            "  receivers: {a: {webhok: {url: x}}}\n",
            "unknown key `webhok`",
        ),
        (
            "  receivers: {a: {webhook: {url: 'https://10.0.0.1/HIDDEN'}}}\n",
            "notify.receivers.a.webhook.url: 10.0.0.1",
        ),
        (
            "  receivers: {a: {webhook: {url: 'https://h.example/HIDDEN'}, title: '{{ x }}'}}\n",
            "notify.receivers.a.title: line 1",
        ),
        (
            "  routes: [{name: r, receiver: a}]\n",
            "notify.routes[0].receiver: there is no receiver `a`",
        ),
    ];
    for (notify, said) in cases {
        for command in [&["check"][..], &["run", "--roles", "notify"]] {
            let ended = config(notify).call(command);
            assert_eq!(ended.code, Some(2), "{notify}: {}", ended.stderr);
            let told = ended
                .stderr
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            assert!(told.contains(said), "{notify}: {told}");
            if said.starts_with("unknown key") {
                assert!(told.contains("farol.yaml:2:19"), "{told}");
            } else {
                assert!(!told.contains("HIDDEN"), "{told}");
            }
        }
    }
}
