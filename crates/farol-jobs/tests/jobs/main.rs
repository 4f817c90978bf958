//! Jobs over a lake on disk.

#[path = "../../../farol-lake/tests/support/rows.rs"]
#[allow(dead_code)]
mod rows;

mod answers;
mod calendars;
mod changed;
mod definitions;
mod grains;
mod inputs;
mod joins;
mod place;
mod recompute;
mod rollups;
mod steps;
mod tags;
