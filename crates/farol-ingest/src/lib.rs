//! From Kafka into the lake, exactly once.
//!
//! ```text
//!  Kafka ─▶ consume (1 thread) ─▶ work (decoders) ─▶ coordinator (1 thread) ─▶ flush (async) ─▶ lake
//!             │ rebalance             │ Chunk            │ deduplicate, gather     │ files, dead letters' commit,
//!             ▼                       │                  │ watermarks, deadlines   │ primary commit with the marks
//!          assignment ── marks ───────┴──── Taken ──────▶│◀──────── FlushDone ─────┘
//! ```
//!
//! * [`marks`]: what a commit says about each partition; [`resume`]: where reading begins, from that.
//! * `assignment` runs inside the rebalance callback; `consume` polls; `work` and `decode` make rows.
//! * `coordinator` owns all state: `partition`, `buffer`, [`dedup`], [`watermark`].
//! * `flush` turns what was gathered into two commits, and knows what to do when they fail.
//! * [`status`] and [`verify`] read marks and tables from outside; [`replay`] stores dead letters later.
//!
//! Nothing that is held in memory matters: a process that is killed resumes at its marks.

mod assignment;
mod buffer;
pub mod clock;
mod consume;
mod coordinator;
mod dead_letter;
mod decode;
pub mod dedup;
mod drain;
mod error;
mod flush;
pub mod marks;
mod measure;
mod options;
mod partition;
mod readiness;
mod recreated;
pub mod replay;
pub mod resume;
mod seen;
mod slot;
mod start;
pub mod status;
mod tables;
pub mod verify;
pub mod watermark;
mod work;

pub use coordinator::IngestReport;
pub use error::IngestError;
pub use options::{IngestOptions, InputTopic};
pub use readiness::Health;
pub use start::{Ingest, run};
pub use tables::DEAD_LETTERS;
