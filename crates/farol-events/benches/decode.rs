//! Nanoseconds per event from JSON to Arrow arrays, on one thread, beside what `serde_json` takes
//! to read the same bytes into its `Value`.
//!
//! `cargo bench -p farol-events --bench decode [-- ROWS_PER_BATCH] [alone]`. The events are like those of
//! the throughput benchmark: 800 bytes, 25 members in a fixed order. The variants change one thing
//! each. Best of several interleaved rounds, by the thread's wall clock: run it on an idle machine.

use std::hint::black_box;
use std::time::Instant;

use farol_events::{Decoder, Kind, TimeRange};

const EVENTS: usize = 60_000;
const ROUNDS: usize = 7;

fn main() {
    let rows = std::env::args()
        .nth(1)
        .and_then(|rows| rows.parse().ok())
        .unwrap_or(2_048);
    let alone = std::env::args().any(|argument| argument == "alone");
    let plain = generate(|_, event| event);
    let variants = [
        ("as generated", plain.clone()),
        (
            "spaces after separators",
            generate(|_, event| spaced(&event)),
        ),
        (
            "escapes and accents in texts",
            generate(|_, event| event.replace(" the ", " \\n\\\"é\\\" ")),
        ),
        (
            "a different member absent each time",
            generate(|i, event| without_one_member(i, &event)),
        ),
        (
            "nulls for half of the fields",
            generate(|_, event| with_nulls(&event)),
        ),
        (
            "an unknown member",
            generate(|_, event| event.replacen('{', "{\"zone\":{\"a\":[1,2]},", 1)),
        ),
    ];
    println!(
        "{:<38} {:>9} {:>9} {:>9}",
        "ns per event", "bytes", "farol", "Value"
    );
    for (name, events) in &variants {
        let bytes = events.iter().map(Vec::len).sum::<usize>() / events.len();
        let mut best = [f64::MAX; 2];
        let mut decoder = Decoder::new(Kind::Trace, TimeRange::ALL);
        for _ in 0..ROUNDS {
            best[0] = best[0].min(ns_per_event(|| decode(&mut decoder, events, rows)));
            if !alone {
                best[1] = best[1].min(ns_per_event(|| parse_values(events)));
            }
        }
        let of_value = if alone {
            "-".to_owned()
        } else {
            format!("{:.0}", best[1])
        };
        println!("{name:<38} {bytes:>9} {:>9.0} {of_value:>9}", best[0]);
    }
}

fn ns_per_event(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_nanos() as f64 / EVENTS as f64
}

fn decode(decoder: &mut Decoder, events: &[Vec<u8>], rows: usize) {
    for batch in events.chunks(rows) {
        for event in batch {
            if let Err(reject) = decoder.decode(event) {
                panic!("{reject}: {}", String::from_utf8_lossy(event));
            }
        }
        assert_eq!(black_box(decoder.finish()).batch.num_rows(), batch.len());
    }
}

fn parse_values(events: &[Vec<u8>]) {
    for event in events {
        let value = serde_json::from_slice::<serde_json::Value>(event);
        assert!(black_box(value).is_ok());
    }
}

/// Seeded pseudo-random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }
}

fn generate(change: impl Fn(usize, String) -> String) -> Vec<Vec<u8>> {
    let mut random = Random(7);
    let texts: Vec<String> = (0..20_000).map(|_| text(&mut random)).collect();
    let mut time_ms = 0;
    (0..EVENTS)
        .map(|i| {
            time_ms += random.below(12);
            change(i, event(&mut random, &texts, time_ms)).into_bytes()
        })
        .collect()
}

fn text(random: &mut Random) -> String {
    const WORDS: [&str; 16] = [
        "the",
        "customer",
        "order",
        "invoice",
        "refund",
        "shipment",
        "please",
        "summarise",
        "draft",
        "question",
        "policy",
        "contract",
        "the",
        "column",
        "timeout",
        "prompt",
    ];
    let len = 60 + random.below(40) as usize;
    let mut text = String::new();
    while text.len() < len {
        text.push_str(random.pick(&WORDS));
        text.push(' ');
    }
    text.truncate(len);
    text
}

