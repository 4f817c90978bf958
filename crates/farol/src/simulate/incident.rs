//! What goes wrong in simulated traffic, and when.
//!
//! An [`Incident`] is of one kind, lasts from one time to another and hits one service or all of
//! them. [`Incidents::at`] tells what that means for a request that comes at a time; the request is
//! then played with these [`Effects`]. No chance is involved here.

use std::str::FromStr;

use super::catalog::{MODELS, SERVICES};
use crate::config::Span;

#[cfg(test)]
mod tests;

/// The provider whose outage it is unless told otherwise.
const PROVIDER: &str = "openai";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncidentKind {
    LatencySpike,
    ErrorBurst,
    CostSurge,
    QualityDrop,
    ProviderOutage,
    TrafficLoss,
    InjectionWave,
    TimeoutBurst,
    FallbackSurge,
    CacheCollapse,
    GuardrailSurge,
    PiiLeak,
    RetrievalFailure,
}

impl IncidentKind {
    /// Every kind, with its name and what it does.
    pub const ALL: [(Self, &'static str, &'static str); 13] = [
        (
            Self::LatencySpike,
            "latency_spike",
            "models take six times as long; what would take over 30 s times out",
        ),
        (
            Self::ErrorBurst,
            "error_burst",
            "half of the model calls fail with server errors and rate limits",
        ),
        (
            Self::CostSurge,
            "cost_surge",
            "prompts carry twelve times the context, and cost accordingly",
        ),
        (
            Self::QualityDrop,
            "quality_drop",
            "a new prompt version is deployed, and most of its answers are bad",
        ),
        (
            Self::ProviderOutage,
            "provider_outage",
            "a provider answers 503; another one's model takes over for some of the calls",
        ),
        (Self::TrafficLoss, "traffic_loss", "no requests arrive"),
        (
            Self::InjectionWave,
            "injection_wave",
            "half of the requests are prompt injections; most are blocked, some get through",
        ),
        (
            Self::TimeoutBurst,
            "timeout_burst",
            "a third of the model calls have no answer within 30 s",
        ),
        (
            Self::FallbackSurge,
            "fallback_surge",
            "half of the model calls are taken over by another model, and succeed",
        ),
        (
            Self::CacheCollapse,
            "cache_collapse",
            "no cache serves anything: neither the application's nor the providers'",
        ),
        (
            Self::GuardrailSurge,
            "guardrail_surge",
            "a guardrail on content blocks a third of the ordinary model calls",
        ),
        (
            Self::PiiLeak,
            "pii_leak",
            "a third of the answers hold personal data; a guardrail takes most of it out",
        ),
        (
            Self::RetrievalFailure,
            "retrieval_failure",
            "most queries for documents find none, and answers are poor",
        ),
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    fn add_to(self, effects: &mut Effects, provider: &'static str) {
        match self {
            Self::LatencySpike => effects.latency = 6.0,
            Self::ErrorBurst => effects.errors = 0.5,
            Self::CostSurge => effects.context = 12.0,
            Self::QualityDrop => {
                effects.new_prompt = true;
                effects.quality = 0.35;
            }
            Self::ProviderOutage => effects.outage = Some(provider),
            Self::TrafficLoss => effects.lost = true,
            Self::InjectionWave => effects.attacks = 0.5,
            Self::TimeoutBurst => effects.timeouts = 1.0 / 3.0,
            Self::FallbackSurge => effects.fallbacks = 0.5,
            Self::CacheCollapse => effects.uncached = true,
            Self::GuardrailSurge => effects.blocks = 1.0 / 3.0,
            Self::PiiLeak => effects.personal_data = 1.0 / 3.0,
            Self::RetrievalFailure => effects.nothing_found = 0.8,
        }
    }
}

/// Reads the name of a kind. The error is for the user.
impl FromStr for IncidentKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, known, _)| *known == name);
        let (kind, ..) = found.ok_or_else(|| {
            let known = Self::ALL.map(|(_, known, _)| known);
            format!(
                "`{name}` is no kind of incident: expected {}",
                known.join(", ")
            )
        })?;
        Ok(*kind)
    }
}

/// What incidents do to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effects {
    /// Models take so many times as long.
    pub latency: f64,
    /// The share of model calls that fail, beside those that fail anyway.
    pub errors: f64,
    /// Prompts carry so many times the context.
    pub context: f64,
    /// The share of answers that are as good as they would be.
    pub quality: f64,
    /// Whether the prompt's next version is in use.
    pub new_prompt: bool,
    /// The provider that is away.
    pub outage: Option<&'static str>,
    /// Whether the request does not arrive.
    pub lost: bool,
    /// The share of requests that are attacks.
    pub attacks: f64,
    /// The share of model calls that time out, beside those that do anyway.
    pub timeouts: f64,
    /// The share of model calls that another model takes over, beside those that it does anyway.
    pub fallbacks: f64,
    /// Whether no cache serves anything.
    pub uncached: bool,
    /// The share of ordinary model calls that a guardrail blocks.
    pub blocks: f64,
    /// The share of answers that hold personal data.
    pub personal_data: f64,
    /// The share of queries for documents that find none.
    pub nothing_found: f64,
}

