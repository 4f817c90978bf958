//! The layer over the lifecycle of two rules, window by window: what is said, and that it does not depend on the steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::attend::{Alerts, Terms, attend};
use super::notes::Notes;
use super::{Acknowledgement, Acknowledgements, Matchers, Said, Silence};
use crate::action::{Action, Message, alert_id};
use crate::lifecycle::{self, Fact, Machine, Range, Seen, Terms as LifecycleTerms};
use crate::rule::{Attention, Escalation, Judgement, NoData, Severity};

const MINUTE: i64 = 60_000_000;
const OUTAGE: &str = "outage";
const ERRORS: &str = "errors";

/// A lake with two rules: `outage`, and `errors`, which it mutes.
struct Simulation {
    settings: BTreeMap<String, Attention>,
    notes: Notes,
    renotify_us: Option<i64>,
    facts: BTreeMap<&'static str, BTreeMap<i64, Fact>>,
    alerts: Alerts,
    messages: Vec<Action>,
}

fn segment(rule: &str) -> Value {
    match rule {
        OUTAGE => json!({"provider": "acme"}),
        _ => json!({"provider": "acme", "service": "checkout"}),
    }
}

fn id(rule: &str) -> String {
    alert_id(rule, &segment(rule).to_string())
}

impl Simulation {
    fn new() -> Self {
        let errors = Attention {
            muted_by: vec![OUTAGE.to_owned()],
            escalate: Vec::new(),
        };
        Self {
            settings: [
                (OUTAGE.to_owned(), Attention::default()),
                (ERRORS.to_owned(), errors),
            ]
            .into(),
            notes: Notes::default(),
            renotify_us: None,
            facts: BTreeMap::new(),
            alerts: Alerts::default(),
            messages: Vec::new(),
        }
    }

    fn escalating(mut self, levels: &[(i64, Option<Severity>)]) -> Self {
        let level = |(minutes, severity): &(i64, Option<Severity>)| Escalation {
            after_us: minutes * MINUTE,
            severity: *severity,
        };
        if let Some(errors) = self.settings.get_mut(ERRORS) {
            errors.escalate = levels.iter().map(level).collect();
        }
        self
    }

    fn silence(&mut self, from: i64, to: i64) {
        let matchers = Matchers::parse(Some("err*"), &[], &[]).expect("matchers");
        let by = "ana".to_owned();
        let silence = Silence::new(
            matchers,
            from * MINUTE,
            to * MINUTE,
            "load test".to_owned(),
            by,
            0,
        );
        self.notes.silences.push(silence);
    }

    fn say(&mut self, said: Said, minute: i64) {
        let known = self.notes.acknowledgements.of(&id(ERRORS)).iter().cloned();
        let one = Acknowledgement::new(
            id(ERRORS),
            said,
            minute * MINUTE,
            String::new(),
            "bo".to_owned(),
            minute,
        );
        let all = Acknowledgements::new(known.chain([one]).collect());
        self.notes.acknowledgements = Arc::new(all);
    }

    /// What a rule decides over windows that say `!` (it fires), `.` (it does not) or `?` (not known).
    fn decide(&mut self, rule: &'static str, windows: &str) -> Vec<Action> {
        let letters: Vec<char> = windows.chars().collect();
        let terms = LifecycleTerms {
            window_us: MINUTE,
            hold_windows: 1,
            cooldown_us: 0,
            no_data: NoData::Keep,
            renotify_us: self.renotify_us,
            no_data_severity: Severity::Warning,
        };
        let range = Range {
            start_us: 0,
            horizon_us: 0,
            closed_us: letters.len() as i64 * MINUTE,
        };
        let said = self.notes.acknowledgements.interventions(&id(rule));
        let facts = self.facts.entry(rule).or_default();
        let seen = |window_us: i64| {
            let holds = match letters[(window_us / MINUTE) as usize] {
                '!' => Some(true),
                '.' => Some(false),
                _ => None,
            };
            Seen::Data(Judgement {
                holds,
                recovers: holds.map(|holds| !holds),
                severity: Severity::Warning,
            })
        };
        let decided = lifecycle::decide(&terms, &Machine::new(), facts, range, &said, seen);
        let action = |one: &lifecycle::Decided| {
            let message = Message {
                rule,
                segment: segment(rule),
                width_us: MINUTE,
                decided: one,
                evidence: json!({}),
                runbook: None,
                error: None,
                finding: None,
                count: None,
            };
            message.action()
        };
        decided.iter().map(action).collect()
    }

