//! The receivers: each turns a notification into one request, and an answer into accepted or a [`Failure`].
//!
//! ```text
//!  Notification ──▶ [`Templates`] ──▶ webhook ─▶ JSON, signed       ┐
//!                                     slack ───▶ chat.postMessage   ├─▶ [`http`]: guarded, without redirects
//!                                     pagerduty ▶ Events API v2     │
//!                                     teams ───▶ Adaptive Card      ┘
//!                                     email ───▶ SMTP with TLS
//! ```

mod email;
mod http;
mod pagerduty;
mod slack;
mod teams;
mod webhook;

use std::time::Duration;

use crate::notification::Notification;
use crate::retry::Failure;
use crate::settings::ReceiverSettings;
use crate::template::{Markup, Templates, Words};

pub use webhook::signature;

/// How long an attempt may take, unless the receiver says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a receiver made of a notification that it accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// What it calls the message, where later ones can refer to it.
    pub thread: Option<String>,
}

/// A receiver, ready to be told.
#[derive(Debug)]
pub struct Receiver {
    templates: Templates,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Webhook(webhook::Webhook),
    Slack(slack::Slack),
    PagerDuty(pagerduty::PagerDuty),
    Teams(teams::Teams),
    Email(Box<email::Email>),
}

impl Receiver {
    /// Checks a receiver's settings and makes it ready. Nothing is sent.
    ///
    /// # Errors
    /// The key that is wrong, and how.
    pub fn new(
        settings: &ReceiverSettings,
        allow_private: bool,
    ) -> Result<Self, (&'static str, String)> {
        let timeout = settings.timeout.unwrap_or(TIMEOUT);
        if timeout.is_zero() || timeout > Duration::from_mins(5) {
            return Err(("timeout", "it must be between nothing and 5m".to_owned()));
        }
        let authorities = match &settings.ca_file {
            Some(path) => Some(std::fs::read(path).map_err(|error| {
                (
                    "ca_file",
                    format!("cannot read {}: {error}", path.display()),
                )
            })?),
            None => None,
        };
        let client = || http::Client::new(timeout, authorities.as_deref(), allow_private);
        let way = match settings {
            ReceiverSettings {
                webhook: Some(webhook),
                slack: None,
                pagerduty: None,
                teams: None,
                email: None,
                ..
            } => Way::Webhook(webhook::Webhook::new(webhook, client()?)?),
            ReceiverSettings {
                webhook: None,
                slack: Some(slack),
                pagerduty: None,
                teams: None,
                email: None,
                ..
            } => Way::Slack(slack::Slack::new(slack, client()?)?),
            ReceiverSettings {
                webhook: None,
                slack: None,
                pagerduty: Some(pagerduty),
                teams: None,
                email: None,
                ..
            } => Way::PagerDuty(pagerduty::PagerDuty::new(pagerduty, client()?)?),
            ReceiverSettings {
                webhook: None,
                slack: None,
                pagerduty: None,
                teams: Some(teams),
                email: None,
                ..
            } => Way::Teams(teams::Teams::new(teams, client()?)?),
            ReceiverSettings {
                webhook: None,
                slack: None,
                pagerduty: None,
                teams: None,
                email: Some(email),
                ..
            } => {
                let email =
                    email::Email::new(email, timeout, authorities.as_deref(), allow_private)?;
                Way::Email(Box::new(email))
            }
            _ => {
                let reason =
                    "a receiver has exactly one of webhook, slack, pagerduty, teams and email";
                return Err(("", reason.to_owned()));
            }
        };
        let markup = match way {
            Way::Slack(_) => Markup::Slack,
            _ => Markup::Plain,
        };
        let templates =
            Templates::new(settings.title.as_deref(), settings.text.as_deref(), markup)?;
        Ok(Self { templates, way })
    }

    /// What kind of receiver it is, by the key of its settings.
    pub fn kind(&self) -> &'static str {
        match self.way {
            Way::Webhook(_) => "webhook",
            Way::Slack(_) => "slack",
            Way::PagerDuty(_) => "pagerduty",
            Way::Teams(_) => "teams",
            Way::Email(_) => "email",
        }
    }

    /// Makes one attempt. `thread` is what the receiver called the incident's first message; `now_ms` the time.
    ///
    /// # Errors
    /// Why it was not accepted, and whether it may be later.
    pub async fn send(
        &self,
        notification: &Notification,
        thread: Option<&str>,
        now_ms: i64,
    ) -> Result<Receipt, Failure> {
        let words = self.templates.words(notification);
        let words: Words = words.map_err(|reason| Failure::Refused {
            reason: format!("a template fails: {reason}"),
        })?;
        match &self.way {
            Way::Webhook(webhook) => webhook.send(notification, &words, now_ms).await,
            Way::Slack(slack) => slack.send(notification, &words, thread).await,
            Way::PagerDuty(pagerduty) => pagerduty.send(notification, &words).await,
            Way::Teams(teams) => teams.send(notification, &words).await,
            Way::Email(email) => email.send(notification, &words, thread).await,
        }
    }
}