impl Effects {
    /// Everything is as usual.
    pub const NONE: Self = Self {
        latency: 1.0,
        errors: 0.0,
        context: 1.0,
        quality: 1.0,
        new_prompt: false,
        outage: None,
        lost: false,
        attacks: 0.0,
        timeouts: 0.0,
        fallbacks: 0.0,
        uncached: false,
        blocks: 0.0,
        personal_data: 0.0,
        nothing_found: 0.0,
    };
}

/// An incident, by times since the start of the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incident {
    pub kind: IncidentKind,
    pub offset_us: i64,
    pub length_us: i64,
    /// The service that it hits; `None` for all.
    pub service: Option<&'static str>,
    /// For an outage, the provider.
    pub provider: &'static str,
}

impl Incident {
    /// One that lasts no time and hits every service.
    pub fn of(kind: IncidentKind) -> Self {
        Self {
            kind,
            offset_us: 0,
            length_us: 0,
            service: None,
            provider: PROVIDER,
        }
    }

    fn lasts_at(&self, since_start_us: i64) -> bool {
        (0..self.length_us).contains(&since_start_us.saturating_sub(self.offset_us))
    }
}

/// Reads `KIND@OFFSET+LENGTH[:service=S][,provider=P]`. The error is for the user.
impl FromStr for Incident {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once('@').ok_or_else(|| {
            format!("`{text}` has no time: expected KIND@OFFSET+LENGTH, such as error_burst@30m+5m")
        })?;
        let kind: IncidentKind = name.parse()?;
        let (times, options) = rest.split_once(':').unwrap_or((rest, ""));
        let (offset, length) = times.split_once('+').ok_or_else(|| {
            format!("`{times}` has no length: expected OFFSET+LENGTH, such as 30m+5m")
        })?;
        let mut incident = Self {
            offset_us: microseconds(offset)?,
            length_us: microseconds(length)?,
            ..Self::of(kind)
        };
        if incident.length_us == 0 {
            return Err(format!("`{length}`: an incident lasts longer than nothing"));
        }
        for option in options.split(',').filter(|option| !option.is_empty()) {
            incident.option(option)?;
        }
        Ok(incident)
    }
}

impl Incident {
    fn option(&mut self, option: &str) -> Result<(), String> {
        match option.split_once('=') {
            Some(("service", name)) => {
                self.service = Some(one_of("service", name, &services())?);
            }
            Some(("provider", name)) if self.kind == IncidentKind::ProviderOutage => {
                self.provider = one_of("provider", name, &providers())?;
            }
            Some(("provider", _)) => {
                return Err(format!("`{option}`: only provider_outage takes a provider"));
            }
            _ => {
                return Err(format!(
                    "`{option}` is no option: expected service=NAME, or provider=NAME for provider_outage"
                ));
            }
        }
        Ok(())
    }
}

fn services() -> Vec<&'static str> {
    SERVICES.iter().map(|(service, _)| service.name).collect()
}

pub(super) fn providers() -> Vec<&'static str> {
    let mut providers: Vec<_> = MODELS.iter().map(|model| model.provider).collect();
    providers.sort_unstable();
    providers.dedup();
    providers
}

fn one_of(what: &str, name: &str, known: &[&'static str]) -> Result<&'static str, String> {
    let found = known.iter().find(|known| **known == name);
    found.copied().ok_or_else(|| {
        format!(
            "`{name}` is no simulated {what}: expected {}",
            known.join(", ")
        )
    })
}

fn microseconds(text: &str) -> Result<i64, String> {
    let Span(duration) = text.parse()?;
    i64::try_from(duration.as_micros()).map_err(|_| format!("`{text}` is too long"))
}

/// The incidents of a simulation.
#[derive(Clone, Debug, Default)]
pub struct Incidents {
    start_us: i64,
    list: Vec<Incident>,
    /// After so long the list begins again, from its start on; `None`: never.
    every_us: Option<i64>,
}

impl Incidents {
    /// These, once, counted from `start_us`, microseconds since 1970.
    pub fn once(start_us: i64, list: Vec<Incident>) -> Self {
        Self {
            start_us,
            list,
            every_us: None,
        }
    }

    /// These again and again, every `every_us` microseconds. None comes before `start_us`.
    pub fn repeated(start_us: i64, list: Vec<Incident>, every_us: i64) -> Self {
        Self {
            start_us,
            list,
            every_us: Some(every_us),
        }
    }

    /// Those that go on at a time.
    pub fn active(&self, time_us: i64) -> impl Iterator<Item = &Incident> {
        let since_start_us = time_us.saturating_sub(self.start_us);
        let within_us = match self.every_us {
            Some(every_us) if since_start_us >= 0 => since_start_us % every_us,
            _ => since_start_us,
        };
        self.list
            .iter()
            .filter(move |incident| incident.lasts_at(within_us))
    }

    /// What they do to a request of a service that comes at a time.
    pub fn at(&self, time_us: i64, service: &str) -> Effects {
        let mut effects = Effects::NONE;
        for incident in self.active(time_us) {
            if incident.service.is_none_or(|hit| hit == service) {
                incident.kind.add_to(&mut effects, incident.provider);
            }
        }
        effects
    }
}