    /// A step over the windows of both rules.
    fn step(&mut self, outage: &str, errors: &str) -> Vec<Action> {
        let mut decided = self.decide(OUTAGE, outage);
        decided.extend(self.decide(ERRORS, errors));
        let closed = |windows: &str| Some(windows.chars().count() as i64 * MINUTE);
        let closed_us = [
            (OUTAGE.to_owned(), closed(outage)),
            (ERRORS.to_owned(), closed(errors)),
        ];
        let terms = Terms {
            settings: &self.settings,
            notes: &self.notes,
            closed_us: &closed_us.into(),
        };
        let said = attend(&self.alerts, &terms, decided);
        for action in &said {
            self.alerts.take(action);
            if action.transition.cause.is_of_lifecycle() {
                let rule = if action.rule == OUTAGE {
                    OUTAGE
                } else {
                    ERRORS
                };
                let fact = Fact {
                    transition: action.transition,
                    revision: action.revision,
                };
                let facts = self.facts.entry(rule).or_default();
                facts.insert(action.window_us, fact);
            }
        }
        self.messages.extend(said.iter().cloned());
        said
    }

    /// The messages of one rule, in order.
    fn bodies(&self, rule: &str) -> Vec<String> {
        let of = self.messages.iter().filter(|action| action.rule == rule);
        of.map(|action| action.body.clone()).collect()
    }
}

/// `rule minute:cause state severity`, with what mutes it and its revision where there are any.
fn told(said: &[Action]) -> Vec<String> {
    let line = |action: &Action| {
        let body: Value = serde_json::from_str(&action.body).expect("JSON");
        assert_eq!(body["action_id"], json!(action.action_id));
        assert_eq!(body["revision"], json!(action.revision));
        let payload = &body["payload"];
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let mut line = format!(
            "{} {}:{} {} {}",
            action.rule,
            action.window_us / MINUTE,
            text(&payload["cause"]),
            text(&payload["state"]),
            text(&body["severity"])
        );
        for (name, value) in [
            ("muted by ", &payload["muted"]["by"]),
            ("seen to by ", &payload["acknowledged"]["by"]),
            ("closed by ", &payload["resolved"]["by"]),
        ] {
            if let Some(value) = value.as_str() {
                line = format!("{line}, {name}{value}");
            }
        }
        for one in payload["consequences"].as_array().expect("a list") {
            line = format!("{line}, mutes {}", text(&one["rule"]));
        }
        if action.revision > 0 {
            line = format!("{line} ^{}", action.revision);
        }
        line
    };
    said.iter().map(line).collect()
}

#[test]
fn an_outage_mutes_what_follows_from_it_and_names_it() {
    let mut one = Simulation::new();
    assert_eq!(
        told(&one.step("..!!.", "..!!!")),
        [
            "outage 2:changed warning warning, mutes errors",
            "outage 4:changed recovered warning",
            "errors 2:changed warning warning, muted by rule",
            "errors 4:unmuted warning warning",
        ]
    );
    assert!(one.step("..!!.", "..!!!").is_empty(), "nothing new");
    // It began before its cause: it is said again, muted, and its end goes to whoever was told of it.
    let mut early = Simulation::new();
    assert_eq!(
        told(&early.step(".!!!.", "!!!..")),
        [
            "outage 1:changed warning warning, mutes errors",
            "outage 4:changed recovered warning",
            "errors 0:changed warning warning",
            "errors 1:muted warning warning, muted by rule",
            "errors 3:changed recovered warning",
        ]
    );
    // Nobody was told of it: nobody is told of its end.
    let mut within = Simulation::new();
    let said = within.step("!!!!.", ".!!..");
    assert_eq!(
        told(&said).last().map(String::as_str),
        Some("errors 3:changed recovered warning, muted by rule")
    );
}

