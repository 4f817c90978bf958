//! Traces as a platform with a dozen services writes them, file by file. The same for the same place in the lake.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use farol_events::{Kind, table_schema};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// 2026-05-01T00:00:00Z.
const START_US: i64 = 1_777_593_600_000_000;
const DAY_US: i64 = 86_400_000_000;

const BATCH_ROWS: usize = 8_192;

const SERVICES: [&str; 12] = [
    "checkout-assistant",
    "search",
    "support-bot",
    "summariser",
    "code-review",
    "translator",
    "recommender",
    "moderation",
    "onboarding",
    "sales-copilot",
    "document-qa",
    "voice-agent",
];
const MODELS: [(&str, &str, f64); 6] = [
    ("openai", "gpt-4o-mini-2024-07-18", 600.0),
    ("openai", "gpt-4o-2024-11-20", 1_500.0),
    ("anthropic", "claude-sonnet-4-20250514", 1_800.0),
    ("anthropic", "claude-haiku-3-5-20241022", 700.0),
    ("mistral", "mistral-large-2411", 1_200.0),
    ("google", "gemini-2.5-flash", 500.0),
];

/// The rows of one file of a day: its date in days since 1970, and batches in the order of their times. `before` rows of
/// the day's `of_day` were written already.
pub fn file(day: usize, before: usize, rows: usize, of_day: usize) -> (i32, Vec<RecordBatch>) {
    let mut rng = ChaCha8Rng::seed_from_u64(day as u64 * 1_000_003 + before as u64);
    let day_us = START_US + day as i64 * DAY_US;
    let batches = (0..rows).step_by(BATCH_ROWS).map(|from| {
        let count = BATCH_ROWS.min(rows - from);
        let time_us = |row: usize| {
            let position = (before + from + row) as f64 / of_day as f64;
            day_us + (position * DAY_US as f64) as i64
        };
        batch(&mut rng, count, before + from, &time_us)
    });
    ((day_us / DAY_US) as i32, batches.collect())
}

