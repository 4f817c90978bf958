//! Made-up notifications: to try templates with before they are needed, and to test receivers.

use std::collections::BTreeMap;

use serde_json::json;

use crate::alert::{Alert, Consequence, Severity};
use crate::notification::{Counts, Notification, Status};

/// A firing one with all that can be known, its recovery, and a flood.
pub(crate) fn notifications() -> [Notification; 3] {
    let firing = firing();
    let mut resolved = firing.clone();
    resolved.status = Status::Resolved;
    resolved.is_first = false;
    resolved.counts = Counts {
        resolved: 1,
        ..Counts::default()
    };
    let mut flood = firing.clone();
    flood.counts = Counts {
        new: 10_000,
        open: 10_000,
        unnamed: 9_999,
        ..Counts::default()
    };
    for alert in &mut resolved.alerts {
        "recovered".clone_into(&mut alert.state);
        "alert".clone_into(&mut alert.previous_state);
        alert.consequences.clear();
        alert.measure = None;
        alert.value = None;
        alert.threshold = None;
        alert.baseline = None;
        alert.runbook = None;
        alert.sql = None;
    }
    [firing, resolved, flood]
}

/// What `farol notify test` sends.
pub(crate) fn test(receiver: &str, id: String, now_ms: i64, at: &str) -> Notification {
    let mut notification = firing();
    notification.incident.clone_from(&id);
    notification.id = id;
    "farol notify test".clone_into(&mut notification.route);
    notification.severity = Severity::Info;
    notification.sealed_ms = now_ms;
    notification.is_test = true;
    for alert in &mut notification.alerts {
        alert.severity = Severity::Info;
        "warning".clone_into(&mut alert.state);
        "test".clone_into(&mut alert.rule);
        alert.segment = BTreeMap::from([("receiver".to_owned(), receiver.to_owned())]);
        for time in [
            &mut alert.since,
            &mut alert.window_start,
            &mut alert.window_end,
        ] {
            at.clone_into(time);
        }
        alert.consequences.clear();
        alert.samples.clear();
        alert.runbook = None;
        alert.sql = None;
        alert.measure = None;
    }
    notification
}

fn firing() -> Notification {
    let segment = BTreeMap::from([("service".to_owned(), "checkout".to_owned())]);
    Notification {
        id: "5f2f0c1ad7e64b0c8e5f7a3b9d1c2e4f".to_owned(),
        route: "on-call".to_owned(),
        group: BTreeMap::from([("rule".to_owned(), "error-rate-high".to_owned())]),
        incident: "9b1c7d".to_owned(),
        status: Status::Firing,
        severity: Severity::Critical,
        is_first: true,
        counts: Counts {
            new: 1,
            open: 1,
            ..Counts::default()
        },
        alerts: vec![Alert {
            alert_id: "9b1c7d".to_owned(),
            action_id: "77aa01".to_owned(),
            kind: "alert".to_owned(),
            rule: "error-rate-high".to_owned(),
            segment: segment.clone(),
            severity: Severity::Critical,
            state: "alert".to_owned(),
            previous_state: "ok".to_owned(),
            cause: "changed".to_owned(),
            since: "2026-01-01T10:00:00Z".to_owned(),
            window_start: "2026-01-01T10:00:00Z".to_owned(),
            window_end: "2026-01-01T10:01:00Z".to_owned(),
            measure: Some("error_rate".to_owned()),
            value: Some(json!(0.4)),
            threshold: Some(json!(0.2)),
            baseline: Some(json!(0.01)),
            sql: Some("SELECT error_rate FROM performance".to_owned()),
            samples: vec!["4bf92f3577b34da6a3ce929d0e0e4736".to_owned()],
            runbook: Some("https://runbooks.example/error-rate-high".to_owned()),
            error: None,
            count: None,
            acknowledged_by: None,
            escalation: 0,
            consequences: vec![Consequence {
                rule: "latency-high".to_owned(),
                segment,
                alert_id: "c3d4".to_owned(),
            }],
            consequences_unnamed: 0,
        }],
        sealed_ms: 1_767_261_660_000,
        is_test: false,
    }
}
