//! Each incident shows in the requests that it hits, and nowhere else.

use std::{collections::BTreeSet, sync::LazyLock};

use farol_events::Kind;
use serde_json::Value;

use super::*;
use crate::simulate::simulation::{Limit, Simulated, Simulation};

/// 2025-01-06T09:00:00Z, when the day's rate is at its mean.
const START_US: i64 = 1_736_154_000_000_000;
const MINUTE_US: i64 = 60_000_000;
/// When the incidents of these tests happen, by minutes since the start.
const FROM_MINUTE: i64 = 20;
const LENGTH_MINUTES: i64 = 10;

/// An event, its JSON and what it belongs to.
struct Told {
    event: Simulated,
    json: Value,
}

impl Told {
    fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }

    fn is_chat(&self) -> bool {
        self.text("operation") == "chat"
    }
}

fn simulate(incident: Option<&str>) -> Vec<Told> {
    let list = incident.map(|text| text.parse().expect("a good incident"));
    Simulation::new(7, START_US, 25.0)
        .incidents(Incidents::once(START_US, list.into_iter().collect()))
        .limit(Limit::Until(START_US + 50 * MINUTE_US))
        .map(|event| Told {
            json: serde_json::from_slice(&event.json).expect("JSON"),
            event,
        })
        .collect()
}

/// The traces of requests that came in the incident's time to the service.
fn hit(events: &[Told], service: Option<&str>) -> BTreeSet<String> {
    let time = START_US + FROM_MINUTE * MINUTE_US;
    let window = time..time + LENGTH_MINUTES * MINUTE_US;
    let begin_us = |told: &Told| {
        let start = crate::emit::time::parse_rfc3339(told.text("start_time"));
        start.expect("a time")
    };
    events
        .iter()
        .filter(|told| told.event.kind == Kind::Trace && told.json["parent_span_id"].is_null())
        .filter(|told| window.contains(&begin_us(told)))
        .filter(|told| service.is_none_or(|service| told.text("service") == service))
        .map(|told| told.event.key.clone())
        .collect()
}

/// The same simulation without and with an incident. Nothing but what was hit may differ.
struct Both {
    without: &'static [Told],
    with: Vec<Told>,
    hit: BTreeSet<String>,
}

static CALM: LazyLock<Vec<Told>> = LazyLock::new(|| simulate(None));

fn both(kind: &str, options: &str) -> Both {
    let service = options.strip_prefix(":service=");
    let incident = format!("{kind}@{FROM_MINUTE}m+{LENGTH_MINUTES}m{options}");
    let (without, with) = (&**CALM, simulate(Some(&incident)));
    let hit = hit(without, service);
    assert!(hit.len() > 50, "{} requests", hit.len());
    let other_service = |told: &Told| service.is_some_and(|hit| told.text("service") != hit);
    // Providers' reports before the incident's quarter of an hour, and those of other services.
    let reported_before_us = START_US + 15 * MINUTE_US;
    let untouched = |events: &[Told]| -> Vec<Simulated> {
        events
            .iter()
            .filter(|told| match told.event.kind {
                Kind::Cost => other_service(told) || told.event.event_time_us <= reported_before_us,
                _ => !hit.contains(&told.event.key),
            })
            .map(|told| told.event.clone())
            .collect()
    };
    let (before, after) = (untouched(without), untouched(&with));
    assert!(before.len() > 30_000, "{} events", before.len());
    assert!(before == after, "what was not hit changed");
    Both { without, with, hit }
}

impl Both {
    /// The hit requests' events without the incident, and with it.
    fn told(&self) -> [Vec<&Told>; 2] {
        [self.without, &self.with].map(|events| {
            events
                .iter()
                .filter(|told| self.hit.contains(&told.event.key))
                .collect()
        })
    }

    /// A mean over the hit requests' events, without the incident and with it.
    fn mean(&self, of: impl Fn(&Told) -> Option<f64>) -> [f64; 2] {
        self.told().map(|events| {
            let values: Vec<f64> = events.into_iter().filter_map(&of).collect();
            assert!(values.len() > 20, "{} values", values.len());
            values.iter().sum::<f64>() / values.len() as f64
        })
    }

    /// The share of the hit requests' chat calls for which something holds.
    fn share_of_chats(&self, holds: impl Fn(&Told) -> bool) -> [f64; 2] {
        self.mean(|told| told.is_chat().then(|| f64::from(u8::from(holds(told)))))
    }
}

#[test]
fn a_latency_spike_makes_calls_slow() {
    let both = both("latency_spike", ":service=code-helper");
    let latency = |told: &Told| {
        let fine = told.is_chat() && told.text("status") == "ok";
        fine.then(|| told.json["latency_ms"].as_f64()).flatten()
    };
    let [without, with] = both.mean(latency);
    assert!(with > 3.0 * without, "{without} ms, then {with} ms");
    let [without, with] = both.share_of_chats(|told| told.text("status") == "timeout");
    assert!(with > without, "{without} time out, then {with}");
    // What takes longer than calls are given time out.
    let slowest = both.with.iter().filter_map(latency).fold(0.0, f64::max);
    assert!(slowest < 45_000.0, "{slowest} ms");
}