#[expect(
    clippy::too_many_lines,
    reason = "a column after the other, in the order of the table"
)]
fn batch(
    rng: &mut ChaCha8Rng,
    rows: usize,
    offset: usize,
    time_us: &dyn Fn(usize) -> i64,
) -> RecordBatch {
    let schema = table_schema(Kind::Trace);
    let columns = schema.fields().iter();
    let mut columns: Vec<ArrayRef> = columns
        .map(|field| new_null_array(field.data_type(), rows))
        .collect();
    let mut set = |name: &str, column: ArrayRef| {
        let index = schema.index_of(name).expect("a column of traces");
        columns[index] = column;
    };
    let text = |texts: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
    let few = |texts: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
    let whole = |numbers: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(numbers)) };

    let services: Vec<usize> = (0..rows).map(|_| skewed(rng, SERVICES.len())).collect();
    let models: Vec<usize> = services
        .iter()
        .map(|service| (service + usize::from(rng.random_bool(0.3))) % MODELS.len())
        .collect();
    let latencies: Vec<f64> = models
        .iter()
        .map(|model| MODELS[*model].2 * (rng.random::<f64>() + rng.random::<f64>()).exp() / 2.7)
        .collect();
    let latencies: Vec<f64> = latencies
        .iter()
        .map(|ms| (ms * 1e3).round() / 1e3)
        .collect();
    let firsts = latencies.iter().map(|ms| (ms * 0.2 * 1e3).round() / 1e3);
    set(
        "time_to_first_token_ms",
        Arc::new(firsts.collect::<Float64Array>()),
    );
    let times = (0..rows).map(time_us);
    let starts = times
        .clone()
        .zip(&latencies)
        .map(|(end, ms)| end - (ms * 1e3) as i64);
    set(
        "start_time",
        Arc::new(TimestampMicrosecondArray::from_iter_values(starts).with_timezone("UTC")),
    );
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    set("event_time", Arc::new(times.clone()));
    set("ingested_at", Arc::new(times));
    set("latency_ms", Arc::new(Float64Array::from(latencies)));
    set(
        "event_id",
        text(
            (0..rows)
                .map(|_| format!("{:016x}", rng.random::<u64>()))
                .collect(),
        ),
    );
    set(
        "trace_id",
        text(
            (0..rows)
                .map(|_| format!("{:016x}{:016x}", rng.random::<u64>(), rng.random::<u64>()))
                .collect(),
        ),
    );
    set(
        "span_id",
        text(
            (0..rows)
                .map(|_| format!("{:016x}", rng.random::<u64>()))
                .collect(),
        ),
    );
    set(
        "session_id",
        text(
            (0..rows)
                .map(|_| format!("session-{}", rng.random_range(0..2_000_000)))
                .collect(),
        ),
    );
    set(
        "user_id",
        text(
            (0..rows)
                .map(|_| format!("user-{}", rng.random_range(0..300_000)))
                .collect(),
        ),
    );
    set(
        "service",
        few(services.iter().map(|service| SERVICES[*service]).collect()),
    );
    let production = (0..rows).map(|_| {
        if rng.random_bool(0.95) {
            "production"
        } else {
            "staging"
        }
    });
    set("environment", few(production.collect()));
    set("operation", few(vec!["chat"; rows]));
    let tasks = services
        .iter()
        .map(|service| ["answer", "summarise", "classify"][service % 3]);
    set("task", few(tasks.collect()));
    set(
        "provider",
        few(models.iter().map(|model| MODELS[*model].0).collect()),
    );
    for name in ["request_model", "response_model", "model"] {
        set(
            name,
            few(models.iter().map(|model| MODELS[*model].1).collect()),
        );
    }
    set(
        "prompt_id",
        text(
            services
                .iter()
                .map(|service| format!("prompt-{service}"))
                .collect(),
        ),
    );
    let versions = (0..rows).map(|_| if rng.random_bool(0.8) { "v2" } else { "v3" });
    set("prompt_version", few(versions.collect()));
    let inputs: Vec<i64> = (0..rows).map(|_| rng.random_range(50..4_000)).collect();
    let outputs: Vec<i64> = (0..rows).map(|_| rng.random_range(10..800)).collect();
    let costs = inputs
        .iter()
        .zip(&outputs)
        .map(|(input, output)| i128::from(input * 150_000 + output * 600_000));
    let costs = Decimal128Array::from_iter_values(costs).with_precision_and_scale(38, 12);
    set("cost", Arc::new(costs.expect("decimals of the lake's")));
    set("currency", few(vec!["USD"; rows]));
    let cached = inputs
        .iter()
        .map(|input| if input % 3 == 0 { input / 2 } else { 0 });
    set("cache_read_tokens", whole(cached.collect()));
    set("input_tokens", whole(inputs));
    set("output_tokens", whole(outputs));
    let statuses = (0..rows).map(|_| match rng.random_range(0..1_000) {
        0..15 => "error",
        15..20 => "timeout",
        20..23 => "rate_limited",
        _ => "ok",
    });
    set("status", few(statuses.collect()));
    set("finish_reason", few(vec!["stop"; rows]));
    set("kafka_topic", few(vec!["llm.traces"; rows]));
    set("kafka_partition", Arc::new(Int32Array::from(vec![0; rows])));
    set(
        "kafka_offset",
        whole((0..rows).map(|row| (offset + row) as i64).collect()),
    );
    set("kafka_entry", Arc::new(Int32Array::from(vec![0; rows])));
    RecordBatch::try_new(schema, columns).expect("columns of traces")
}

/// A number below `count`: small ones are likelier.
fn skewed(rng: &mut ChaCha8Rng, count: usize) -> usize {
    let uniform: f64 = rng.random();
    ((uniform * uniform * count as f64) as usize).min(count - 1)
}
