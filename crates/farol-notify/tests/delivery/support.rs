//! Alerts as the topic has them, a route without Kafka, and certificates.

use std::path::PathBuf;
use std::sync::Arc;

use farol_notify::engine::{Engine, Kept, Step, Verdict};
use farol_notify::receivers::Receiver;
use farol_notify::settings::Plan;
use farol_notify::{Failure, Notification, Settings, alert};
use serde_json::{Value, json};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A message of the alert topic.
pub fn message(rule: &str, service: &str, state: &str) -> Value {
    json!({
        "action_id": format!("{rule}/{service}/{state}"),
        "kind": "alert",
        "rule": rule,
        "segment": {"service": service},
        "window_start": "2026-03-01T10:00:00Z",
        "window_end": "2026-03-01T10:01:00Z",
        "revision": 0,
        "severity": "critical",
        "evidence": {"measure": "error_rate", "value": 0.4, "threshold": 0.2, "baseline": null,
                     "samples": ["t1"], "sql": "SELECT 1", "tables": {}},
        "runbook": "https://runbooks.example/errors",
        "payload": {"alert_id": format!("{rule}/{service}"), "state": state, "previous_state": "ok",
                    "since": "2026-03-01T10:00:00Z", "cause": "changed"},
    })
}

/// The plan of one receiver and one route to it.
pub fn plan(receiver: &Value, route: &Value) -> Plan {
    let mut whole = json!({"name": "route", "receiver": "ops"});
    for (key, value) in route.as_object().into_iter().flatten() {
        whole[key] = value.clone();
    }
    let settings = json!({
        "receivers": {"ops": receiver}, "routes": [whole], "allow_private_targets": true,
    });
    let settings: Settings = serde_json::from_value(settings).unwrap();
    settings.plan().unwrap()
}

/// The receiver of such a plan.
pub fn receiver(settings: &Value) -> Arc<Receiver> {
    plan(settings, &json!({})).receivers["ops"].receiver.clone()
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Accepted(Box<Notification>),
    Failed(Failure),
    DeadLetter(String),
}

/// A route without Kafka, on a clock of its own: pauses are not waited for.
pub struct Route {
    engine: Engine,
    receiver: Arc<Receiver>,
    next: i64,
    pub now_ms: i64,
    pub outcomes: Vec<Outcome>,
}

impl Route {
    pub fn new(plan: &Plan) -> Self {
        let route = &plan.routes[0];
        Self {
            engine: Engine::new(route.terms.clone(), Kept::default()),
            receiver: route.receiver.receiver.clone(),
            next: 0,
            now_ms: 1_772_359_200_000,
            outcomes: Vec::new(),
        }
    }

    pub fn publish(&mut self, message: &Value) {
        let record = alert::parse(message.to_string().as_bytes()).unwrap();
        self.engine.take(self.next, Some(record), self.now_ms);
        self.next += 1;
    }

    /// Does all that is due within so many seconds.
    pub async fn pass(&mut self, seconds: i64) {
        let until_ms = self.now_ms + seconds * 1_000;
        loop {
            match self.engine.step(self.now_ms) {
                Step::Seal(key) => self.engine.seal(&key, self.now_ms),
                Step::Attempt(key) => {
                    let outcome = self.attempt(&key).await;
                    self.outcomes.push(outcome);
                }
                Step::Wait(Some(at_ms)) if at_ms <= until_ms => self.now_ms = at_ms,
                Step::Wait(_) => break,
            }
        }
        self.now_ms = until_ms;
    }

    async fn attempt(&mut self, key: &str) -> Outcome {
        let (notification, thread) = self.engine.sealed(key).unwrap();
        let (notification, thread) = (notification.clone(), thread.map(str::to_owned));
        let sent = self
            .receiver
            .send(&notification, thread.as_deref(), self.now_ms)
            .await;
        match sent {
            Ok(receipt) => {
                self.engine.settle(key, receipt.thread);
                Outcome::Accepted(Box::new(notification))
            }
            Err(failure) => match self.engine.failed(key, self.now_ms, &failure) {
                Verdict::Again(_) => Outcome::Failed(failure),
                Verdict::DeadLetter(reason) => {
                    self.engine.settle(key, None);
                    Outcome::DeadLetter(reason)
                }
            },
        }
    }

    /// Whether every record is done with.
    pub fn is_done(&self) -> bool {
        self.engine.is_idle() && self.engine.position().next == self.next
    }
}

/// One notification of one alert.
pub fn notification() -> Notification {
    let plan = plan(
        &json!({"webhook": {"url": "https://hooks.example/"}}),
        &json!({}),
    );
    let mut engine = Engine::new(plan.routes[0].terms.clone(), Kept::default());
    let message = message("errors", "shop", "alert").to_string();
    engine.take(0, Some(alert::parse(message.as_bytes()).unwrap()), 0);
    let Step::Seal(key) = engine.step(3_600_000) else {
        panic!("nothing is due")
    };
    engine.seal(&key, 3_600_000);
    engine.sealed(&key).unwrap().0.clone()
}

/// A certificate for `name`, the server's side of it, and the file of the authority that signed it.
pub struct Certified {
    pub server: Arc<ServerConfig>,
    pub authority: PathBuf,
}

pub fn certified(name: &str) -> Certified {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let called = rcgen::DnType::CommonName;
    authority
        .distinguished_name
        .push(called, "An authority for tests");
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let unique = format!("{:?}-{}", std::thread::current().id(), name);
    let file =
        std::env::temp_dir().join(format!("farol-notify-{}-{unique}.pem", std::process::id()));
    std::fs::write(&file, authority_certificate.pem()).unwrap();
    Certified {
        server: Arc::new(server),
        authority: file,
    }
}

impl Drop for Certified {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.authority);
    }
}
