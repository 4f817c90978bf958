//! One incident in calm traffic, to try a rule on: when it begins, what it hits, and the history that it is part of.
//!
//! ```text
//! kind, seed ──▶ Trial ──▶ Simulation: calm ─ incident ─ calm ──▶ Kafka
//! ```

use farol_kafka::KafkaConfig;
use tokio_util::sync::CancellationToken;

use super::{
    catalog::{SERVICES, Scenario},
    dice::Dice,
    incident::{Incident, IncidentKind, Incidents, providers},
    simulation::{Limit, Simulation},
};
use crate::context::Context;
use crate::emit::outlet::{KafkaOutlet, Topics};
use crate::emit::wait::Waiter;

const MINUTE_US: i64 = 60_000_000;

/// 2022-01-03T00:00:00Z. All trials begin on that day.
const DAY_US: i64 = 1_641_168_000_000_000;

/// How long traffic is calm before the incident, in minutes: from the first up to the second. Rules that compare with
/// the hour before need one.
const CALM_MINUTES: (u64, u64) = (150, 210);

/// One incident in calm traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Decides everything.
    pub seed: u64,
    /// When traffic begins, microseconds since 1970.
    pub start_us: i64,
    /// When the incident begins.
    pub from_us: i64,
    /// When it ends.
    pub to_us: i64,
    /// When traffic ends.
    pub end_us: i64,
    incident: Incident,
}

impl Trial {
    /// The trial of a seed: the incident lasts one to three times `lasts_us` and is followed by `calm_us`. Services, or of an
    /// outage providers, are hit in turn, those that the kind shows at.
    pub fn new(kind: IncidentKind, seed: u64, lasts_us: i64, calm_us: i64) -> Self {
        let mut dice = Dice::of([seed, kind as u64, 0, 0], 0);
        let start_us = DAY_US + dice.whole(0, 24 * 60) as i64 * MINUTE_US;
        let (least, most) = CALM_MINUTES;
        let offset_us = dice.whole(least * 60, most * 60) as i64 * 1_000_000;
        let length_us = dice.whole(1, 4) as i64 * lasts_us;
        let mut incident = Incident {
            offset_us,
            length_us,
            ..Incident::of(kind)
        };
        let in_turn = |count: usize| (seed % count.max(1) as u64) as usize;
        if kind == IncidentKind::ProviderOutage {
            let providers = providers();
            incident.provider = providers[in_turn(providers.len())];
        } else {
            let services = services(kind);
            incident.service = services.get(in_turn(services.len())).copied();
        }
        let from_us = start_us + offset_us;
        let to_us = from_us + length_us;
        Self {
            seed,
            start_us,
            from_us,
            to_us,
            end_us: to_us + calm_us,
            incident,
        }
    }

    /// Whether an alert of a segment can be about what is hit: it names that service or provider, or none.
    pub fn is_about(&self, segment: &serde_json::Value) -> bool {
        let is = |name: &str, hit: &str| segment[name].as_str().is_none_or(|of| of == hit);
        match self.incident.service {
            Some(service) => is("service", service),
            None => is("provider", self.incident.provider),
        }
    }

    /// Sends the whole history to the topics of the configuration. `false`: told to end before.
    ///
    /// # Errors
    /// A topic that is missing, and events that Kafka did not acknowledge.
    pub async fn send(
        &self,
        context: &Context,
        kafka: KafkaConfig,
        rate: f64,
        shutdown: CancellationToken,
    ) -> anyhow::Result<bool> {
        let topics = Topics::new(context, None);
        let incidents = Incidents::once(self.start_us, vec![self.incident]);
        let simulation = Simulation::new(self.seed, self.start_us, rate)
            .incidents(incidents)
            .limit(Limit::Until(self.end_us));
        let waiter = Waiter::new(shutdown);
        tokio::task::spawn_blocking(move || {
            let outlet = KafkaOutlet::open(&kafka)?;
            let sent = super::send_all(simulation, &waiter, &topics, &outlet, |_, _| {});
            let delivered = outlet.finish();
            let sent = sent?;
            delivered?;
            Ok(sent)
        })
        .await?
    }
}

/// The services at which a kind of incident shows.
fn services(kind: IncidentKind) -> Vec<&'static str> {
    let shows = |scenario: Scenario| match kind {
        IncidentKind::LatencySpike
        | IncidentKind::CostSurge
        | IncidentKind::TrafficLoss
        | IncidentKind::ProviderOutage => true,
        IncidentKind::RetrievalFailure => matches!(scenario, Scenario::Answer | Scenario::Search),
        // Nobody rates or judges what is extracted.
        IncidentKind::QualityDrop => scenario != Scenario::Extract,
        // A search calls no chat model.
        IncidentKind::ErrorBurst
        | IncidentKind::InjectionWave
        | IncidentKind::TimeoutBurst
        | IncidentKind::FallbackSurge
        | IncidentKind::CacheCollapse
        | IncidentKind::GuardrailSurge
        | IncidentKind::PiiLeak => scenario != Scenario::Search,
    };
    SERVICES
        .iter()
        .filter(|(service, _)| shows(service.scenario))
        .map(|(service, _)| service.name)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    const HOUR_US: i64 = 60 * MINUTE_US;

    #[test]
    fn every_kind_has_something_to_hit_in_turn() {
        for (kind, name, _) in IncidentKind::ALL {
            let trials: Vec<_> = (0..20)
                .map(|seed| Trial::new(kind, seed, HOUR_US, HOUR_US))
                .collect();
            let hit: BTreeSet<_> = trials
                .iter()
                .map(|trial| trial.incident.service.unwrap_or(trial.incident.provider))
                .collect();
            assert!(hit.len() >= 2, "{name}: {hit:?}");
            for trial in trials {
                let lasts = (trial.to_us - trial.from_us) / HOUR_US;
                assert!((1..=3).contains(&lasts), "{name}: {lasts} h");
                assert!(trial.from_us - trial.start_us >= 2 * HOUR_US);
                assert_eq!(trial.end_us, trial.to_us + HOUR_US);
            }
        }
    }

    #[test]
    fn a_seed_is_a_trial() {
        let trial = |seed| Trial::new(IncidentKind::ErrorBurst, seed, HOUR_US, 0);
        assert_eq!(trial(3), trial(3));
        assert_ne!(trial(3).start_us, trial(4).start_us);
    }

    #[test]
    fn an_alert_is_about_what_is_hit_or_about_more() {
        let burst = Trial::new(IncidentKind::ErrorBurst, 0, HOUR_US, 0);
        let service = burst.incident.service.expect("a service");
        assert!(burst.is_about(&json!({"service": service, "model": "m"})));
        assert!(burst.is_about(&json!({"provider": "openai"})));
        assert!(!burst.is_about(&json!({"service": "another"})));
        let outage = Trial::new(IncidentKind::ProviderOutage, 0, HOUR_US, 0);
        assert!(outage.is_about(&json!({"service": "any"})));
        assert!(!outage.is_about(&json!({"provider": "another"})));
    }
}
