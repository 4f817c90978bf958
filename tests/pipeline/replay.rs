//! Dead letters that are good after a mistake is mended are stored once, whoever asks how often.

use std::time::Duration;

use serde_json::json;

use crate::harness::events::{ago, ids, trace, traces_to, with};
use crate::harness::farol::{Farol, Totals};
use crate::harness::kafka::{RealKafka, Record};

#[test]
fn replay_after_a_fix_stores_each_entry_once_and_keeps_the_accounting() {
    let kafka = RealKafka::shared();
    let narrow = "ingest: {flush_interval: 200ms, event_time_range: {past: 1d}}\n";
    let farol = Farol::new(&kafka.brokers(), &[("replayed.traces", "trace", 2)], narrow);
    kafka.create_topic("replayed.traces", 2, &[]);
    let good = ids("good", 0..100);
    let old = ids("old", 0..60);
    let long_ago = ago(Duration::from_secs(10 * 86_400));
    kafka.send("replayed.traces", traces_to(0, &good));
    kafka.send(
        "replayed.traces",
        old.iter().enumerate().map(|(number, id)| {
            Record::to(
                (number % 2) as i32,
                with(trace(id), &json!({"event_time": long_ago})).to_string(),
            )
        }),
    );
    kafka.send(
        "replayed.traces",
        (0..7).map(|_| Record::to(1, "never good")),
    );
    farol.drain();
    let expected = Totals {
        read: 167,
        stored: 100,
        dead_letters: 67,
        ..Totals::default()
    };
    assert_eq!(farol.totals(), expected);

    // Nothing is mended yet: everything is still bad, and nothing moves.
    let replay = ["dlq", "replay", "--topic", "replayed.traces"];
    assert_eq!(farol.call(&replay).code, Some(3));
    assert_eq!(farol.totals(), expected);

    let mended = [
        &replay[..],
        &["--set", "ingest.event_time_range.past=3650d"],
    ]
    .concat();
    let few = farol.call(
        &[
            &mended[..],
            &["--reason-code", "event_time_out_of_range", "--limit", "10"],
        ]
        .concat(),
    );
    assert_eq!(few.code, Some(0), "{}", few.stderr);
    assert_eq!(farol.totals().replayed, 10);
    let all = farol.call(&mended);
    assert_eq!(
        all.code,
        Some(3),
        "the others are still bad: {}",
        all.stderr
    );
    let expected = Totals {
        replayed: 60,
        ..expected
    };
    assert_eq!(farol.totals(), expected);
    assert_eq!(farol.event_ids("traces"), [&good[..], &old].concat());
    farol.verify();

    // Once more: nothing is left to store, and ingest goes on as if nothing had been.
    assert_eq!(farol.call(&mended).code, Some(3));
    farol.drain();
    assert_eq!(farol.totals(), expected);
    assert_eq!(farol.event_ids("traces").len(), 160);
    assert_eq!(farol.number("SELECT count(*) AS n FROM dead_letters"), 67);
    assert_eq!(
        farol.number("SELECT count(*) AS n FROM dead_letters_open"),
        7
    );
    assert_eq!(farol.ok(&["dlq", "list", "--json"]).lines().count(), 7);
    farol.verify();
}

#[test]
fn two_replays_at_once_store_each_entry_once() {
    let kafka = RealKafka::shared();
    let narrow = "ingest: {flush_interval: 200ms, event_time_range: {past: 1d}}\n";
    let farol = Farol::new(&kafka.brokers(), &[("raced.traces", "trace", 1)], narrow);
    kafka.create_topic("raced.traces", 1, &[]);
    let old = ids("raced", 0..300);
    let long_ago = ago(Duration::from_secs(10 * 86_400));
    kafka.send(
        "raced.traces",
        old.iter().map(|id| {
            Record::to(
                0,
                with(trace(id), &json!({"event_time": long_ago})).to_string(),
            )
        }),
    );
    farol.drain();
    let replay = [
        "dlq",
        "replay",
        "--set",
        "ingest.event_time_range.past=3650d",
    ];
    let mut replays = [farol.start(&replay), farol.start(&replay)];
    for replay in &mut replays {
        let code = replay.wait(crate::harness::PATIENCE).code();
        assert_eq!(code, Some(0), "{}", replay.stderr());
    }
    assert_eq!(farol.event_ids("traces"), old);
    let expected = Totals {
        read: 300,
        dead_letters: 300,
        replayed: 300,
        ..Totals::default()
    };
    assert_eq!(farol.totals(), expected);
    farol.verify();
}
