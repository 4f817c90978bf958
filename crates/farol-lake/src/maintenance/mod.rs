//! Keeping tables in shape: compaction, vacuum, the log's own cleaning, and the role that does all of it.
//!
//! ```text
//! snapshot ──▶ plan ──▶ rewrite ──▶ commit      (compact: small files to large sorted ones)
//! listing, snapshot ──▶ delete                  (vacuum: what no version needs)
//! snapshot ──▶ count, remove ──▶ commit        (expire: whole dates beyond retention)
//! snapshot ──▶ files of a range ──▶ commit      (replace: a range of times gets other rows; partials are merged)
//! log ──▶ delete                                (clean_log: entries older than a checkpoint and the retention)
//! ```
//!
//! Only `expire` and `replace` change rows. Every commit moves the guard `farol/maintenance/<table>`, so that no two
//! come of the same version of the table.

mod compact;
mod expire;
mod footers;
mod log;
mod plan;
mod replace;
mod rewrite;
mod run;
mod snapshot;
mod vacuum;

pub use compact::{CompactOptions, CompactReport, compact, guard, merges};
pub use expire::{ExpireReport, expire};
pub use log::clean_log;
pub use plan::{Group, LiveFile, PlanOptions, plan};
pub use replace::Replacement;
pub(crate) use replace::may_overlap;
pub use run::{MaintenanceOptions, run};
pub use vacuum::{SAFE_AGE, VacuumOptions, VacuumReport, vacuum};
