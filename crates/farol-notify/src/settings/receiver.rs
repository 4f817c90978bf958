//! Receivers as they are configured. Each has exactly one of the five ways.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::duration;
use crate::secret::Secret;

/// A receiver: one of the five ways, its templates, and its patience.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReceiverSettings {
    /// JSON over HTTP, signed.
    pub webhook: Option<WebhookSettings>,
    /// Slack.
    pub slack: Option<SlackSettings>,
    /// PagerDuty, Events API v2.
    pub pagerduty: Option<PagerDutySettings>,
    /// Microsoft Teams.
    pub teams: Option<TeamsSettings>,
    /// E-mail.
    pub email: Option<EmailSettings>,
    /// A template for the title, in place of the default.
    pub title: Option<String>,
    /// A template for the text, in place of the default.
    pub text: Option<String>,
    /// How long an attempt may take.
    #[serde(deserialize_with = "some_duration")]
    pub timeout: Option<Duration>,
    /// A PEM file of certificates to trust beside those of the operating system.
    pub ca_file: Option<PathBuf>,
}

fn some_duration<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

/// A webhook after the Standard Webhooks specification.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where to. It may hold a token, so it is never printed.
    pub url: Secret,
    /// The key that signs: `whsec_` and base64, or 24 to 64 bytes as they are.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// The key before it, for as long as receivers change theirs: both sign.
    #[serde(default)]
    pub previous_secret: Option<Secret>,
    /// A token for `Authorization: Bearer`.
    #[serde(default)]
    pub bearer_token: Option<Secret>,
}

/// Slack: a token and a channel, or an incoming webhook.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlackSettings {
    /// A bot's token with the scope `chat:write`: recoveries then go into the alert's thread.
    pub token: Option<Secret>,
    /// The channel, by id or name, with a token.
    pub channel: Option<String>,
    /// An incoming webhook's URL, which is a key by itself. It has no threads.
    pub webhook_url: Option<Secret>,
    /// Where Slack's methods are, if not at https://slack.com/api.
    pub api_url: Option<String>,
}

/// PagerDuty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerDutySettings {
    /// The integration key of a service with Events API v2.
    pub routing_key: Secret,
    /// Where events go, if not to the United States' region.
    #[serde(default)]
    pub url: Option<String>,
}

/// Microsoft Teams: a workflow that begins when a webhook request is received.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamsSettings {
    /// The workflow's URL, which is a key by itself.
    pub webhook_url: Secret,
}

/// E-mail by SMTP with TLS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailSettings {
    /// The server's name, which its certificate must have.
    pub host: String,
    /// Its port; without, 587 for STARTTLS and 465 for implicit TLS.
    #[serde(default)]
    pub port: Option<u16>,
    /// When TLS begins.
    #[serde(default)]
    pub encryption: Encryption,
    /// Who logs in, if anybody.
    #[serde(default)]
    pub username: Option<String>,
    /// With what.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Who it is from, such as `Farol <farol@example.org>`.
    pub from: String,
    /// Who it is to.
    pub to: Vec<String>,
}

/// When TLS begins. Without TLS no mail is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// The connection begins in the clear, and nothing is said before it is encrypted.
    #[default]
    Starttls,
    /// From the first byte.
    Implicit,
}