fn event(random: &mut Random, texts: &[String], time_ms: u64) -> String {
    let model = random.pick(&[
        "gpt-4o",
        "gpt-4o-mini",
        "claude-sonnet-4",
        "gemini-2.0-flash",
    ]);
    let user = random.below(50_000);
    let input_tokens = 50 + random.below(8_000);
    let output_tokens = 5 + random.below(1_500);
    let latency_ms = 80 + random.below(9_000);
    let (second, ms) = (time_ms / 1_000, time_ms % 1_000);
    let (hour, minute, second) = (second / 3_600 % 24, second / 60 % 60, second % 60);
    let id = u128::from(random.next()) << 64 | u128::from(random.next());
    let id = format!("{id:032x}");
    [
        format!(
            r#"{{"event_id":"{}-{}-4{}-a{}-{}""#,
            &id[..8],
            &id[8..12],
            &id[13..16],
            &id[17..20],
            &id[20..]
        ),
        format!(r#""event_time":"2026-01-01T{hour:02}:{minute:02}:{second:02}.{ms:03}Z""#),
        format!(
            r#""trace_id":"{:016x}{:016x}""#,
            random.next(),
            random.next()
        ),
        format!(r#""span_id":"{:016x}""#, random.next()),
        format!(
            r#""session_id":"s-{user:05}-{:02}","user_id":"u-{user:05}""#,
            random.below(20)
        ),
        format!(
            r#""service":"{}""#,
            random.pick(&["chat-api", "search-assist", "support-bot"])
        ),
        format!(
            r#""environment":"{}""#,
            random.pick(&["prod", "prod", "staging", "dev"])
        ),
        format!(
            r#""operation":"{}""#,
            random.pick(&["chat", "text_completion", "embeddings"])
        ),
        format!(
            r#""task":"{}""#,
            random.pick(&["answer", "summarise", "classify", "extract"])
        ),
        format!(
            r#""provider":"{}""#,
            random.pick(&["openai", "anthropic", "google", "mistral"])
        ),
        format!(r#""request_model":"{model}","response_model":"{model}-2024-08-06""#),
        format!(
            r#""prompt_id":"p-{:03}","prompt_version":{}"#,
            random.below(400),
            1 + random.below(9)
        ),
        format!(r#""input_tokens":{input_tokens},"output_tokens":{output_tokens}"#),
        format!(
            r#""cache_read_tokens":{}"#,
            if random.below(10) < 4 {
                random.below(input_tokens)
            } else {
                0
            }
        ),
        format!(
            r#""latency_ms":{latency_ms},"time_to_first_token_ms":{}"#,
            latency_ms / 3
        ),
        format!(
            r#""status":"{}""#,
            random.pick(&["ok", "ok", "ok", "ok", "ok", "error", "timeout"])
        ),
        format!(
            r#""cost":"{:.6}""#,
            (input_tokens * 5 + output_tokens * 20) as f64 / 2e6
        ),
        format!(
            r#""tags":{{"team":"{}","feature":"{}"}}"#,
            random.pick(&["growth", "support", "platform", "search"]),
            random.pick(&["inbox", "copilot", "faq", "triage", "report"])
        ),
        format!(r#""input":"{}""#, texts[random.below(20_000) as usize]),
        format!(r#""output":"{}"}}"#, texts[random.below(20_000) as usize]),
    ]
    .join(",")
}

fn spaced(event: &str) -> String {
    event.replace("\":", "\": ").replace(",\"", ", \"")
}

fn without_one_member(i: usize, event: &str) -> String {
    const ABSENT: [&str; 5] = [
        "\"task\":",
        "\"user_id\":",
        "\"status\":",
        "\"span_id\":",
        "\"provider\":",
    ];
    let start = event
        .find(ABSENT[i % ABSENT.len()])
        .expect("every event has it");
    let end = start + event[start..].find(",\"").expect("it is not the last") + 1;
    format!("{}{}", &event[..start], &event[end..])
}

fn with_nulls(event: &str) -> String {
    const NULLS: [&str; 12] = [
        "start_time",
        "parent_span_id",
        "name",
        "tool_name",
        "agent_name",
        "system",
        "error_type",
        "error_message",
        "retries",
        "temperature",
        "retrieved",
        "scores",
    ];
    let nulls: Vec<String> = NULLS
        .iter()
        .map(|name| format!("\"{name}\":null,"))
        .collect();
    event.replacen(
        "\"operation\"",
        &format!("{}\"operation\"", nulls.concat()),
        1,
    )
}