#[test]
fn an_error_burst_makes_calls_fail() {
    let both = both("error_burst", ":service=support-assistant");
    let failed = |told: &Told| matches!(told.text("status"), "error" | "rate_limited");
    let [without, with] = both.share_of_chats(failed);
    assert!(without < 0.06 && with > 0.35, "{without}, then {with}");
}

#[test]
fn a_cost_surge_makes_calls_expensive() {
    let both = both("cost_surge", ":service=travel-agent");
    let cost = |told: &Told| told.text("cost").parse().ok();
    let [without, with] = both.mean(cost);
    assert!(with > 3.0 * without, "{without} dollars, then {with}");
    // The providers' reports say so too.
    let reported = |events: &[Told]| -> f64 {
        let of =
            |told: &&Told| told.event.kind == Kind::Cost && told.text("service") == "travel-agent";
        let amount = |told: &Told| told.text("amount").parse::<f64>().expect("a decimal");
        events.iter().filter(of).map(amount).sum()
    };
    assert!(reported(&both.with) > 1.5 * reported(both.without));
}

#[test]
fn a_quality_drop_comes_with_a_new_prompt_version() {
    let both = both("quality_drop", ":service=support-assistant");
    let [old, new] = both.told().map(|events| -> BTreeSet<(String, String)> {
        let prompts = events.iter().filter(|told| told.is_chat());
        prompts
            .map(|told| {
                (
                    told.text("prompt_id").to_owned(),
                    told.text("prompt_version").to_owned(),
                )
            })
            .collect()
    });
    assert!(
        old.is_disjoint(&new) && new.len() == 2,
        "{old:?}, then {new:?}"
    );
    let thumbs = |told: &Told| (told.text("kind") == "thumbs").then(|| told.json["value"].as_f64());
    let [without, with] = both.mean(|told| thumbs(told).flatten());
    assert!(without > 0.3 && with < 0.0, "thumbs {without}, then {with}");
    let relevance =
        |told: &Told| (told.text("name") == "relevance").then(|| told.json["score"].as_f64());
    let [without, with] = both.mean(|told| relevance(told).flatten());
    assert!(with < without - 0.15, "relevance {without}, then {with}");
}

#[test]
fn an_outage_hits_one_provider() {
    let both = both("provider_outage", "");
    let [without, with] = both.told().map(|events| {
        let called = |told: &Told| {
            let cached = matches!(told.text("cache"), "exact" | "semantic");
            told.text("provider") == "openai" && !cached
        };
        let count = |fine: bool| {
            let is = |told: &&&Told| called(told) && (told.text("status") == "ok") == fine;
            events.iter().filter(is).count()
        };
        (count(true), count(false))
    });
    assert!(without.0 > 10 * without.1, "{without:?}");
    assert!(with.0 == 0 && with.1 > 100, "{with:?}");
    let [without, with] = both.share_of_chats(|told| !told.json["fallback_from"].is_null());
    assert!(with > 3.0 * without, "fallbacks: {without}, then {with}");
    let anthropic =
        |told: &&Told| told.text("provider") == "anthropic" && told.text("status") == "ok";
    let [_, with] = both
        .told()
        .map(|events| events.into_iter().filter(anthropic).count());
    assert!(with > 50, "{with} calls of another provider");
}

#[test]
fn a_loss_of_traffic_leaves_nothing() {
    let both = both("traffic_loss", ":service=invoice-extractor");
    let [without, with] = both.told();
    assert!(
        without.len() > 100 && with.is_empty(),
        "{} events",
        with.len()
    );
}

#[test]
fn an_injection_wave_is_mostly_blocked() {
    let both = both("injection_wave", ":service=code-helper");
    let [without, with] = both.share_of_chats(|told| told.text("status") == "blocked");
    assert!(
        without < 0.03 && (0.3..0.5).contains(&with),
        "{without}, then {with}"
    );
    let leaks = |told: &Told| told.text("output").starts_with("My instructions are");
    let [without, with] = both.share_of_chats(leaks);
    assert!(
        without == 0.0 && (0.03..0.2).contains(&with),
        "{with} get through"
    );
}

#[test]
fn a_burst_of_timeouts_leaves_calls_without_an_answer() {
    let both = both("timeout_burst", ":service=code-helper");
    let [without, with] = both.share_of_chats(|told| told.text("status") == "timeout");
    assert!(
        without < 0.03 && (0.2..0.5).contains(&with),
        "{without}, then {with}"
    );
}

