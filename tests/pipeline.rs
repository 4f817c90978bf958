//! Events on their way from Kafka to tables, end to end: the program as it is shipped, over a real Kafka and
//! over the embedded broker, through what can happen to topics, partitions, processes and input.

mod harness;

#[path = "pipeline/attention.rs"]
mod attention;
#[path = "pipeline/backlog.rs"]
mod backlog;
#[path = "pipeline/bad_input.rs"]
mod bad_input;
#[path = "pipeline/budgets.rs"]
mod budgets;
#[path = "pipeline/calendars.rs"]
mod calendars;
#[path = "pipeline/catalogue.rs"]
mod catalogue;
#[path = "pipeline/cookbook.rs"]
mod cookbook;
#[path = "pipeline/definitions.rs"]
mod definitions;
#[path = "pipeline/detectors.rs"]
mod detectors;
#[path = "pipeline/embedded.rs"]
mod embedded;
#[path = "pipeline/event_rules.rs"]
mod event_rules;
#[path = "pipeline/measures.rs"]
mod measures;
#[path = "pipeline/notify.rs"]
mod notify;
#[path = "pipeline/object_store.rs"]
mod object_store;
#[path = "pipeline/operators.rs"]
mod operators;
#[path = "pipeline/partitions.rs"]
mod partitions;
#[path = "pipeline/replay.rs"]
mod replay;
#[path = "pipeline/tables.rs"]
mod tables;
#[path = "pipeline/triggers.rs"]
mod triggers;
#[path = "pipeline/ways_in.rs"]
mod ways_in;
