//! What ingest tells Prometheus, through the `metrics` facade. Names and units are a contract.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use metrics::{counter, gauge, histogram};

use crate::dedup::Deduplicator;
use crate::flush::FlushDone;
use crate::marks::Marks;
use crate::partition::Partition;
use crate::slot::{Slot, Tally};

/// What happened between two states of a partition's marks.
pub(crate) fn difference(before: &Marks, after: &Marks) -> Tally {
    Tally {
        read: after.read - before.read,
        stored: after.stored - before.stored,
        duplicates: after.duplicates - before.duplicates,
        dead_letters: after.dead_letters - before.dead_letters,
        lost: after.lost - before.lost,
    }
}

/// Adds one tally to another.
pub(crate) fn add(total: &mut Tally, tally: &Tally) {
    total.read += tally.read;
    total.stored += tally.stored;
    total.duplicates += tally.duplicates;
    total.dead_letters += tally.dead_letters;
    total.lost += tally.lost;
}

fn labels(slot: &Slot) -> [(&'static str, String); 2] {
    [
        ("topic", slot.key.topic.clone()),
        ("partition", slot.key.partition.to_string()),
    ]
}

/// Counts what a commit brought for one partition.
pub(crate) fn committed(partition: &Partition, tally: &Tally) {
    let [topic, number] = labels(&partition.slot);
    let outcomes = [
        ("stored", tally.stored),
        ("duplicate", tally.duplicates),
        ("dead_letter", tally.dead_letters),
        ("lost", tally.lost),
    ];
    for (outcome, count) in outcomes {
        let labels = [
            topic.clone(),
            number.clone(),
            ("outcome", outcome.to_owned()),
        ];
        counter!("farol_ingest_entries_total", &labels).increment(count.max(0) as u64);
    }
    lag(partition);
}

/// Says how far a partition is behind its log.
pub(crate) fn lag(partition: &Partition) {
    gauge!("farol_ingest_lag_records", &labels(&partition.slot))
        .set(partition.lag_records() as f64);
}

/// A partition is not ours any more: its gauges would only grow stale.
pub(crate) fn forget(slot: &Slot) {
    gauge!("farol_ingest_lag_records", &labels(slot)).set(0.0);
}

/// Says how long a flush took, and how old its oldest record was when it became queryable.
pub(crate) fn flush(done: &FlushDone, now_us: i64) {
    let table = [("table", done.kind.table().to_owned())];
    histogram!("farol_commit_seconds", &table).record(done.elapsed.as_secs_f64());
    if let Some(oldest_ms) = done.oldest_timestamp_ms {
        let age_seconds = (now_us - oldest_ms.saturating_mul(1_000)).max(0) as f64 / 1e6;
        gauge!("farol_freshness_seconds", &table).set(age_seconds);
        gauge!("farol_ingest_lag_seconds", &table).set(age_seconds);
    }
}

/// Says what memory is held, and how far back duplicates are told.
pub(crate) fn memory(in_flight: &AtomicUsize, dedup: &Deduplicator, now: Instant) {
    gauge!("farol_memory_bytes", "pool" => "ingest").set(in_flight.load(Ordering::Relaxed) as f64);
    gauge!("farol_memory_bytes", "pool" => "dedup").set(dedup.memory_bytes() as f64);
    gauge!("farol_dedup_horizon_seconds").set(dedup.effective_horizon(now).as_secs_f64());
}