#[test]
fn a_surge_of_fallbacks_is_answered_by_other_models() {
    let both = both("fallback_surge", ":service=support-assistant");
    let taken_over = |told: &Told| !told.json["fallback_from"].is_null();
    let [without, with] = both.share_of_chats(taken_over);
    assert!(
        without < 0.03 && (0.3..0.6).contains(&with),
        "{without}, then {with}"
    );
    let [_, with] = both.share_of_chats(|told| taken_over(told) && told.text("status") != "ok");
    assert!(with == 0.0, "{with} of the calls fell back and failed");
}

#[test]
fn a_collapse_of_caches_leaves_no_hit() {
    let both = both("cache_collapse", ":service=support-assistant");
    let hits = |told: &Told| matches!(told.text("cache"), "exact" | "semantic");
    let [without, with] = both.share_of_chats(hits);
    assert!(without > 0.03 && with == 0.0, "{without}, then {with}");
    let read = |told: &Told| told.json["cache_read_tokens"].as_f64();
    let [without, with] = both.mean(read);
    assert!(
        without > 0.0 && with == 0.0,
        "{without} tokens, then {with}"
    );
}

#[test]
fn a_surge_of_blocks_is_no_attack() {
    let both = both("guardrail_surge", ":service=code-helper");
    let by = |told: &Told, guardrail: &str| {
        told.text("status") == "blocked" && told.json["guardrails"][0]["name"] == guardrail
    };
    let [without, with] = both.share_of_chats(|told| by(told, "content_policy"));
    assert!(
        without == 0.0 && (0.2..0.5).contains(&with),
        "{without}, then {with}"
    );
    let [_, with] = both.share_of_chats(|told| by(told, "prompt_injection"));
    assert!(with < 0.03, "{with} taken for attacks");
}

#[test]
fn personal_data_leaks_and_is_mostly_redacted() {
    let both = both("pii_leak", ":service=code-helper");
    let found = |told: &Told, action: &str| {
        let verdicts = told.json["guardrails"].as_array();
        verdicts.is_some_and(|verdicts| {
            let is = |verdict: &Value| verdict["name"] == "pii" && verdict["action"] == action;
            verdicts.iter().any(is)
        })
    };
    let [without, with] = both.share_of_chats(|told| found(told, "redact"));
    assert!(
        without < 0.06 && (0.15..0.45).contains(&with),
        "{without}, then {with}"
    );
    let [without, with] = both.share_of_chats(|told| told.text("output").contains("jane.doe@"));
    assert!(
        without == 0.0 && (0.01..0.2).contains(&with),
        "{without}, then {with}"
    );
}

#[test]
fn a_failure_of_retrieval_finds_nothing() {
    let both = both("retrieval_failure", ":service=doc-search");
    let empty = |told: &Told| {
        (told.text("operation") == "retrieval")
            .then(|| f64::from(u8::from(told.json["retrieved"].is_null())))
    };
    let [without, with] = both.mean(empty);
    assert!(
        without == 0.0 && (0.6..0.95).contains(&with),
        "{without}, then {with}"
    );
}

#[test]
fn the_same_seed_gives_the_same_incident() {
    let run = || simulate(Some("injection_wave@1m+5m"));
    let events = run().into_iter().map(|told| told.event);
    assert!(events.eq(run().into_iter().map(|told| told.event)));
}

#[test]
fn incidents_add_up_and_those_of_others_do_not_matter() {
    let incidents = Incidents::once(
        100,
        [
            "latency_spike@1s+2s",
            "error_burst@2s+2s:service=doc-search",
            "provider_outage@2s+1s:provider=google",
        ]
        .map(|text| text.parse().expect("good incidents"))
        .into(),
    );
    let at = |seconds: i64, service| incidents.at(100 + seconds * 1_000_000, service);
    assert_eq!(at(0, "doc-search"), Effects::NONE);
    assert_eq!(incidents.at(i64::MIN, "doc-search"), Effects::NONE);
    assert_eq!(
        at(2, "doc-search"),
        Effects {
            latency: 6.0,
            errors: 0.5,
            outage: Some("google"),
            ..Effects::NONE
        }
    );
    assert_eq!(
        at(2, "code-helper"),
        Effects {
            latency: 6.0,
            outage: Some("google"),
            ..Effects::NONE
        }
    );
    assert_eq!(at(4, "doc-search"), Effects::NONE);
}

#[test]
fn what_cannot_be_read_says_what_was_expected() {
    for (text, expected) in [
        ("latency_spike", "KIND@OFFSET+LENGTH"),
        ("latency@1m+1m", "latency_spike, error_burst"),
        ("latency_spike@1m", "OFFSET+LENGTH"),
        ("latency_spike@1m+0s", "longer than nothing"),
        ("latency_spike@x+1m", "not a duration"),
        (
            "latency_spike@1m+1m:service=nobody",
            "support-assistant, code-helper",
        ),
        ("latency_spike@1m+1m:team=a", "service=NAME"),
        (
            "latency_spike@1m+1m:provider=openai",
            "only provider_outage",
        ),
        (
            "provider_outage@1m+1m:provider=nobody",
            "anthropic, google, mistral, openai",
        ),
    ] {
        let error = text.parse::<Incident>().expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}
