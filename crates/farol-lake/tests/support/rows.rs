//! Rows for tests and benchmarks: realistic traces, and arbitrary values of any column type.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    ListArray, MapArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields, Schema, SchemaRef};
use farol_events::{Kind, table_schema};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Values of any column type, nulls, empty values and extremes among them; the same for the same seed.
pub fn arbitrary_batch(schema: &SchemaRef, rows: usize, seed: u64) -> RecordBatch {
    filled_batch(schema, rows, seed, Reach::Extremes)
}

/// The same, but times that every reader knows and numbers whose sums every reader can hold.
pub fn readable_batch(schema: &SchemaRef, rows: usize, seed: u64) -> RecordBatch {
    filled_batch(schema, rows, seed, Reach::Moderate)
}

/// How far values go.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    Extremes,
    Moderate,
}

fn filled_batch(schema: &SchemaRef, rows: usize, seed: u64, reach: Reach) -> RecordBatch {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let columns = schema
        .fields()
        .iter()
        .map(|field| arbitrary(field.data_type(), rows, true, &mut rng, reach));
    RecordBatch::try_new(schema.clone(), columns.collect()).expect("columns of the schema's types")
}

/// A batch of nothing but nulls.
pub fn null_batch(schema: &SchemaRef, rows: usize) -> RecordBatch {
    let columns = schema
        .fields()
        .iter()
        .map(|field| new_null_array(field.data_type(), rows));
    RecordBatch::try_new(schema.clone(), columns.collect()).expect("columns of the schema's types")
}

fn arbitrary(
    data_type: &DataType,
    rows: usize,
    nullable: bool,
    rng: &mut ChaCha8Rng,
    reach: Reach,
) -> ArrayRef {
    let present: Vec<bool> = (0..rows)
        .map(|_| !nullable || rng.random_bool(0.8))
        .collect();
    let nulls = nullable.then(|| NullBuffer::from(present.clone()));
    match data_type {
        DataType::Utf8 => Arc::new(
            present
                .iter()
                .map(|is| is.then(|| text(rng)))
                .collect::<StringArray>(),
        ),
        DataType::Binary => {
            let bytes = present
                .iter()
                .map(|is| is.then(|| vec![rng.random::<u8>(); rng.random_range(0..9)]));
            Arc::new(bytes.collect::<BinaryArray>())
        }
        DataType::Int32 => Arc::new(
            present
                .iter()
                .map(|is| is.then(|| rng.random::<i32>()))
                .collect::<Int32Array>(),
        ),
        DataType::Int64 => Arc::new(
            present
                .iter()
                .map(|is| is.then(|| whole(rng, reach)))
                .collect::<Int64Array>(),
        ),
        DataType::Date32 => Arc::new(
            present
                .iter()
                .map(|is| is.then(|| rng.random_range(0..30_000)))
                .collect::<Date32Array>(),
        ),
        DataType::Float64 => Arc::new(
            present
                .iter()
                .map(|is| is.then(|| real(rng, reach)))
                .collect::<Float64Array>(),
        ),
        DataType::Timestamp(..) => {
            let most_us = if reach == Reach::Extremes {
                1_i64 << 60
            } else {
                1 << 50
            };
            let times = present
                .iter()
                .map(|is| is.then(|| rng.random_range(-most_us..most_us)));
            Arc::new(
                times
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone("UTC"),
            )
        }
        DataType::Decimal128(precision, scale) => {
            let digits = if reach == Reach::Extremes {
                *precision
            } else {
                *precision - 8
            };
            let most = 10_i128.pow(u32::from(digits)) - 1;
            let values = present
                .iter()
                .map(|is| is.then(|| rng.random_range(-most..=most)));
            let values = values.collect::<Decimal128Array>();
            Arc::new(
                values
                    .with_precision_and_scale(*precision, *scale)
                    .expect("a valid decimal type"),
            )
        }
        _ => nested(data_type, &present, nulls, rng, reach),
    }
}

