//! `farol emit`: events from files onto Kafka.
//!
//! ```text
//! FILE… ── input (ndjson, azure, mooncake, servegen) ──▶ records, by time ── schedule ──▶ outlet ──▶ Kafka
//!            a line that cannot be used: EmitError::Line       when, and with which time
//! ```
//!
//! Everything streams: what is held is one line a file, one window of parameters a client, and the
//! producer's bounded queue, which makes us wait when Kafka is slower.

mod args;
mod azure;
mod error;
mod input;
mod lines;
mod members;
mod merge;
mod mooncake;
mod ndjson;
pub(crate) mod outlet;
mod record;
pub(crate) mod report;
mod schedule;
mod servegen;
pub(crate) mod time;
pub(crate) mod wait;

use std::{
    path::Path,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use farol_events::{Kind, event_fingerprint};

pub use args::EmitArgs;
pub(crate) use args::positive;

use crate::{
    context::Context,
    exit::{Exit, usage},
    output,
    progress::Progress,
};
use input::{Format, Input};
use lines::BytesRead;
use outlet::{KafkaOutlet, Topics};
use record::{Content, Events, Record};
use report::Report;
use schedule::Schedule;
use wait::Waiter;

/// Faults of lines that are printed; the others are only counted.
const FAULTS_SHOWN: u64 = 20;

/// Sends events from files to Kafka.
///
/// # Errors
/// Files that cannot be read or are not of their format, lines that had to be left out, and events
/// that Kafka did not acknowledge.
pub async fn run(context: &Context, args: EmitArgs) -> anyhow::Result<Exit> {
    if args.unchecked && args.format != Format::Ndjson {
        return Err(usage("--unchecked is for --format ndjson"));
    }
    let input = Input {
        format: args.format,
        files: input::files(args.format, &args.files)?,
        service: args.service.clone(),
        start_us: args.start,
        unchecked: args.unchecked,
    };
    if input.reads_stdin() && args.format != Format::Ndjson {
        return Err(usage("standard input is read only with --format ndjson"));
    }
    let needs_last = Schedule::needs_last(args.from_time, args.pace());
    if needs_last && input.reads_stdin() {
        return Err(usage(
            "--from-time now on standard input needs --rate or --speed: its last event time is not known",
        ));
    }
    let events_max = args.events.unwrap_or(u64::MAX);
    // Opened before Kafka is asked for anything, so that a wrong name is told at once.
    let read = BytesRead::default();
    let events = input.open(&read)?;
    let topics = Topics::new(context, args.topic.as_deref());
    let kafka = outlet::kafka(context).await?;
    let kafka_config = kafka.config.clone();
    let waiter = Waiter::new(context.shutdown()?);
    let progress = Shown::new(context, args.events, &input, read);
    let started = Instant::now();
    let (json, from_time, pace) = (context.json, args.from_time, args.pace());
    let sent = tokio::task::spawn_blocking(move || {
        let outlet = KafkaOutlet::open(&kafka_config)?;
        let last_us = if needs_last {
            latest(input.open(&BytesRead::default())?, events_max)
        } else {
            None
        };
        let schedule = Schedule::new(from_time, pace, time::now_us(), last_us);
        let mut run = Run {
            schedule,
            topics,
            outlet,
            waiter,
            report: Report::default(),
        };
        let sent = run.send_all(events, events_max, &progress);
        progress.progress.finish();
        // What was handed to the producer before a fault is still to be delivered and told.
        let delivered = run.outlet.finish();
        anyhow::Ok((run.report, sent, delivered))
    })
    .await?;
    kafka.shutdown();
    let (report, sent, delivered) = sent?;
    output::line(&report.render(json, started.elapsed()))?;
    delivered?;
    sent?;
    if report.faults > 0 {
        anyhow::bail!("{} lines were left out", report.faults);
    }
    Ok(Exit::Done)
}

/// The latest event time among the first `events_max`; faults are for the run itself to report.
fn latest(events: Events, events_max: u64) -> Option<i64> {
    let read = events
        .filter_map(Result::ok)
        .take(usize::try_from(events_max).unwrap_or(usize::MAX));
    read.filter_map(|record| record.event_time_us).max()
}

/// The id of the request on this line: the file's name, the line's number, and a fingerprint of the
/// line, so that files of the same name do not share ids.
fn request_id(file: &Path, line: u64, text: &[u8]) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let fingerprint = event_fingerprint(Kind::Trace, Some(&name), &String::from_utf8_lossy(text));
    format!("{name}:{line}:{:016x}", fingerprint as u64)
}

/// Progress, by bytes read where that tells how far it is, else by events sent.
struct Shown {
    progress: Progress,
    bytes_read: Option<BytesRead>,
}

impl Shown {
    fn new(context: &Context, events: Option<u64>, input: &Input, read: BytesRead) -> Self {
        let bytes = if events.is_some() {
            None
        } else {
            input.bytes()
        };
        match bytes {
            Some(bytes) => Self {
                progress: context.progress("emit", bytes, "bytes"),
                bytes_read: Some(read),
            },
            None => Self {
                progress: context.progress("emit", events.unwrap_or(0), "events"),
                bytes_read: None,
            },
        }
    }

    fn show(&self, sent: u64) {
        let done = self
            .bytes_read
            .as_ref()
            .map(|read| read.load(Ordering::Relaxed));
        self.progress.set(done.unwrap_or(sent));
    }
}

/// One run: events in, Kafka out.
struct Run {
    schedule: Schedule,
    topics: Topics,
    outlet: KafkaOutlet,
    waiter: Waiter,
    report: Report,
}

impl Run {
    /// Sends events until their end, `events_max`, or a signal.
    fn send_all(
        &mut self,
        events: Events,
        events_max: u64,
        progress: &Shown,
    ) -> anyhow::Result<()> {
        const SHOWN_EVERY: Duration = Duration::from_millis(200);
        let run = time::now_us().to_string();
        let (mut payload, mut sent, mut shown) = (Vec::new(), 0, Instant::now());
        for event in events {
            if sent == events_max {
                break;
            }
            let placed = match event {
                Ok(record) => match self.schedule.place(record.event_time_us) {
                    Ok(place) => Ok((record, place)),
                    Err(reason) => Err(format!("{}: {reason}", record.origin())),
                },
                Err(error) if error.is_line() => Err(error.to_string()),
                Err(error) => return Err(error.into()),
            };
            let (record, place) = match placed {
                Ok(placed) => placed,
                Err(reason) => {
                    self.tell_fault(&reason);
                    continue;
                }
            };
            if !self.waiter.until(place.due_us) {
                self.report.stopped = true;
                break;
            }
            record.write_json(place.event_time_us, &run, &mut payload)?;
            let topic = self.topics.of(kind(&record))?;
            self.outlet.send(topic, record.key(), &payload)?;
            self.report.count(
                topic,
                payload.len(),
                place.event_time_us.or(record.event_time_us),
            );
            sent += 1;
            if shown.elapsed() >= SHOWN_EVERY {
                shown = Instant::now();
                progress.show(sent);
            }
        }
        Ok(())
    }

    fn tell_fault(&mut self, reason: &str) {
        self.report.faults += 1;
        if self.report.faults <= FAULTS_SHOWN {
            tracing::error!("{reason}");
        }
        if self.report.faults == FAULTS_SHOWN {
            tracing::error!("further lines that cannot be used are only counted");
        }
    }
}

fn kind(record: &Record) -> Kind {
    match &record.content {
        Content::Line(line) => line.kind(),
        Content::Workload(_) => Kind::Trace,
    }
}
