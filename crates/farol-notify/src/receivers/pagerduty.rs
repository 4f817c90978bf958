//! PagerDuty's Events API v2: trigger, acknowledge, resolve, under one `dedup_key` for an incident.

use serde_json::{Value, json};

use super::Receipt;
use super::http::{self, Client, Target};
use crate::alert::{Severity, cut};
use crate::notification::{Notification, Status};
use crate::retry::Failure;
use crate::secret::Secret;
use crate::settings::PagerDutySettings;
use crate::template::Words;

const EVENTS: &str = "https://events.pagerduty.com/v2/enqueue";

/// Bytes of a summary: PagerDuty takes 1,024 characters.
const SUMMARY_BYTES_MAX: usize = 1_024;

/// A service in PagerDuty.
#[derive(Debug)]
pub(super) struct PagerDuty {
    client: Client,
    url: Target,
    routing_key: Secret,
}

impl PagerDuty {
    pub fn new(
        settings: &PagerDutySettings,
        client: Client,
    ) -> Result<Self, (&'static str, String)> {
        let url = client.target(settings.url.as_deref().unwrap_or(EVENTS));
        let url = url.map_err(|reason| ("pagerduty.url", reason))?;
        if settings.routing_key.reveal().is_empty() {
            return Err(("pagerduty.routing_key", "it is empty".to_owned()));
        }
        Ok(Self {
            client,
            url,
            routing_key: settings.routing_key.clone(),
        })
    }

    pub async fn send(
        &self,
        notification: &Notification,
        words: &Words,
    ) -> Result<Receipt, Failure> {
        let mut event = event(notification, words);
        event["routing_key"] = json!(self.routing_key.reveal());
        let request = self.client.post(&self.url, event.to_string().into_bytes());
        http::send(request, &[&self.routing_key]).await?;
        Ok(Receipt::default())
    }
}

/// The event, without the key.
fn event(notification: &Notification, words: &Words) -> Value {
    let action = match notification.status {
        Status::Firing => "trigger",
        Status::Acknowledged => "acknowledge",
        Status::Resolved => "resolve",
    };
    let severity = match notification.severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    let lead = notification.alerts.first();
    let runbooks: Vec<Value> = notification
        .alerts
        .iter()
        .filter_map(|alert| Some((alert, alert.runbook.as_ref()?)))
        .map(|(alert, runbook)| json!({"href": runbook, "text": format!("Runbook of {}", alert.rule)}))
        .collect();
    json!({
        "event_action": action,
        "dedup_key": notification.incident,
        "client": "Farol",
        "links": runbooks,
        "payload": {
            "summary": cut(&words.title, SUMMARY_BYTES_MAX),
            "source": lead.and_then(|alert| alert.segment.get("service")).map_or("farol", String::as_str),
            "severity": severity,
            "timestamp": lead.map(|alert| &alert.since).filter(|since| !since.is_empty()),
            "class": lead.map(|alert| &alert.rule),
            "custom_details": {
                "text": words.text,
                "notification_id": notification.id,
                "group": notification.group,
                "counts": notification.counts,
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn an_incident_is_opened_and_closed_under_one_key() {
        let [firing, resolved, _] = sample::notifications();
        let words = Words {
            title: "t".into(),
            text: "x".into(),
        };
        let opened = event(&firing, &words);
        assert_eq!(opened["event_action"], "trigger");
        assert_eq!(opened["payload"]["severity"], "critical");
        assert_eq!(opened["payload"]["source"], "checkout");
        assert_eq!(
            opened["links"][0]["href"],
            "https://runbooks.example/error-rate-high"
        );
        let closed = event(&resolved, &words);
        assert_eq!(closed["event_action"], "resolve");
        assert_eq!(opened["dedup_key"], closed["dedup_key"]);
    }
}