#[test]
fn alerts_of_other_segments_are_not_muted() {
    let mut one = Simulation::new();
    let mut decided = one.decide(OUTAGE, "!");
    decided[0].segment = json!({"provider": "other"}).to_string();
    decided[0].alert_id = alert_id(OUTAGE, &decided[0].segment);
    decided.extend(one.decide(ERRORS, "!"));
    let closed_us = [
        (OUTAGE.to_owned(), Some(MINUTE)),
        (ERRORS.to_owned(), Some(MINUTE)),
    ];
    let terms = Terms {
        settings: &one.settings,
        notes: &one.notes,
        closed_us: &closed_us.into(),
    };
    let said = attend(&one.alerts, &terms, decided);
    assert_eq!(
        told(&said),
        [
            "outage 0:changed warning warning",
            "errors 0:changed warning warning"
        ]
    );
}

#[test]
fn a_silence_mutes_windows_that_end_within_it_and_its_end_tells() {
    let mut one = Simulation::new();
    one.silence(2, 5);
    assert_eq!(
        told(&one.step("......", "!!!!!!")),
        [
            "errors 0:changed warning warning",
            "errors 1:muted warning warning, muted by silence",
            "errors 4:unmuted warning warning",
        ]
    );
    // Ended early, while what it muted still fires.
    let mut ended = Simulation::new();
    ended.silence(0, 100);
    assert_eq!(
        told(&ended.step("....", "!!!!")),
        ["errors 0:changed warning warning, muted by silence"]
    );
    ended.notes.silences[0] = ended.notes.silences[0].expired(6 * MINUTE, "bo".to_owned());
    assert_eq!(told(&ended.step(".....", "!!!!!")), [""; 0]);
    assert_eq!(
        told(&ended.step("......", "!!!!!!")),
        ["errors 5:unmuted warning warning"]
    );
}

#[test]
fn what_nobody_sees_to_is_escalated_once_a_level() {
    let levels = [(2, Some(Severity::Critical)), (4, None)];
    let mut one = Simulation::new().escalating(&levels);
    assert_eq!(
        told(&one.step("........", "!!!!!!!.")),
        [
            "errors 0:changed warning warning",
            "errors 2:escalated alert critical",
            "errors 4:escalated alert critical",
            "errors 7:changed recovered warning",
        ]
    );
    // What goes on after an escalation says how bad it has become.
    let mut again = Simulation::new().escalating(&levels);
    again.renotify_us = Some(3 * MINUTE);
    let said = again.step("....", "!!!!");
    assert_eq!(
        told(&said)[2],
        "errors 3:renotified alert critical",
        "{:?}",
        told(&said)
    );
    // A muted alert waits: its time counts from when people are notified.
    let mut silenced = Simulation::new().escalating(&levels[..1]);
    silenced.silence(0, 5);
    assert_eq!(
        told(&silenced.step("........", "!!!!!!!!")),
        [
            "errors 0:changed warning warning, muted by silence",
            "errors 4:unmuted warning warning",
            "errors 6:escalated alert critical",
        ]
    );
}

#[test]
fn what_is_acknowledged_is_neither_said_again_nor_escalated() {
    let mut one = Simulation::new().escalating(&[(3, Some(Severity::Critical))]);
    one.renotify_us = Some(2 * MINUTE);
    one.step("..", "!!");
    one.say(Said::Acknowledged, 1);
    assert_eq!(
        told(&one.step("..", "!!")),
        ["errors 1:acknowledged warning warning, seen to by bo"]
    );
    assert_eq!(
        told(&one.step(".........", "!!!!!!!.!")),
        [
            "errors 7:changed recovered warning",
            "errors 8:changed warning warning"
        ],
        "the next incident is a new one"
    );
    assert!(one.step(".........", "!!!!!!!.!").is_empty());
}

#[test]
fn what_is_resolved_is_closed_and_says_by_whom() {
    let mut one = Simulation::new();
    one.step("..", "!!");
    one.say(Said::Resolved, 1);
    assert_eq!(
        told(&one.step("..", "!!")),
        ["errors 1:resolved recovered warning, closed by bo"]
    );
    assert_eq!(
        told(&one.step("......", "!!!!.!")),
        [
            "errors 4:changed ok warning",
            "errors 5:changed warning warning"
        ]
    );
}

