//! The traffic of `farol up --demo`: two hours of history, then live with an incident every few
//! minutes.

use std::path::Path;

use anyhow::Context as _;
use farol_kafka::KafkaConfig;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    incident::{Incident, IncidentKind, Incidents},
    send_all,
    simulation::Simulation,
};
use crate::{
    context::Context,
    emit::{
        outlet::{KafkaOutlet, Topics},
        time::now_us,
        wait::Waiter,
    },
};

/// Events a second on the mean of a day.
const RATE: f64 = 10.0;

/// History that comes first.
const HISTORY_US: i64 = 2 * 3_600 * 1_000_000;

/// Every so often an incident begins, once traffic is live.
const INCIDENT_EVERY_US: i64 = 6 * 60 * 1_000_000;

/// It lasts so long.
const INCIDENT_LENGTH_US: i64 = 150 * 1_000_000;

/// The incidents, in turn, and the service that each hits; `None` for all.
const INCIDENTS: [(IncidentKind, Option<&str>); 7] = [
    (IncidentKind::ErrorBurst, Some("code-helper")),
    (IncidentKind::QualityDrop, Some("support-assistant")),
    (IncidentKind::CostSurge, Some("travel-agent")),
    (IncidentKind::LatencySpike, Some("support-assistant")),
    (IncidentKind::ProviderOutage, None),
    (IncidentKind::InjectionWave, Some("support-assistant")),
    (IncidentKind::TrafficLoss, Some("invoice-extractor")),
];

/// How often it is noted how far the demonstration went.
const NOTED_EVERY_US: i64 = 10 * 1_000_000;

/// How far an earlier demonstration in the same directory went, so that a restart continues it
/// instead of telling the same hours twice.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    sent_until_us: i64,
}

/// Sends simulated traffic to the topics of the configuration until `shutdown`. The broker must run
/// and the topics be there.
///
/// # Errors
/// No broker, topics that are missing, and events that Kafka did not acknowledge.
pub async fn demo(context: &Context, shutdown: CancellationToken) -> anyhow::Result<()> {
    let topics = Topics::new(context, None);
    let kafka = context
        .kafka_if_running()
        .context("no broker is configured, and none runs here")?;
    let note = context.dir.join("demo.json");
    let waiter = Waiter::new(shutdown);
    tokio::task::spawn_blocking(move || send(&topics, &kafka, &waiter, &note)).await?
}

fn send(topics: &Topics, kafka: &KafkaConfig, waiter: &Waiter, note: &Path) -> anyhow::Result<()> {
    let outlet = KafkaOutlet::open(kafka)?;
    let now_us = now_us();
    let start_us = start(now_us, read_note(note));
    // Every start is another seed: events of a restart are others, not repetitions.
    let incidents = incidents(now_us);
    let simulation = Simulation::new(now_us as u64, start_us, RATE).incidents(incidents.clone());
    let mut noted_us = start_us;
    let mut going_on = None;
    let sent = send_all(simulation, waiter, topics, &outlet, |_, event| {
        let incident = incidents.active(event.send_us).next().copied();
        if incident != going_on {
            going_on = incident;
            say(incident);
        }
        if event.send_us - noted_us >= NOTED_EVERY_US {
            noted_us = event.send_us;
            write_note(note, noted_us);
        }
    });
    outlet.finish()?;
    write_note(note, noted_us);
    sent.map(drop)
}

/// The incidents of traffic that is live from `live_us` on. The first begins two minutes later.
fn incidents(live_us: i64) -> Incidents {
    let list: Vec<_> = (0..)
        .zip(INCIDENTS)
        .map(|(turn, (kind, service))| Incident {
            offset_us: turn * INCIDENT_EVERY_US + 120_000_000,
            length_us: INCIDENT_LENGTH_US,
            service,
            ..Incident::of(kind)
        })
        .collect();
    let every_us = list.len() as i64 * INCIDENT_EVERY_US;
    Incidents::repeated(live_us, list, every_us)
}

fn say(incident: Option<Incident>) {
    let Some(incident) = incident else {
        tracing::info!("the simulated incident is over");
        return;
    };
    tracing::info!(
        "simulated incident: {} of {} for {} s",
        incident.kind.name(),
        incident.service.unwrap_or("every service"),
        incident.length_us / 1_000_000
    );
}

/// Two hours ago, or where an earlier demonstration ended if that is later.
fn start(now_us: i64, noted_us: Option<i64>) -> i64 {
    let history_us = now_us - HISTORY_US;
    noted_us.map_or(history_us, |noted_us| noted_us.clamp(history_us, now_us))
}

fn read_note(file: &Path) -> Option<i64> {
    let note: Note = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    Some(note.sent_until_us)
}

fn write_note(file: &Path, sent_until_us: i64) {
    let written = serde_json::to_vec(&Note { sent_until_us })
        .map_err(std::io::Error::from)
        .and_then(|note| std::fs::write(file, note));
    if let Err(error) = written {
        // Only a restart would miss it, by telling some hours again.
        tracing::warn!("{}: {error}", file.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_calm_and_then_each_incident_has_its_turn() {
        let live_us = 1_700_000_000_000_000;
        let incidents = incidents(live_us);
        let kinds = |time_us| -> Vec<IncidentKind> {
            incidents
                .active(time_us)
                .map(|active| active.kind)
                .collect()
        };
        let minute_us = 60_000_000;
        assert!((-120..2).all(|minute| kinds(live_us + minute * minute_us).is_empty()));
        for round in 0..3 {
            for (turn, (kind, _)) in (0..).zip(INCIDENTS) {
                let begin_us = live_us + (2 + 6 * (7 * round + turn)) * minute_us;
                assert_eq!(kinds(begin_us), [kind]);
                assert_eq!(kinds(begin_us + INCIDENT_LENGTH_US - 1), [kind]);
                assert_eq!(kinds(begin_us + INCIDENT_LENGTH_US), []);
            }
        }
    }

    #[test]
    fn a_restart_continues() {
        let now_us = 10 * HISTORY_US;
        assert_eq!(start(now_us, None), now_us - HISTORY_US);
        assert_eq!(start(now_us, Some(now_us - 5)), now_us - 5);
        assert_eq!(start(now_us, Some(5)), now_us - HISTORY_US);
        assert_eq!(start(now_us, Some(now_us + 5)), now_us);
    }
}
