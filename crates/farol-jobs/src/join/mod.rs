//! Joins: feedback and evaluations find the call that they are about, each exactly once, however late either comes.
//!
//! ```text
//! new feedback ──▶ near ──▶ (not found) waits, fresh ──▶ everywhere ──▶ (not found) waits, looked for
//!                    │                      ▲                │                       ▲
//! new traces ────────┼──────────────────────┴────────────────┼───────────────────────┘  looked through for what waits
//!                    ▼                                       ▼
//!             joined rows, and how far both tables are covered: one commit
//! ```
//!
//! A step takes what was added to both tables. New rows are looked up in all calls: in the hour before them at once, and in
//! the rest as often as that is cheap (`pace`). What was looked for everywhere is from then on compared with new calls
//! alone. So each pair of a row and a call is looked at once, from whichever side it came last, and never everything with
//! everything.
//!
//! **Exactly once.** A commit of joined rows moves the mark `farol/join/<table>`, which counts commits, and demands it
//! where the step found it; the versions of both tables that are covered move with it. What waits is the rows that are
//! covered and not joined: memory holds a cache of them, which whoever begins works out from the lake.

mod cache;
mod columns;
mod found;
mod keeper;
mod matches;
mod pace;
mod progress;
mod repeats;
mod rows;
mod search;
mod status;
mod step;
mod subject;
mod unmatched;
mod waiting;

pub use keeper::Joiner;
pub use pace::Search;
pub use progress::JoinProgress;
pub(crate) use progress::watermark_us;
pub use status::{JoinStatus, status};