fn nested(
    data_type: &DataType,
    present: &[bool],
    nulls: Option<NullBuffer>,
    rng: &mut ChaCha8Rng,
    reach: Reach,
) -> ArrayRef {
    match data_type {
        DataType::List(element) => {
            let (offsets, total) = lengths(present, rng);
            let child = arbitrary(
                element.data_type(),
                total,
                element.is_nullable(),
                rng,
                reach,
            );
            Arc::new(ListArray::new(element.clone(), offsets, child, nulls))
        }
        DataType::Map(entries, sorted) => {
            let (offsets, total) = lengths(present, rng);
            let DataType::Struct(fields) = entries.data_type() else {
                panic!("map entries are a struct")
            };
            let values = structure(fields, total, None, rng, reach);
            // A map has each key once; readers differ over what a second one means.
            let keys =
                StringArray::from_iter_values((0..total).map(|n| format!("{}{n}", text(rng))));
            let columns = vec![Arc::new(keys) as ArrayRef, values.column(1).clone()];
            let entry = StructArray::new(fields.clone(), columns, None);
            Arc::new(MapArray::new(
                FieldRef::clone(entries),
                offsets,
                entry,
                nulls,
                *sorted,
            ))
        }
        DataType::Struct(fields) => Arc::new(structure(fields, present.len(), nulls, rng, reach)),
        other => panic!("no rows for {other}"),
    }
}

fn structure(
    fields: &Fields,
    rows: usize,
    nulls: Option<NullBuffer>,
    rng: &mut ChaCha8Rng,
    reach: Reach,
) -> StructArray {
    let columns = fields
        .iter()
        .map(|field| arbitrary(field.data_type(), rows, field.is_nullable(), rng, reach));
    StructArray::new(fields.clone(), columns.collect(), nulls)
}

fn lengths(present: &[bool], rng: &mut ChaCha8Rng) -> (OffsetBuffer<i32>, usize) {
    let lengths: Vec<_> = present
        .iter()
        .map(|is| if *is { rng.random_range(0..4) } else { 0 })
        .collect();
    (
        OffsetBuffer::from_lengths(lengths.iter().copied()),
        lengths.iter().sum(),
    )
}

fn text(rng: &mut ChaCha8Rng) -> String {
    match rng.random_range(0..6) {
        0 => String::new(),
        1 => "é𝄞\u{7ff}漢".repeat(rng.random_range(1..40)),
        2 => "z".repeat(rng.random_range(60..70)),
        3 => "\u{10ffff}".repeat(rng.random_range(1..30)),
        _ => format!("{:x}", rng.random::<u64>()),
    }
}

fn whole(rng: &mut ChaCha8Rng, reach: Reach) -> i64 {
    if reach == Reach::Moderate {
        return rng.random_range(-1 << 40..1 << 40);
    }
    match rng.random_range(0..4) {
        0 => i64::MIN,
        1 => i64::MAX,
        _ => rng.random(),
    }
}

fn real(rng: &mut ChaCha8Rng, reach: Reach) -> f64 {
    if reach == Reach::Moderate {
        return rng.random_range(0.5..1.0);
    }
    match rng.random_range(0..5) {
        0 => f64::INFINITY,
        1 => -0.0,
        2 => f64::MIN_POSITIVE,
        _ => rng.random(),
    }
}

const WORDS: &[&str] = &[
    "the",
    "customer",
    "order",
    "invoice",
    "refund",
    "shipment",
    "please",
    "summarise",
    "explain",
    "draft",
    "reply",
    "answer",
    "question",
    "document",
    "policy",
    "contract",
    "clause",
    "table",
    "column",
    "query",
    "error",
    "retry",
    "timeout",
    "model",
    "prompt",
    "context",
    "tokens",
    "cache",
    "latency",
    "budget",
    "team",
    "feature",
    "release",
    "incident",
    "account",
    "password",
    "reset",
    "billing",
    "address",
    "subscription",
    "cancel",
    "upgrade",
    "plan",
];
const SERVICES: &[&str] = &[
    "chat-api",
    "search-assist",
    "support-bot",
    "doc-qa",
    "code-review",
    "mail-draft",
    "batch-eval",
    "agent-core",
];
const MODELS: &[(&str, &str, &str)] = &[
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("anthropic", "claude-sonnet-4", "claude-sonnet-4-20250514"),
    ("anthropic", "claude-haiku-3-5", "claude-haiku-3-5-20241022"),
    ("google", "gemini-2.0-flash", "gemini-2.0-flash-001"),
    ("mistral", "mistral-large", "mistral-large-2411"),
];

