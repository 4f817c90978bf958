//! Slack: `chat.postMessage` with a token, so that what follows goes into the thread of the first message; or an incoming
//! webhook, which has no threads.

use serde_json::{Value, json};

use super::Receipt;
use super::http::{self, Client, Target};
use crate::notification::Notification;
use crate::retry::Failure;
use crate::secret::Secret;
use crate::settings::SlackSettings;
use crate::template::Words;

const API: &str = "https://slack.com/api";

/// Slack's errors that pass.
const TEMPORARY: [&str; 6] = [
    "ratelimited",
    "rate_limited",
    "internal_error",
    "fatal_error",
    "request_timeout",
    "service_unavailable",
];

/// A channel in Slack.
#[derive(Debug)]
pub(super) struct Slack {
    client: Client,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Token {
        url: Target,
        token: Secret,
        channel: String,
    },
    Webhook {
        url: Target,
        secret: Secret,
    },
}

impl Slack {
    pub fn new(settings: &SlackSettings, client: Client) -> Result<Self, (&'static str, String)> {
        let way = match (&settings.token, &settings.channel, &settings.webhook_url) {
            (Some(token), Some(channel), None) => {
                let api = settings.api_url.as_deref().unwrap_or(API);
                let url = format!("{}/chat.postMessage", api.trim_end_matches('/'));
                let url = client
                    .target(&url)
                    .map_err(|reason| ("slack.api_url", reason))?;
                Way::Token {
                    url,
                    token: token.clone(),
                    channel: channel.clone(),
                }
            }
            (None, None, Some(secret)) => {
                let url = client.target(secret.reveal());
                let url = url.map_err(|reason| ("slack.webhook_url", reason))?;
                Way::Webhook {
                    url,
                    secret: secret.clone(),
                }
            }
            _ => {
                let reason = "it needs token and channel, or webhook_url";
                return Err(("slack", reason.to_owned()));
            }
        };
        Ok(Self { client, way })
    }

    pub async fn send(
        &self,
        notification: &Notification,
        words: &Words,
        thread: Option<&str>,
    ) -> Result<Receipt, Failure> {
        let mut message = json!({
            "text": format!("*{}*\n{}", words.title, words.text),
            "unfurl_links": false,
        });
        match &self.way {
            Way::Webhook { url, secret } => {
                let request = self.client.post(url, message.to_string().into_bytes());
                http::send(request, &[secret]).await?;
                Ok(Receipt::default())
            }
            Way::Token {
                url,
                token,
                channel,
            } => {
                message["channel"] = json!(channel);
                message["thread_ts"] = json!(thread);
                // Slack drops no repetition by itself; who looks after the channel can, by this id.
                message["metadata"] = json!({
                    "event_type": "farol_notification",
                    "event_payload": {"id": notification.id, "incident": notification.incident},
                });
                let request = self
                    .client
                    .post(url, message.to_string().into_bytes())
                    .bearer_auth(token.reveal());
                let answer = http::send(request, &[token]).await?;
                receipt(&answer)
            }
        }
    }
}

/// What Slack says in its answer, which is 200 also where it refuses.
fn receipt(answer: &[u8]) -> Result<Receipt, Failure> {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    if answer["ok"] == true {
        let thread = answer["ts"].as_str().map(str::to_owned);
        return Ok(Receipt { thread });
    }
    let Some(error) = answer["error"].as_str() else {
        let reason = "what was answered is not Slack's".to_owned();
        return Err(Failure::Temporary {
            reason,
            after: None,
        });
    };
    let reason = format!("Slack says {error}");
    if TEMPORARY.contains(&error) {
        return Err(Failure::Temporary {
            reason,
            after: None,
        });
    }
    Err(Failure::Refused { reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let receipt = |text: &str| receipt(text.as_bytes());
        let accepted = receipt(r#"{"ok": true, "ts": "1503435956.000247"}"#).unwrap();
        assert_eq!(accepted.thread.as_deref(), Some("1503435956.000247"));
        let refused = receipt(r#"{"ok": false, "error": "channel_not_found"}"#).unwrap_err();
        assert_eq!(
            refused,
            Failure::Refused {
                reason: "Slack says channel_not_found".into()
            }
        );
        let busy = receipt(r#"{"ok": false, "error": "ratelimited"}"#).unwrap_err();
        assert!(matches!(busy, Failure::Temporary { .. }));
        assert!(matches!(
            receipt("<html>").unwrap_err(),
            Failure::Temporary { .. }
        ));
    }
}
