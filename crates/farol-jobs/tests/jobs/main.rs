//! Jobs over a lake on disk.

#[path = "../../../farol-lake/tests/support/rows.rs"]
#[allow(dead_code)]
mod rows;

mod answers;
mod calendars;
mod definitions;
mod grains;
mod place;
mod recompute;
mod rollups;
mod steps;
