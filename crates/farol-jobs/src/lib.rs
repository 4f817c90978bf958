//! Jobs: measures of applications, kept as partials that merge.
//!
//! ```text
//!                  rows that new versions added              partials + progress, in one commit
//! raw tables ──────────────▶ runner ── job's SQL ──▶ (window, segments) ──▶ partials/<job>
//!                                                                             │   ▲
//!                     views, measures(…), series ◀── merged when they are read┘   └─ compaction, replacement
//! ```
//!
//! * [`definition`] is what a job is: [`load`] reads and checks the files.
//! * [`step`] is one step of a job: what versions of its input added becomes partials, exactly once. A job in
//!   [`Mode::Recompute`] computes the windows that they touched whole, as a higher revision.
//! * [`run`] plays the role: every job a task of its own, so that a failing one stops no other.
//! * [`replace`] puts whole windows in the place of others: a backfill, or what was missed.
//! * [`views`] is what SQL sees, [`dictionary`] what it means; [`progress`] how far each job is; [`compact`] keeps
//!   partials few.
//!
//! **Exactly once.** A commit of partials carries the mark `farol/job/<name>`: the input's version that they cover. It
//! demands the mark where the step found it. So of two processes that do the same step one is overtaken, and looks
//! again; and a process that dies leaves either both, partials and progress, or neither.

mod aggregate;
pub mod compact;
pub mod definition;
pub mod dictionary;
mod error;
mod health;
pub mod progress;
mod recompute;
pub mod replace;
mod role;
mod series_limit;
pub mod step;
pub mod views;
mod writer;

pub use definition::{
    Better, CONTRIBUTIONS, Files, Job, Jobs, Measure, Mode, Partial, PartialKind, REVISION,
    Sources, WINDOW_END, WINDOW_START, Width, load, suggestion,
};
pub use error::{DefinitionError, JobError};
pub use health::Health;
pub use progress::{JobStatus, Progress};
pub use role::{RunOptions, run};
