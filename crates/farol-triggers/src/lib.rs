//! From the lake to Kafka: rules over measures, the alert lifecycle, the outbox and its publisher.
//!
//! ```text
//!  rule files ──▶ rule ─┐
//!  partials/<job> ──▶ history ──▶ decide (lifecycle, pure) ──▶ actions table ──▶ publisher ──▶ Kafka
//!  marks: watermark ────┘                └── what is published already ◀──┘
//! ```
//!
//! * [`condition`] is the language of `when`; [`rule`] reads and checks files against the jobs that there are.
//! * [`lifecycle`] is the state machine of one rule and segment, a pure function over windows.
//! * [`action`] is a decision as a row of the `actions` table; [`publisher`] sends these rows, each once.

pub mod action;
pub mod condition;
mod duration;
mod error;
mod health;
pub mod lifecycle;
pub mod publisher;
pub mod rule;
mod suggest;

pub use error::TriggerError;
pub use health::Health;
