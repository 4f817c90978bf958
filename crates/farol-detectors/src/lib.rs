//! From measures to findings: detectors that say what changed, since when, and how sure they are.
//!
//! ```text
//!  detector files ──▶ definition ──▶ units: a detector and one job that it looks at
//!  partials/<job> ──▶ measures of closed windows ──▶ unit ──▶ watch (pure): one for each measure and segment
//!                                                              │ opened, ended
//!  findings ◀── finding ◀── samples, root causes ◀─────────────┘
//!     │  state of the watches in files beside the table, which of them counts in a mark of the commit
//!     ▼
//!  triggers (`on: findings`), SQL, `farol detect explain`
//! ```
//!
//! * [`definition`] is what a detector is: [`load`] reads and checks the files.
//! * [`unit`] feeds the windows of a job to watches: the state machines of [`farol_stats::watch`], over plain numbers.
//! * [`drift`] compares the values of columns of events with those of a reference, such as the same hour of other days.
//! * [`versions`] compares a new version of something with the one that was there before.
//! * [`finding`] is a row of the table `findings`; [`cause`] says which segment explains a change, [`samples`] which traces
//!   show it.
//! * [`service`] steps: reads the windows that are closed, judges them, commits; [`run`] plays it as a role.
//! * [`replay`](mod@replay) runs detectors over history, and writes nothing.
//! * [`picture`] draws a finding for a terminal or as SVG.
//!
//! **Exactly once, and the same again.** A watch is a function of the windows of its series, in their order. A window is
//! judged once, when the watermark has passed its end by the detector's `settle`. A commit of findings carries how far was
//! judged, and demands the step where it was found; between commits nothing is lost that cannot be computed again. So whoever
//! starts reads the state that the last commit names, judges again what came after it, says nothing up to where findings were
//! committed, and goes on. Rows that come later than `settle` are measured, and not judged.

pub mod cause;
pub mod definition;
pub mod drift;
mod error;
pub mod finding;
pub mod picture;
pub mod replay;
mod role;
pub mod samples;
pub mod service;
mod state;
pub mod status;
pub mod unit;
pub mod versions;

pub use definition::{Detector, Detectors, Sources, load};
pub use error::DetectorError;
pub use finding::Finding;
pub use role::{Health, RunOptions, run};
