//! From the lake to Kafka: rules over measures, the alert lifecycle, the outbox and its publisher.
//!
//! ```text
//!  rule files ──▶ rule ─┐
//!  partials/<job> ──▶ history ──▶ lifecycle (pure) ──▶ actions table ──▶ publisher ──▶ Kafka
//!  marks: watermark ────┘                └── what is published already ◀──┘
//! ```
//!
//! * [`condition`] is the language of `when`; [`rule`] reads and checks files against the jobs that there are.
//! * [`lifecycle`] is the state machine of one rule and segment, a pure function over windows.
//! * [`service`] steps: reads what is new, decides, commits; [`run`] plays it as a role.
//! * [`attention`] is who is to be disturbed by it: silences, dependencies between rules, acknowledgement, escalation.
//! * `evidence` is what supports a decision: what was compared, and the traces that show it.
//! * `on_findings` makes alerts of what detectors found, [`on_events`] of single rows of a table.
//! * [`budget`] tells what is spent of what may be, and what gateways enforce.
//! * `job_failure` tells of jobs that fail and `ingest_stall` of input that is not read, as no rule can.
//! * [`action`](mod@action) is what is decided, with its evidence and its message; `outbox` keeps it in the lake.
//! * [`publisher`] sends the outbox to Kafka, in order, each action once.
//! * [`replay`](mod@replay) shows when a rule would have fired.

pub mod action;
pub mod attention;
mod book;
pub mod budget;
mod catalog;
mod closing;
pub mod condition;
mod error;
mod evidence;
mod failing;
mod history;
mod ingest_stall;
mod job_failure;
pub mod lifecycle;
mod look;
pub mod on_events;
mod on_findings;
mod outbox;
#[cfg(test)]
mod published_schema;
pub mod publisher;
pub mod replay;
mod role;
pub mod rule;
pub mod service;
pub mod status;

pub use catalog::catalog;
pub use error::TriggerError;
pub use farol_detectors::Health;
pub use ingest_stall::{InputStanding, Unread};
pub use role::{RunOptions, run};
pub use rule::{EventRule, Rule, Rules, Sources, load};
