//! The scenarios of the tests against a Kafka of one's own:
//!
//! ```text
//! cargo run --release -p farol-kafka --example drill -- BROKERS [SCENARIO …]
//! ```
//!
//! `survive` runs for a minute while somebody kills and restarts the broker: every acknowledged record must
//! be read once, in order.

#[path = "../tests/kafka/mod.rs"]
mod kafka;
#[path = "../tests/kafka/only_kafka.rs"]
mod only_kafka;

use std::sync::Arc;
use std::time::{Duration, Instant};

use farol_kafka::{ConsumerEvent, Producer};
use kafka::member::{Member, Shared, count, numbers};
use kafka::{PATIENCE, config, create, scenarios, unique, wait_for};

type Scenario = fn(&str);

const SCENARIOS: [(&str, Scenario); 13] = [
    ("owners", only_kafka::owners),
    ("topics", scenarios::topics),
    ("group", scenarios::group),
    ("two_members", scenarios::two_members),
    ("stop_and_restart", scenarios::stop_and_restart),
    ("recreated", only_kafka::recreated),
    ("recreated_at_once", only_kafka::recreated_at_once),
    ("retention", only_kafka::retention),
    ("transactions", only_kafka::transactions),
    ("large_records", |brokers| {
        scenarios::large_records(brokers, 20 << 20);
    }),
    ("undeliverable", scenarios::undeliverable),
    ("tail", scenarios::tail),
    ("survive", survive),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(brokers) = arguments.next() else {
        eprintln!("usage: drill BROKERS [SCENARIO …]");
        std::process::exit(2);
    };
    let wanted: Vec<_> = arguments.collect();
    for (name, scenario) in SCENARIOS {
        let chosen = if wanted.is_empty() {
            name != "survive"
        } else {
            wanted.iter().any(|other| other == name)
        };
        if chosen {
            let began = Instant::now();
            scenario(&brokers);
            println!("{name}: passed in {:.1} s", began.elapsed().as_secs_f64());
        }
    }
}

fn survive(brokers: &str) {
    let topic = unique("survive");
    create(brokers, &topic, 4);
    let shared = Arc::new(Shared::default());
    let mut member = Member::join(&config(brokers, &topic), &topic, &shared);
    let producer = Producer::new(&config(brokers, "")).unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    let mut sent = 0_u64;
    while Instant::now() < until {
        for _ in 0..200 {
            let text = sent.to_string();
            producer
                .send(&topic, Some(text.as_bytes()), text.as_bytes(), None)
                .unwrap();
            sent += 1;
        }
        member.turn();
    }
    producer.flush(PATIENCE).unwrap();
    wait_for("all records", || {
        member.turn();
        count(&shared) as u64 >= sent
    });
    assert_eq!(numbers(&shared), (0..sent).collect::<Vec<_>>());
    let heard = member
        .events
        .iter()
        .filter(|event| !matches!(event, ConsumerEvent::EndOfPartition { .. }));
    let heard: std::collections::BTreeSet<_> = heard.map(|event| format!("{event:?}")).collect();
    println!("{sent} records, each once; heard meanwhile: {heard:#?}");
}
