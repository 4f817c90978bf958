//! Processes are killed, at every named point and at random: nothing is lost, nothing is doubled.

mod harness;

#[path = "crash/acceptance.rs"]
mod acceptance;
#[path = "crash/budgets.rs"]
mod budgets;
#[path = "crash/detectors.rs"]
mod detectors;
#[path = "crash/failpoints.rs"]
mod failpoints;
#[path = "crash/jobs.rs"]
mod jobs;
#[path = "crash/joins.rs"]
mod joins;
#[path = "crash/told.rs"]
mod told;
#[path = "crash/triggers.rs"]
mod triggers;
