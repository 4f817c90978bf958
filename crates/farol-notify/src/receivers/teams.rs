//! Microsoft Teams: an Adaptive Card to the webhook of a workflow.

use serde_json::{Value, json};

use super::Receipt;
use super::http::{self, Client, Target};
use crate::alert::{Severity, cut};
use crate::notification::{Notification, Status};
use crate::retry::Failure;
use crate::secret::Secret;
use crate::settings::TeamsSettings;
use crate::template::Words;

/// Bytes of the text: Teams takes 28 KB for the whole message, and a line's end takes four bytes in it.
const TEXT_BYTES_MAX: usize = 6_000;

/// A channel or chat in Teams.
#[derive(Debug)]
pub(super) struct Teams {
    client: Client,
    url: Target,
    secret: Secret,
}

impl Teams {
    pub fn new(settings: &TeamsSettings, client: Client) -> Result<Self, (&'static str, String)> {
        let url = client.target(settings.webhook_url.reveal());
        let url = url.map_err(|reason| ("teams.webhook_url", reason))?;
        Ok(Self {
            client,
            url,
            secret: settings.webhook_url.clone(),
        })
    }

    pub async fn send(
        &self,
        notification: &Notification,
        words: &Words,
    ) -> Result<Receipt, Failure> {
        let message = message(notification, words).to_string();
        let request = self.client.post(&self.url, message.into_bytes());
        http::send(request, &[&self.secret]).await?;
        Ok(Receipt::default())
    }
}

fn message(notification: &Notification, words: &Words) -> Value {
    let color = match (notification.status, notification.severity) {
        (Status::Resolved, _) => "Good",
        (_, Severity::Critical) => "Attention",
        (_, Severity::Warning) => "Warning",
        (_, Severity::Info) => "Default",
    };
    let text = cut(&words.text, TEXT_BYTES_MAX);
    // A card's lines are kept only where each is a block of its own, or monospaced.
    let lines: Vec<Value> = text
        .split("\n\n")
        .map(
            |block| json!({"type": "TextBlock", "text": block.replace('\n', "\n\n"), "wrap": true}),
        )
        .collect();
    let mut body = vec![json!({
        "type": "TextBlock", "text": words.title, "wrap": true,
        "size": "Medium", "weight": "Bolder", "color": color,
    })];
    body.extend(lines);
    body.push(json!({
        "type": "TextBlock", "text": format!("Notification {}", notification.id),
        "isSubtle": true, "size": "Small", "wrap": true,
    }));
    let runbook = notification
        .alerts
        .iter()
        .find_map(|alert| alert.runbook.as_ref());
    let actions: Vec<Value> = runbook
        .filter(|runbook| runbook.starts_with("https://") || runbook.starts_with("http://"))
        .map(|runbook| json!({"type": "Action.OpenUrl", "title": "Runbook", "url": runbook}))
        .into_iter()
        .collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
                "actions": actions,
                "msteams": {"width": "Full"},
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_card_says_all_and_fits() {
        let [firing, resolved, _] = sample::notifications();
        let words = Words {
            title: "t".into(),
            text: "x\n".repeat(20_000),
        };
        let card = message(&firing, &words);
        assert!(
            card.to_string().len() < 28_000,
            "{}",
            card.to_string().len()
        );
        let content = &card["attachments"][0]["content"];
        assert_eq!(content["body"][0]["color"], "Attention");
        assert_eq!(
            content["actions"][0]["url"],
            "https://runbooks.example/error-rate-high"
        );
        let card = message(&resolved, &words);
        assert_eq!(
            card["attachments"][0]["content"]["body"][0]["color"],
            "Good"
        );
    }
}
