//! Arguments of `farol emit`, and what follows from them.

use std::path::PathBuf;

use super::{
    input::Format,
    schedule::{FromTime, Pace},
    time::{DEFAULT_START, parse_rfc3339},
};

/// Arguments of `farol emit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    farol emit events.ndjson                                        events as they are\n  \
    farol emit azure_llm_2023/ --format azure-llm                   a published workload trace\n  \
    farol emit trace.jsonl --format mooncake --from-time now --speed 10\n  \
    farol emit servegen/reason --format servegen --events 100000\n\n\
    ndjson: a line goes to the topic of the kind that its fields speak of unless --topic is given; the record key is\n\
    trace_id, else event_id. A line that is no JSON object is reported with file and line and not sent.\n\
    Workload traces: events have what the trace says and nothing else, come merged by time, and have the same\n\
    event_id each time they are emitted, so that emitting twice stores them once.\n\
    servegen: 600-second arrival parameters become requests without chance, the same for everybody.\n\
    A line that cannot be used is reported and left out, the rest is sent, and the command exits 1.")]
pub struct EmitArgs {
    /// Files to read, or directories of them; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What the files hold
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    pub format: Format,
    /// The topic to send to [default: the configured topic of the event's kind]
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// The service that the events come from [default: ndjson, as the line says; else after the file's name]
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Keep the times of the files, or move them as if it all happened now
    #[arg(long, value_enum, default_value_t = FromTime::Original)]
    pub from_time: FromTime,
    /// Time zero of traces that count from it (mooncake, servegen)
    #[arg(long, value_name = "TIME", default_value = DEFAULT_START, value_parser = parse_rfc3339)]
    pub start: i64,
    /// Send so many times as fast as the events follow each other
    #[arg(long, value_name = "X", conflicts_with = "rate", value_parser = positive)]
    pub speed: Option<f64>,
    /// Send so many events a second [default: as fast as Kafka takes them]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub rate: Option<f64>,
    /// Stop after so many events
    #[arg(long, value_name = "N")]
    pub events: Option<u64>,
    /// ndjson: send lines that are no JSON objects, too, as they are
    #[arg(long)]
    pub unchecked: bool,
}

impl EmitArgs {
    /// The pace that the options ask for.
    pub fn pace(&self) -> Pace {
        match (self.speed, self.rate) {
            (Some(speed), _) => Pace::Speed(speed),
            (None, Some(rate)) => Pace::Rate(rate),
            (None, None) => Pace::Unpaced,
        }
    }
}

/// Reads a number above zero, for clap.
pub fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("expected a number above 0".to_owned()),
    }
}
