//! Keeping tables in shape: compaction, vacuum, the log's own cleaning, and the role that does all of it.
//!
//! ```text
//! snapshot ──▶ plan ──▶ rewrite ──▶ commit      (compact: small files to large sorted ones)
//! listing, snapshot ──▶ delete                  (vacuum: what no version needs)
//! log ──▶ delete                                (clean_log: entries older than a checkpoint and the retention)
//! ```
//!
//! Nothing here changes a row or a mark but its own guard, `farol/maintenance/<table>`.

mod compact;
mod footers;
mod log;
mod plan;
mod rewrite;
mod run;
mod snapshot;
mod vacuum;

pub use compact::{CompactOptions, CompactReport, compact, guard};
pub use log::clean_log;
pub use plan::{Group, LiveFile, PlanOptions, plan};
pub use run::{MaintenanceOptions, run};
pub use vacuum::{SAFE_AGE, VacuumOptions, VacuumReport, vacuum};
