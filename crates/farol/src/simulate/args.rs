//! Arguments of `farol simulate`, and what follows from them.

use std::{path::PathBuf, str::FromStr as _};

use super::{
    incident::{Incident, IncidentKind},
    simulation::Limit,
};
use crate::{
    config::Span,
    emit::{positive, time::parse_rfc3339},
};

/// When a simulation that is written to a file starts unless told otherwise: the day's rate is at its mean.
const FILE_START: &str = "2025-01-06T09:00:00Z";

/// Arguments of `farol simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub struct SimulateArgs {
    /// The same seed makes the same traffic
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Events a second, on the mean of a day
    #[arg(long, value_name = "N", default_value_t = 20.0, value_parser = positive)]
    pub rate: f64,
    /// Stop after so much of the events' time, such as 10m
    #[arg(long, value_name = "DURATION", conflicts_with = "events")]
    pub duration: Option<Span>,
    /// Stop after exactly so many events, all kinds together
    #[arg(long, value_name = "N")]
    pub events: Option<u64>,
    /// When the first event happens [default: now; for a file 2025-01-06T09:00:00Z]
    #[arg(long, value_name = "TIME", value_parser = parse_rfc3339)]
    pub start: Option<i64>,
    /// Something goes wrong, so long after the start and for so long; may be repeated [kinds: below]
    #[arg(long, value_name = "KIND@OFFSET+LENGTH[:service=S]", value_parser = Incident::from_str)]
    pub incident: Vec<Incident>,
    /// Where to: kafka, or ndjson FILE
    #[arg(long, num_args = 1..=2, value_names = ["kafka|ndjson", "FILE"], default_value = "kafka")]
    pub to: Vec<String>,
}

/// What the end of the command's help says.
fn after_help() -> String {
    let kinds = IncidentKind::ALL.map(|(_, name, effect)| format!("  {name:<18} {effect}"));
    let kinds = kinds.join("\n");
    format!("{NOTES}\n\n{INCIDENTS}\n{kinds}")
}

const NOTES: &str = "Examples:\n  \
    farol simulate --rate 50                                        live traffic until stopped\n  \
    farol simulate --seed 7 --events 100000 --to ndjson a.ndjson    the same file every time\n  \
    farol simulate --start 2026-01-01T00:00:00Z --duration 1d       a day of the past, as fast as it goes\n  \
    farol simulate --duration 1h --incident latency_spike@20m+5m --incident error_burst@40m+5m:service=code-helper\n\n\
    Events whose time is past are sent as fast as Kafka takes them, the others when their time comes: with --start\n\
    two hours ago, two hours of history come first and then live traffic. A file never waits; `-` is standard output.\n\
    The same seed and arguments make the same events, byte for byte (without --start, Kafka's begin now).\n\
    --rate is the mean of a day; it swings by half of it, highest at 15:00 UTC, at its mean at 9:00 and 21:00.\n\
    No trace is cut at the end: every span that another refers to is there.";

const INCIDENTS: &str = "An incident hits the requests that come in its time, of one service or of all; everything else stays the same\n\
    as without it. Services: support-assistant, code-helper, travel-agent, doc-search, invoice-extractor. An outage is\n\
    openai's unless told otherwise: provider_outage@30m+5m:provider=anthropic. Kinds:";

/// Where the events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The configured topics.
    Kafka,
    /// One JSON object a line; `-` is standard output.
    Ndjson(PathBuf),
}

impl SimulateArgs {
    /// Reads `--to`. The error is for the user.
    pub fn destination(&self) -> Result<Destination, String> {
        match self.to.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["kafka"] => Ok(Destination::Kafka),
            ["ndjson", file] => Ok(Destination::Ndjson(file.into())),
            ["ndjson"] => Err("--to ndjson needs a file: --to ndjson FILE".to_owned()),
            ref other => Err(format!(
                "--to is '{}', expected kafka or ndjson FILE",
                other.join(" ")
            )),
        }
    }

    /// When the first event happens.
    pub fn start_us(&self, destination: &Destination, now_us: i64) -> i64 {
        match (self.start, destination) {
            (Some(start_us), _) => start_us,
            (None, Destination::Kafka) => now_us,
            (None, Destination::Ndjson(_)) => parse_rfc3339(FILE_START).unwrap_or(now_us),
        }
    }

    /// When it ends. The error is for the user.
    pub fn limit(&self, destination: &Destination, start_us: i64) -> Result<Limit, String> {
        match (self.events, self.duration) {
            (Some(events), _) => Ok(Limit::Events(events)),
            (None, Some(Span(duration))) => {
                let duration_us = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
                Ok(Limit::Until(start_us.saturating_add(duration_us)))
            }
            (None, None) if *destination == Destination::Kafka => Ok(Limit::None),
            (None, None) => {
                Err("--to ndjson never ends by itself: give --events or --duration".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::catalog::SERVICES;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn parse(arguments: &[&str]) -> SimulateArgs {
        <Command as clap::Parser>::try_parse_from([&["simulate"], arguments].concat())
            .expect("good arguments")
            .args
    }

    #[test]
    fn where_to() {
        assert_eq!(parse(&[]).destination(), Ok(Destination::Kafka));
        assert_eq!(
            parse(&["--to", "ndjson", "a"]).destination(),
            Ok(Destination::Ndjson("a".into()))
        );
        assert!(parse(&["--to", "ndjson"]).destination().is_err());
        assert!(parse(&["--to", "csv", "a"]).destination().is_err());
    }

    #[test]
    fn help_names_every_service_and_kind() {
        let help = after_help();
        for (service, _) in &SERVICES {
            assert!(help.contains(service.name), "{}", service.name);
        }
        for (kind, name, effect) in IncidentKind::ALL {
            assert!(help.contains(name) && help.contains(effect), "{name}");
            assert_eq!(kind.name(), name);
        }
    }

    #[test]
    fn incidents_are_told_several_at_a_time() {
        let args = parse(&[
            "--incident",
            "latency_spike@20m+5m",
            "--incident",
            "error_burst@0s+1h:service=code-helper",
        ]);
        assert_eq!(args.incident.len(), 2);
        assert_eq!(args.incident[1].service, Some("code-helper"));
    }

    #[test]
    fn a_file_starts_on_a_fixed_day_and_must_end() {
        let file = Destination::Ndjson("a".into());
        assert_eq!(parse(&[]).start_us(&Destination::Kafka, 5), 5);
        assert_eq!(parse(&[]).start_us(&file, 5), 1_736_154_000_000_000);
        assert!(parse(&[]).limit(&file, 0).is_err());
        assert_eq!(
            parse(&["--events", "9"]).limit(&file, 0),
            Ok(Limit::Events(9))
        );
        assert_eq!(
            parse(&["--duration", "1s"]).limit(&file, 5),
            Ok(Limit::Until(1_000_005))
        );
    }
}
