//! Delivery to people: the alert topic, grouped by routes, to webhooks, Slack, PagerDuty, Teams and e-mail.
//!
//! ```text
//!  alert topic ──▶ [`service`]: a consumer group per route ──▶ [`engine`]: pure over (records, time)
//!                       │        ▲                                │ which group is due, what it says
//!                       │        │ progress topic (compacted)     ▼
//!                       │        └── sealed notification ◀── [`notification`]
//!                       ▼                                         │ [`template`], [`receivers`]
//!                  dead letters ◀── refused or given up ◀─────────┴──▶ people
//! ```
//!
//! A notification is *sealed* on the progress topic before it is sent, and an offset is committed only after its
//! notification was accepted or is a dead letter. So a crash loses none, and what is sent again has the same id.
//! Every route has its own progress: a receiver that is slow or down delays its own route and nothing else.

pub mod alert;
pub mod dead_letter;
pub mod engine;
mod error;
pub mod guard;
mod notification;
pub mod progress;
mod quiet;
mod rate;
pub mod receivers;
mod retry;
mod sample;
mod secret;
pub mod service;
pub mod settings;
mod template;

pub use error::NotifyError;
pub use notification::{Counts, Notification, Status};
pub use retry::{Failure, Retry};
pub use secret::Secret;
pub use settings::Settings;
