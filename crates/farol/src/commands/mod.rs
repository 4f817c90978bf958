//! The commands. Each takes the [`crate::context::Context`] and its arguments and says how it ended.

pub mod alert;
pub mod broker;
pub mod budget;
pub mod check;
pub mod completions;
pub mod detect;
pub mod dlq;
pub mod docs;
pub mod job;
pub mod lake;
pub mod notify;
mod offsets;
mod roles;
pub mod run;
pub mod silence;
pub mod sql;
pub mod status;
pub mod tail;
pub mod topics;
pub mod trigger;
pub mod up;
