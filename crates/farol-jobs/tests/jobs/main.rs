//! Jobs over a lake on disk.

#[path = "../../../farol-lake/tests/support/rows.rs"]
#[allow(dead_code)]
mod rows;

mod answers;
mod definitions;
mod place;
mod recompute;
mod rollups;
mod steps;
