//! `farol simulate`: traffic like that of a company with five applications on language models.
//!
//! ```text
//! seed, start, rate, incidents ──▶ Simulation (pure: an iterator of events by the time they are sent) ──▶ Kafka, in time, or a file
//! ```

mod after;
mod args;
mod call;
mod catalog;
mod demo;
mod dice;
mod documents;
mod event;
mod guard;
mod incident;
mod people;
mod rhythm;
mod scene;
mod simulation;
mod text;
mod trial;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use args::Destination;
pub use args::SimulateArgs;
pub use demo::demo;
pub use incident::IncidentKind;
use incident::Incidents;
use simulation::{Limit, Simulated, Simulation};
use tokio_util::sync::CancellationToken;
pub use trial::Trial;

use crate::{
    context::Context,
    emit::{
        outlet::{self, KafkaOutlet, Topics},
        report::Report,
        time::now_us,
        wait::Waiter,
    },
    exit::{Exit, usage},
    output,
    progress::Progress,
};

/// Makes traffic and sends it where the arguments say.
///
/// # Errors
/// Arguments that make no sense together, a file that cannot be written, and events that Kafka did
/// not acknowledge.
pub async fn run(context: &Context, args: SimulateArgs) -> anyhow::Result<Exit> {
    let destination = args.destination().map_err(usage)?;
    let start_us = args.start_us(&destination, now_us());
    let limit = args.limit(&destination, start_us).map_err(usage)?;
    let incidents = Incidents::once(start_us, args.incident.clone());
    let simulation = Simulation::new(args.seed, start_us, args.rate)
        .incidents(incidents)
        .limit(limit);
    let progress = context.progress("simulate", args.events.unwrap_or(0), "events");
    let shutdown = context.shutdown()?;
    let (json, started) = (context.json, Instant::now());
    let report = match destination {
        Destination::Kafka => {
            let report = to_kafka(context, simulation, shutdown, progress).await?;
            output::line(&report.render(json, started.elapsed()))?;
            report
        }
        Destination::Ndjson(file) => {
            let written = tokio::task::spawn_blocking({
                let file = file.clone();
                move || {
                    to_file(&file, simulation, &shutdown, &progress)
                        .map(|report| (report, progress))
                }
            });
            let (report, progress) = written
                .await?
                .with_context(|| format!("{}", file.display()))?;
            progress.finish();
            // Standard output holds the events.
            let line = report.render(json, started.elapsed());
            if file == Path::new("-") {
                eprintln!("{line}");
            } else {
                output::line(&line)?;
            }
            report
        }
    };
    if report.stopped && limit != Limit::None {
        anyhow::bail!("stopped before the end");
    }
    Ok(Exit::Done)
}

/// How often progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(200);

async fn to_kafka(
    context: &Context,
    simulation: Simulation,
    shutdown: CancellationToken,
    progress: Progress,
) -> anyhow::Result<Report> {
    let topics = Topics::new(context, None);
    let kafka = outlet::kafka(context).await?;
    let kafka_config = kafka.config.clone();
    let waiter = Waiter::new(shutdown);
    let sent = tokio::task::spawn_blocking(move || {
        let outlet = KafkaOutlet::open(&kafka_config)?;
        let mut report = Report::default();
        let mut shown = Instant::now();
        let sent = send_all(simulation, &waiter, &topics, &outlet, |topic, event| {
            report.count(topic, event.json.len(), Some(event.event_time_us));
            if shown.elapsed() >= SHOWN_EVERY {
                shown = Instant::now();
                progress.set(report.total());
            }
        });
        progress.finish();
        let delivered = outlet.finish();
        report.stopped = !sent?;
        delivered?;
        anyhow::Ok(report)
    })
    .await?;
    kafka.shutdown();
    sent
}

/// Sends each event in its time. `false`: a signal came before the end.
fn send_all(
    simulation: Simulation,
    waiter: &Waiter,
    topics: &Topics,
    outlet: &KafkaOutlet,
    mut tell: impl FnMut(&str, &Simulated),
) -> anyhow::Result<bool> {
    for event in simulation {
        if !waiter.until(Some(event.send_us)) {
            return Ok(false);
        }
        let topic = topics.of(event.kind)?;
        outlet.send(topic, Some(&event.key), &event.json)?;
        tell(topic, &event);
    }
    Ok(true)
}

fn to_file(
    file: &Path,
    simulation: Simulation,
    shutdown: &CancellationToken,
    progress: &Progress,
) -> io::Result<Report> {
    let output: Box<dyn Write> = if file == Path::new("-") {
        Box::new(io::stdout())
    } else {
        Box::new(File::create(file)?)
    };
    let mut output = BufWriter::with_capacity(256 << 10, output);
    let mut report = Report::default();
    let mut shown = Instant::now();
    for event in simulation {
        if shutdown.is_cancelled() {
            report.stopped = true;
            break;
        }
        output.write_all(&event.json)?;
        output.write_all(b"\n")?;
        report.count(
            event.kind.table(),
            event.json.len() + 1,
            Some(event.event_time_us),
        );
        if shown.elapsed() >= SHOWN_EVERY {
            shown = Instant::now();
            progress.set(report.total());
        }
    }
    output.flush()?;
    Ok(report)
}