#[test]
fn an_alert_without_windows_is_resolved_and_unmuted_too() {
    let mut one = Simulation::new();
    one.silence(0, 3);
    let said = one.decide(ERRORS, "!");
    let step = |one: &mut Simulation, decided: Vec<Action>, reached: i64| {
        let closed_us = [(OUTAGE.to_owned(), Some(reached * MINUTE))];
        let terms = Terms {
            settings: &one.settings,
            notes: &one.notes,
            closed_us: &closed_us.into(),
        };
        let said = attend(&one.alerts, &terms, decided);
        said.iter().for_each(|action| one.alerts.take(action));
        told(&said)
    };
    assert_eq!(
        step(&mut one, said, 2),
        ["errors 0:changed warning warning, muted by silence"]
    );
    assert_eq!(step(&mut one, Vec::new(), 2), [""; 0]);
    assert_eq!(
        step(&mut one, Vec::new(), 3),
        ["errors 0:unmuted warning warning ^1"]
    );
    one.say(Said::Resolved, 0);
    assert_eq!(
        step(&mut one, Vec::new(), 4),
        ["errors 0:resolved recovered warning, closed by bo ^2"]
    );
    assert_eq!(step(&mut one, Vec::new(), 5), [""; 0]);
}

#[test]
fn late_data_that_takes_a_cause_back_unmutes() {
    let mut one = Simulation::new();
    one.step(".!!", ".!!");
    assert_eq!(
        told(&one.step("...", ".!!")),
        [
            "outage 1:withdrawn ok info ^1",
            "errors 1:unmuted warning warning ^1"
        ]
    );
    assert!(one.step("...", ".!!").is_empty());
}

fn windows() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!['!', '!', '.', '?']), 12)
        .prop_map(|letters| letters.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Many steps or one: the same messages, to the byte, in the same order of each alert; and asked again, none.
    #[test]
    fn messages_do_not_depend_on_the_steps(
        outage in windows(),
        errors in windows(),
        silences in prop::collection::vec((0..13_i64, 1..8_i64), 0..3),
        acknowledged in prop::collection::vec(0..12_i64, 0..2),
        resolved in prop::collection::vec(0..12_i64, 0..2),
        levels in 0..3_usize,
        renotify in prop::option::of(1..5_i64),
        stops in prop::collection::btree_set(1..12_usize, 0..6),
    ) {
        let all = [(2, Some(Severity::Critical)), (5, None)];
        let made = || {
            let mut one = Simulation::new().escalating(&all[..levels]);
            one.renotify_us = renotify.map(|minutes| minutes * MINUTE);
            for (from, span) in &silences {
                one.silence(*from, from + span);
            }
            acknowledged.iter().for_each(|minute| one.say(Said::Acknowledged, *minute));
            resolved.iter().for_each(|minute| one.say(Said::Resolved, *minute));
            one
        };
        let mut stepped = made();
        for stop in &stops {
            stepped.step(&outage[..*stop], &errors[..*stop]);
        }
        stepped.step(&outage, &errors);
        prop_assert!(stepped.step(&outage, &errors).is_empty());
        let mut straight = made();
        straight.step(&outage, &errors);
        for rule in [OUTAGE, ERRORS] {
            prop_assert_eq!(stepped.bodies(rule), straight.bodies(rule));
        }
        let ids: std::collections::BTreeSet<_> = stepped.messages.iter().map(|one| &one.action_id).collect();
        prop_assert_eq!(ids.len(), stepped.messages.len());
    }

    /// Whatever arrives late: no id is used twice, it comes to rest, and an open alert that nothing mutes was said unmuted
    /// last.
    #[test]
    fn it_comes_to_rest_after_late_data(
        looks in prop::collection::vec((windows(), windows()), 1..4),
        silences in prop::collection::vec((0..13_i64, 1..8_i64), 0..3),
    ) {
        let mut one = Simulation::new().escalating(&[(2, Some(Severity::Critical))]);
        for (from, span) in &silences {
            one.silence(*from, from + span);
        }
        for (outage, errors) in &looks {
            one.step(outage, errors);
            prop_assert!(one.step(outage, errors).is_empty());
        }
        let ids: std::collections::BTreeSet<_> = one.messages.iter().map(|one| &one.action_id).collect();
        prop_assert_eq!(ids.len(), one.messages.len());
        let alerts = std::mem::take(&mut one.alerts).into_all();
        let fires = |rule: &str| alerts.get(&id(rule)).is_some_and(|alert| alert.state.fires());
        if fires(ERRORS) {
            let silenced = silences.iter().any(|(from, span)| (*from..from + span).contains(&12));
            let muted = alerts[&id(ERRORS)].muted.is_some();
            prop_assert_eq!(muted, fires(OUTAGE) || silenced);
        }
    }
}
