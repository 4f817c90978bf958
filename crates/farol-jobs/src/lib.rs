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
//! * [`join`] keeps feedback and evaluations joined with the calls that they are about, for jobs to read.
//! * [`run`] plays the role: every job and join a task of its own, so that a failing one stops no other.
//! * [`replace`] puts whole windows in the place of others: a backfill, or what was missed.
//! * [`renewal`] computes all of a job anew after its definition was changed.
//! * [`segment`], [`duration`] and [`time`] are how segments and times are written, in messages and in SQL.
//! * [`pooled`] is a range of partials in one piece, to ask what a measure is without some segment.
//! * [`explain`] says how a job's SQL is planned and what it costs.
//! * [`rollup`] keeps partials merged into hours and days, for views of wide windows.
//! * [`identity`] makes ids of what findings and actions are about.
//! * [`views`] is what SQL sees, [`dictionary`] what it means; [`progress`] how far each job is; [`compact`] keeps
//!   partials few.
//!
//! **Exactly once.** A commit of partials carries the mark `farol/job/<name>`: the input's version that they cover, and of
//! several inputs a mark for each. It demands the marks where the step found them. So of two processes that do the same step one is overtaken, and looks
//! again; and a process that dies leaves either both, partials and progress, or neither.

mod aggregate;
mod bounds;
pub mod changed;
pub mod compact;
pub mod definition;
pub mod dictionary;
pub mod duration;
mod error;
pub mod explain;
mod grain;
mod health;
mod held_back;
pub mod identity;
mod inputs;
pub mod join;
mod nearby;
mod partials_table;
pub mod pooled;
pub mod progress;
mod recompute;
pub mod renewal;
pub mod replace;
mod role;
pub mod rollup;
pub mod segment;
mod series_limit;
pub mod step;
pub mod time;
pub mod views;
mod whole;
mod writer;

pub use definition::{
    Better, CONTRIBUTIONS, Files, Job, Jobs, Measure, Mode, Partial, PartialKind, REVISION,
    Sources, Tags, WINDOW_END, WINDOW_START, Width, check_name, load, shipped, suggestion,
    warnings,
};
pub use error::{DefinitionError, JobError};
pub use grain::{Grain, TimeZone};
pub use health::Health;
pub use held_back::is_readable;
pub use join::JoinStatus;
pub use progress::{JobStatus, Progress};
pub use role::{RunOptions, run};
pub use segment::Segment;