/// A stream of traces of about 800 bytes of JSON each, 25 fields present, beginning 2026-01-01.
pub struct Traces {
    rng: ChaCha8Rng,
    texts: Vec<String>,
    time_ms: i64,
    offset: i64,
}

impl Traces {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let texts = (0..20_000).map(|_| words(&mut rng)).collect();
        Self {
            rng,
            texts,
            time_ms: 1_767_225_600_000,
            offset: 0,
        }
    }

    /// The next rows.
    pub fn batch(&mut self, rows: usize) -> RecordBatch {
        let mut columns = Columns::default();
        for _ in 0..rows {
            self.row(&mut columns);
        }
        columns.into_batch(rows)
    }

    fn row(&mut self, columns: &mut Columns) {
        let rng = &mut self.rng;
        self.time_ms += rng.random_range(0..12);
        let (provider, request, response) = MODELS[rng.random_range(0..MODELS.len())];
        let skewed = |rng: &mut ChaCha8Rng, most: f64| {
            (rng.random::<f64>() * rng.random::<f64>() * most) as i64
        };
        let user = skewed(rng, 50_000.0);
        let (input_tokens, output_tokens) = (50 + skewed(rng, 8_000.0), 5 + skewed(rng, 1_500.0));
        let latency = 80 + skewed(rng, 9_000.0);
        let id: u128 = rng.random();
        columns.text(
            "event_id",
            format!(
                "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                id >> 96,
                (id >> 80) & 0xffff,
                (id >> 68) & 0xfff,
                (id >> 56) & 0xfff,
                id & 0xffff_ffff_ffff
            ),
        );
        columns.text("trace_id", format!("{:032x}", rng.random::<u128>()));
        columns.text("span_id", format!("{:016x}", rng.random::<u64>()));
        columns.text(
            "session_id",
            format!("s-{user:05}-{:02}", rng.random_range(0..20)),
        );
        columns.text("user_id", format!("u-{user:05}"));
        columns.text("service", SERVICES[rng.random_range(0..8)].to_owned());
        columns.text(
            "environment",
            if rng.random_bool(0.8) {
                "prod"
            } else {
                "staging"
            }
            .to_owned(),
        );
        columns.text(
            "operation",
            ["chat", "embeddings", "retrieval"][rng.random_range(0..3)].to_owned(),
        );
        columns.text(
            "task",
            ["answer", "summarise", "classify", "plan"][rng.random_range(0..4)].to_owned(),
        );
        columns.text("provider", provider.to_owned());
        columns.text("request_model", request.to_owned());
        columns.text("response_model", response.to_owned());
        columns.text("model", response.to_owned());
        columns.text("prompt_id", format!("p-{:03}", skewed(rng, 400.0)));
        columns.text("prompt_version", rng.random_range(1..10).to_string());
        columns.text(
            "status",
            if rng.random_bool(0.94) { "ok" } else { "error" }.to_owned(),
        );
        columns.text(
            "input",
            self.texts[rng.random_range(0..self.texts.len())].clone(),
        );
        columns.text(
            "output",
            self.texts[rng.random_range(0..self.texts.len())].clone(),
        );
        columns.text("kafka_topic", "llm.traces".to_owned());
        columns.whole("input_tokens", input_tokens);
        columns.whole("output_tokens", output_tokens);
        columns.whole(
            "cache_read_tokens",
            if rng.random_bool(0.4) {
                input_tokens / 2
            } else {
                0
            },
        );
        columns.whole("kafka_offset", self.offset);
        columns.whole("event_time", self.time_ms * 1_000);
        columns.whole("ingested_at", 1_767_300_000_000_000);
        columns.whole("latency_ms", latency);
        columns.whole("time_to_first_token_ms", latency / 3);
        columns.whole(
            "cost",
            input_tokens * 2_500_000 + output_tokens * 10_000_000,
        );
        columns.tags.push([
            SERVICES[rng.random_range(0..6)],
            WORDS[rng.random_range(0..7)],
        ]);
        self.offset += 1;
    }
}

