//! However long the backlog and however large its records, memory stays where it was bounded.

use serde_json::json;

use crate::harness::events::{ids, trace, with};
use crate::harness::farol::{Farol, Totals};
use crate::harness::kafka::{RealKafka, Record};
use crate::harness::{PATIENCE, wait_until};

/// What ingest may hold, by configuration.
const INGEST: &str =
    "ingest: {flush_interval: 1s, memory: 96MiB, max_batch_bytes: 16MiB, dedup: {memory: 16MiB}}\n";

/// What the process may hold: those bounds, twice over for rows being encoded and for what the allocator keeps, and
/// the program itself with its threads, the Kafka client and the SQL engine.
const PROCESS_BYTES_MAX: u64 = 450 << 20;

/// Drains, and gives the most memory the process held.
fn drain_and_weigh(farol: &Farol) -> u64 {
    let mut drain = farol.start(&["run", "--roles", "ingest", "--drain"]);
    let mut peak = 0;
    let status = wait_until("the backlog is drained", PATIENCE * 3, || {
        peak = drain.peak_memory_bytes().unwrap_or(0).max(peak);
        drain.ended()
    });
    assert_eq!(status.code(), Some(0), "{}", drain.stderr());
    eprintln!("peak memory: {} MiB", peak >> 20);
    peak
}

/// Text that does not compress: Kafka's client unpacks what it fetches before anybody can bound it.
fn noise(bytes: usize) -> String {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let letters = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + (state % 90) as u8).to_ascii_lowercase()
    });
    letters
        .filter(|letter| !matches!(letter, '"' | '\\'))
        .take(bytes)
        .collect()
}

#[test]
fn a_long_backlog_drains_within_bounded_memory() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(&kafka.brokers(), &[("backlog.traces", "trace", 4)], INGEST);
    kafka.create_topic("backlog.traces", 4, &[]);
    // About 500 MB: five times what ingest may hold.
    let prose = "prosa ".repeat(130);
    let sent = ids("backlog", 0..400_000);
    for part in sent.chunks(50_000) {
        kafka.send(
            "backlog.traces",
            part.iter().map(|id| {
                Record::keyed(id, with(trace(id), &json!({"output": prose})).to_string())
            }),
        );
    }
    let peak = drain_and_weigh(&farol);
    assert!(peak < PROCESS_BYTES_MAX, "{} MiB were held", peak >> 20);
    assert_eq!(
        farol.totals(),
        Totals {
            read: 400_000,
            stored: 400_000,
            ..Totals::default()
        }
    );
    assert_eq!(
        farol.number("SELECT count(DISTINCT event_id) AS n FROM traces"),
        400_000
    );
}

#[test]
fn a_topic_of_large_records_drains_within_bounded_memory() {
    let kafka = RealKafka::shared();
    let farol = Farol::new(&kafka.brokers(), &[("large.traces", "trace", 2)], INGEST);
    kafka.create_topic("large.traces", 2, &[("max.message.bytes", "33554432")]);
    let prose = noise(4 << 20);
    let sent = ids("large", 0..120);
    for part in sent.chunks(20) {
        kafka.send(
            "large.traces",
            part.iter().map(|id| {
                Record::keyed(id, with(trace(id), &json!({"output": prose})).to_string())
            }),
        );
    }
    let peak = drain_and_weigh(&farol);
    assert!(peak < PROCESS_BYTES_MAX, "{} MiB were held", peak >> 20);
    assert_eq!(farol.event_ids("traces"), sent);
    assert_eq!(
        farol.number("SELECT sum(length(output)) AS n FROM traces"),
        120 * (4 << 20)
    );
}
