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

pub mod condition;
mod duration;
pub mod lifecycle;
pub mod rule;
mod suggest;