fn words(rng: &mut ChaCha8Rng) -> String {
    let length = rng.random_range(60..=100);
    let mut text = String::new();
    while text.len() < length {
        text.push_str(WORDS[rng.random_range(0..WORDS.len())]);
        text.push(' ');
    }
    text.truncate(length);
    text
}

#[derive(Default)]
struct Columns {
    texts: std::collections::HashMap<&'static str, Vec<String>>,
    numbers: std::collections::HashMap<&'static str, Vec<i64>>,
    tags: Vec<[&'static str; 2]>,
}

impl Columns {
    fn text(&mut self, column: &'static str, value: String) {
        self.texts.entry(column).or_default().push(value);
    }

    fn whole(&mut self, column: &'static str, value: i64) {
        self.numbers.entry(column).or_default().push(value);
    }

    fn into_batch(self, rows: usize) -> RecordBatch {
        let table = table_schema(Kind::Trace);
        let kept: Vec<_> = table
            .fields()
            .iter()
            .filter(|field| field.name() != "event_date")
            .cloned()
            .collect();
        let columns = kept
            .iter()
            .map(|field| self.column(field.name(), field.data_type(), rows))
            .collect();
        RecordBatch::try_new(Arc::new(Schema::new(kept)), columns)
            .expect("columns of the table's types")
    }

    fn column(&self, name: &str, data_type: &DataType, rows: usize) -> ArrayRef {
        let numbers = || self.numbers.get(name).map_or(&[][..], Vec::as_slice);
        match data_type {
            DataType::Utf8 => match self.texts.get(name) {
                Some(texts) => Arc::new(StringArray::from_iter_values(texts)),
                None => new_null_array(data_type, rows),
            },
            DataType::Int32 => Arc::new(Int32Array::from_iter_values(std::iter::repeat_n(0, rows))),
            DataType::Map(entries, _) if name == "tags" => tags(entries, &self.tags),
            _ if numbers().is_empty() => new_null_array(data_type, rows),
            DataType::Int64 => Arc::new(Int64Array::from(numbers().to_vec())),
            DataType::Timestamp(..) => {
                Arc::new(TimestampMicrosecondArray::from(numbers().to_vec()).with_timezone("UTC"))
            }
            DataType::Float64 => Arc::new(Float64Array::from_iter_values(
                numbers().iter().map(|n| *n as f64),
            )),
            DataType::Decimal128(precision, scale) => {
                let values =
                    Decimal128Array::from_iter_values(numbers().iter().map(|n| i128::from(*n)));
                Arc::new(
                    values
                        .with_precision_and_scale(*precision, *scale)
                        .expect("a valid decimal type"),
                )
            }
            other => panic!("no values for {name} of type {other}"),
        }
    }
}

fn tags(entries: &FieldRef, values: &[[&str; 2]]) -> ArrayRef {
    let DataType::Struct(fields) = entries.data_type() else {
        panic!("map entries are a struct")
    };
    let keys = StringArray::from_iter_values(values.iter().flat_map(|_| ["team", "feature"]));
    let values_column = StringArray::from_iter_values(values.iter().flatten());
    let entry = StructArray::new(
        fields.clone(),
        vec![Arc::new(keys), Arc::new(values_column)],
        None,
    );
    let offsets = OffsetBuffer::from_lengths(values.iter().map(|_| 2));
    Arc::new(MapArray::new(
        FieldRef::clone(entries),
        offsets,
        entry,
        None,
        false,
    ))
}
