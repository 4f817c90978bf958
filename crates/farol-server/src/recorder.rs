//! The process's one recorder of metrics, and what each metric means.

use std::sync::OnceLock;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// From a commit on a local disk to one that waits for a throttled object store, in seconds.
const COMMIT_BUCKETS_SECONDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// The recorder's handle; the first call installs it.
pub(crate) fn installed() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(install).clone()
}

fn install() -> PrometheusHandle {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Suffix("_seconds".to_owned()),
            &COMMIT_BUCKETS_SECONDS,
        )
        .expect("the buckets are not empty")
        .build_recorder();
    let handle = recorder.handle();
    // Only a program that embeds this crate and records elsewhere gets here.
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::error!(
            "metrics are recorded by something else in this process: /metrics stays empty"
        );
    }
    describe();
    handle
}

/// Names, units and meanings are a contract with dashboards.
fn describe() {
    describe_counter!(
        "farol_ingest_entries_total",
        Unit::Count,
        "Entries by what became of them: stored, duplicate, dead_letter, lost"
    );
    describe_gauge!(
        "farol_ingest_lag_records",
        Unit::Count,
        "Records between what is committed and the log's end"
    );
    describe_gauge!(
        "farol_ingest_lag_seconds",
        Unit::Seconds,
        "Age of the oldest record of the last commit when it became queryable"
    );
    describe_gauge!(
        "farol_freshness_seconds",
        Unit::Seconds,
        "Time from a record's arrival on Kafka to its being queryable, the oldest of the last commit"
    );
    describe_histogram!(
        "farol_commit_seconds",
        Unit::Seconds,
        "Time from the start of a flush to its commit"
    );
    describe_gauge!(
        "farol_job_versions_behind",
        Unit::Count,
        "Versions of its inputs that a job's partials, or a joined table, do not cover yet"
    );
    describe_counter!(
        "farol_job_errors_total",
        Unit::Count,
        "Steps of a job that failed; each is tried again"
    );
    describe_counter!(
        "farol_job_overflow_total",
        Unit::Count,
        "Partials kept under the segment other, because a job had more series than max_series"
    );
    describe_histogram!(
        "farol_job_step_seconds",
        Unit::Seconds,
        "Time that a job took from reading new rows to the commit of their partials"
    );
    describe_gauge!(
        "farol_join_unmatched",
        Unit::Count,
        "Rows of feedback or evaluations that have not found the call that they are about, by joined table"
    );
    describe_counter!(
        "farol_join_rows_total",
        Unit::Count,
        "Rows that this process joined with the call that they are about, by joined table"
    );
    describe_counter!(
        "farol_actions_total",
        Unit::Count,
        "Actions decided by this process, by kind"
    );
    describe_gauge!(
        "farol_actions_pending",
        Unit::Count,
        "Actions that are decided and not published yet"
    );
    describe_counter!(
        "farol_trigger_errors_total",
        Unit::Count,
        "Steps of triggers, or of one rule, that failed; each is tried again"
    );
    describe_gauge!(
        "farol_queries_running",
        Unit::Count,
        "Queries at work, of all ways in"
    );
    describe_counter!(
        "farol_queries_total",
        Unit::Count,
        "Queries that ended, by outcome: ok, cancelled, or PostgreSQL's code of the failure"
    );
    describe_histogram!(
        "farol_query_seconds",
        Unit::Seconds,
        "Time that a query took, from its place to its last row"
    );
    describe_gauge!(
        "farol_memory_bytes",
        Unit::Bytes,
        "Memory held, by pool: ingest (records in flight), dedup"
    );
    describe_gauge!(
        "farol_dedup_horizon_seconds",
        Unit::Seconds,
        "How far back a producer's retry is told, by time or by memory, whichever ends first"
    );
}
