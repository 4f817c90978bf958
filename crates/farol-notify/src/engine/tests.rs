use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::alert::tests::{message, record};
use crate::alert::{Severity, parse};

fn terms() -> Terms {
    Terms {
        route: "r".to_owned(),
        filter: Filter::default(),
        group_by: vec!["rule".to_owned()],
        group_wait: Duration::from_secs(30),
        group_interval: Duration::from_mins(5),
        max_groups: 100,
        max_named: 20,
        quiet_hours: None,
        rate_limit: RateLimit {
            count: 1_000,
            per: Duration::from_secs(1),
        },
        retry: Retry {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            attempts: 10,
            age: Duration::from_hours(1),
        },
    }
}

/// An engine, its topic, and what a receiver that accepts everything heard.
struct Scene {
    engine: Engine,
    topic: Vec<AlertRecord>,
    now_ms: i64,
    heard: Vec<Notification>,
    kept: BTreeMap<String, Vec<u8>>,
}

impl Scene {
    fn new(terms: Terms) -> Self {
        Self {
            engine: Engine::new(terms, Kept::default()),
            topic: Vec::new(),
            now_ms: 0,
            heard: Vec::new(),
            kept: BTreeMap::new(),
        }
    }

    fn publish(&mut self, record: AlertRecord) {
        self.topic.push(record.clone());
        self.engine
            .take(self.topic.len() as i64 - 1, Some(record), self.now_ms);
    }

    fn say(&mut self, rule: &str, service: &str, state: &str) {
        let mut record = record(rule, service, state, "critical");
        record.alert.action_id = format!("action-{}", self.topic.len());
        self.publish(record);
    }

    fn keep(&mut self) {
        for (key, bytes) in self.engine.take_changes().unwrap() {
            match bytes {
                Some(bytes) => self.kept.insert(key, bytes),
                None => self.kept.remove(&key),
            };
        }
    }

    /// Does all that is due, and lets time pass.
    fn pass(&mut self, seconds: i64) {
        let until_ms = self.now_ms + seconds * 1_000;
        loop {
            match self.engine.step(self.now_ms) {
                Step::Seal(key) => self.engine.seal(&key, self.now_ms),
                Step::Attempt(key) => {
                    self.keep();
                    let (notification, _) = self.engine.sealed(&key).unwrap();
                    self.heard.push(notification.clone());
                    self.engine.settle(&key, Some("thread".to_owned()));
                }
                Step::Wait(Some(at_ms)) if at_ms <= until_ms => self.now_ms = at_ms,
                Step::Wait(_) => break,
            }
            self.keep();
        }
        self.now_ms = until_ms;
    }

    /// The process dies and another goes on from what was kept.
    fn restart(&mut self) {
        let mut kept = Kept {
            position: self.engine.position(),
            ..Kept::default()
        };
        for (key, bytes) in &self.kept {
            kept.restore(key, bytes).unwrap();
        }
        let next = kept.position.next;
        self.engine = Engine::new(self.engine.terms.clone(), kept);
        for (offset, record) in self.topic.iter().enumerate().skip(next as usize) {
            self.engine
                .take(offset as i64, Some(record.clone()), self.now_ms);
        }
    }

    fn last(&self) -> &Notification {
        self.heard.last().expect("nothing was heard")
    }
}

#[test]
fn a_group_waits_and_is_told_at_once() {
    let mut scene = Scene::new(terms());
    scene.say("errors", "a", "alert");
    scene.pass(10);
    scene.say("errors", "b", "alert");
    scene.pass(19);
    assert_eq!(scene.heard.len(), 0);
    scene.pass(1);
    assert_eq!(scene.heard.len(), 1);
    let told = scene.last();
    assert_eq!(
        (told.status, told.counts.new, told.counts.open),
        (Status::Firing, 2, 2)
    );
    assert_eq!(told.incident, "errors/a");
    assert!(told.is_first);
}

#[test]
fn a_group_that_was_told_of_waits_for_the_interval() {
    let mut scene = Scene::new(terms());
    scene.say("errors", "a", "alert");
    scene.pass(30);
    scene.say("errors", "b", "alert");
    scene.pass(299);
    assert_eq!(scene.heard.len(), 1);
    scene.pass(1);
    assert_eq!(scene.heard.len(), 2);
    assert_eq!(scene.last().incident, "errors/a");
    assert_eq!((scene.last().counts.new, scene.last().counts.open), (1, 2));
    assert!(!scene.last().is_first);
}

#[test]
fn a_recovery_closes_what_was_opened() {
    let mut scene = Scene::new(terms());
    scene.say("errors", "a", "alert");
    scene.pass(60);
    scene.say("errors", "a", "recovered");
    scene.pass(600);
    assert_eq!(scene.heard.len(), 2);
    assert_eq!(scene.last().status, Status::Resolved);
    assert_eq!(scene.last().incident, scene.heard[0].incident);
    assert_eq!(scene.engine.position().next, 2);
    assert!(scene.kept.is_empty(), "{:?}", scene.kept.keys());
}

#[test]
fn an_alert_that_was_over_before_it_was_told_is_told_once() {
    let mut scene = Scene::new(terms());
    scene.say("errors", "a", "alert");
    scene.say("errors", "a", "recovered");
    scene.pass(600);
    assert_eq!(scene.heard.len(), 1);
    assert_eq!(
        (scene.last().status, scene.last().counts.resolved),
        (Status::Resolved, 1)
    );
}

#[test]
fn what_is_said_again_without_news_is_not_told_and_a_reminder_is() {
    let mut scene = Scene::new(terms());
    scene.say("errors", "a", "alert");
    scene.pass(600);
    scene.say("errors", "a", "alert");
    scene.pass(600);
    assert_eq!(scene.heard.len(), 1);
    let mut reminder = record("errors", "a", "alert", "critical");
    "renotified".clone_into(&mut reminder.alert.cause);
    scene.publish(reminder);
    scene.pass(600);
    assert_eq!((scene.heard.len(), scene.last().counts.updated), (2, 1));
    let mut acknowledged = record("errors", "a", "alert", "critical");
    acknowledged.alert.acknowledged_by = Some("ana".to_owned());
    scene.publish(acknowledged);
    scene.pass(600);
    assert_eq!(
        (scene.heard.len(), scene.last().status),
        (3, Status::Acknowledged)
    );
}

fn muted_by(rule: &str, cause: &str, state: &str) -> AlertRecord {
    let mut message = message(rule, "shop", state, "critical");
    message["payload"]["muted"] = json!({"by": "rule", "rule": "outage", "alert_id": cause});
    parse(message.to_string().as_bytes()).unwrap()
}

#[test]
fn an_outage_that_trips_twelve_rules_is_one_page_that_names_eleven() {
    let mut scene = Scene::new(terms());
    // Some fire before the outage is known, and are muted when it is.
    for number in 0..4 {
        scene.say(&format!("rule-{number}"), "shop", "alert");
    }
    scene.pass(5);
    scene.say("outage", "shop", "alert");
    for number in 0..11 {
        scene.publish(muted_by(&format!("rule-{number}"), "outage/shop", "alert"));
    }
    scene.pass(3_600);
    assert_eq!(scene.heard.len(), 1);
    let consequences = &scene.last().alerts[0].consequences;
    assert_eq!(consequences.len(), 11);
    // Their recovery pages nobody; that of the outage closes it.
    for number in 0..11 {
        scene.publish(muted_by(
            &format!("rule-{number}"),
            "outage/shop",
            "recovered",
        ));
    }
    scene.say("outage", "shop", "recovered");
    scene.pass(3_600);
    assert_eq!(
        (scene.heard.len(), scene.last().status),
        (2, Status::Resolved)
    );
    assert_eq!(scene.engine.position().next, scene.topic.len() as i64);
}

#[test]
fn an_alert_that_was_told_and_then_muted_is_still_closed() {
    let mut scene = Scene::new(terms());
    scene.say("rule-1", "shop", "alert");
    scene.pass(600);
    scene.publish(muted_by("rule-1", "outage/shop", "alert"));
    scene.pass(600);
    assert_eq!(scene.heard.len(), 1);
    scene.publish(muted_by("rule-1", "outage/shop", "recovered"));
    scene.pass(600);
    assert_eq!(
        (scene.heard.len(), scene.last().status),
        (2, Status::Resolved)
    );
}

#[test]
fn a_flood_is_one_notification_with_a_count() {
    let mut scene = Scene::new(terms());
    for number in 0..10_000 {
        scene.say("errors", &format!("s{number}"), "alert");
    }
    scene.pass(3_600);
    assert_eq!(scene.heard.len(), 1);
    let told = scene.last();
    assert_eq!(
        (told.counts.new, told.alerts.len(), told.counts.unnamed),
        (10_000, 20, 9_980)
    );
    let bytes = serde_json::to_vec(told).unwrap().len();
    assert!(bytes < 100_000, "{bytes}");
    for number in 0..10_000 {
        scene.say("errors", &format!("s{number}"), "recovered");
    }
    scene.pass(3_600);
    assert_eq!(
        (scene.heard.len(), scene.last().counts.resolved),
        (2, 10_000)
    );
}

#[test]
fn a_flood_of_groups_shares_one_and_keeps_to_the_rate() {
    let mut terms = terms();
    terms.group_by = vec!["alert_id".to_owned()];
    terms.max_groups = 5;
    terms.rate_limit = RateLimit {
        count: 2,
        per: Duration::from_mins(10),
    };
    let mut scene = Scene::new(terms);
    for number in 0..10_000 {
        scene.say("errors", &format!("s{number}"), "alert");
    }
    scene.pass(31);
    assert_eq!(scene.heard.len(), 2);
    scene.restart();
    scene.pass(36_000);
    // A restart in the middle neither loses nor repeats one.
    assert_eq!(scene.heard.len(), 6);
    let told: usize = scene.heard.iter().map(|told| told.counts.new).sum();
    assert_eq!(told, 10_000);
    let times: Vec<i64> = scene.heard.iter().map(|told| told.sealed_ms).collect();
    for window in times.windows(3) {
        assert!(window[2] - window[0] >= 600_000, "{times:?}");
    }
}

#[test]
fn quiet_hours_hold_what_is_not_critical() {
    let mut terms = terms();
    terms.quiet_hours = Some(QuietHours {
        from: chrono::NaiveTime::MIN,
        to: chrono::NaiveTime::from_hms_opt(6, 0, 0).unwrap(),
        days: Vec::new(),
        time_zone: chrono_tz::UTC,
        except: Severity::Critical,
    });
    let mut scene = Scene::new(terms);
    scene.publish(record("slow", "a", "warning", "warning"));
    scene.publish(record("errors", "a", "alert", "critical"));
    scene.pass(3_600);
    assert_eq!(scene.heard.len(), 1);
    assert_eq!(scene.last().severity, Severity::Critical);
    // What waits holds the position, so that a restart reads it again.
    assert_eq!(scene.engine.position().next, 0);
    scene.restart();
    scene.pass(6 * 3_600);
    assert_eq!(
        (scene.heard.len(), scene.last().severity),
        (2, Severity::Warning)
    );
    assert_eq!(scene.last().sealed_ms, 6 * 3_600_000);
}

#[test]
fn what_was_there_before_the_route_is_told_only_where_it_is_still_wrong() {
    let mut scene = Scene::new(terms());
    let position = Position {
        next: 0,
        history_end: 4,
    };
    scene.engine = Engine::new(
        terms(),
        Kept {
            position,
            ..Kept::default()
        },
    );
    scene.say("errors", "a", "alert");
    scene.say("errors", "a", "recovered");
    scene.say("errors", "b", "alert");
    scene.say("errors", "c", "recovered");
    scene.pass(600);
    assert_eq!(scene.heard.len(), 1);
    assert_eq!(
        (scene.last().counts.new, scene.last().counts.resolved),
        (1, 0)
    );
}

#[test]
fn a_failed_attempt_is_made_again_with_the_same_id_and_then_given_up() {
    let mut scene = Scene::new(terms());
    scene.say("errors", "a", "alert");
    scene.now_ms = 30_000;
    let Step::Seal(key) = scene.engine.step(30_000) else {
        panic!("not due")
    };
    scene.engine.seal(&key, 30_000);
    let id = scene.engine.sealed(&key).unwrap().0.id.clone();
    let failure = Failure::Temporary {
        reason: "500".into(),
        after: Some(Duration::from_secs(90)),
    };
    let Verdict::Again(due_ms) = scene.engine.failed(&key, 30_000, &failure) else {
        panic!()
    };
    assert_eq!(due_ms, 120_000);
    assert_eq!(scene.engine.step(30_000), Step::Wait(Some(120_000)));
    assert_eq!(scene.engine.position().next, 0);
    // The receiver asked for peace: another group's notification waits as well.
    scene.say("other", "a", "alert");
    assert_eq!(
        scene.engine.step(70_000),
        Step::Seal("\"rule\"=\"other\"".into())
    );
    scene.engine.seal("\"rule\"=\"other\"", 70_000);
    assert_eq!(scene.engine.step(70_000), Step::Wait(Some(120_000)));
    scene.keep();
    scene.restart();
    assert_eq!(scene.engine.sealed(&key).unwrap().0.id, id);
    let refused = Failure::Refused {
        reason: "404".into(),
    };
    let Verdict::DeadLetter(reason) = scene.engine.failed(&key, 31_000, &refused) else {
        panic!()
    };
    assert_eq!(reason, "refused: 404");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is published, whenever the process dies: at the end a receiver that drops repeated ids knows the last
    /// state of every alert, and each incident that was opened and is over was closed.
    #[test]
    fn nothing_is_lost_or_left_open(
        steps in proptest::collection::vec((0_u8..5, any::<bool>(), 0_i64..200, any::<bool>()), 1..60),
        by_alert in any::<bool>(),
        max_groups in 1_usize..4,
    ) {
        let mut terms = terms();
        terms.max_groups = max_groups;
        terms.max_named = 100;
        if by_alert {
            terms.group_by = vec!["alert_id".to_owned()];
        }
        let mut scene = Scene::new(terms);
        let mut state = BTreeMap::new();
        let mut begun = BTreeSet::new();
        for (alert, fires, seconds, dies) in steps {
            let (rule, service) = (format!("rule-{}", alert % 3), format!("s{alert}"));
            let word = if fires { "alert" } else { "recovered" };
            scene.say(&rule, &service, word);
            let id = format!("{rule}/{service}");
            if fires {
                begun.insert(id.clone());
            }
            if begun.contains(&id) {
                state.insert(id, word.to_owned());
            }
            scene.pass(seconds);
            if dies {
                scene.restart();
            }
        }
        scene.pass(7_200);
        let mut ids = BTreeSet::new();
        let mut heard = BTreeMap::new();
        let mut incidents = BTreeMap::new();
        for told in &scene.heard {
            prop_assert!(ids.insert(told.id.clone()), "{} came twice", told.id);
            incidents.insert(told.incident.clone(), told.status);
            for alert in &told.alerts {
                heard.insert(alert.alert_id.clone(), alert.state.clone());
            }
        }
        prop_assert_eq!(&heard, &state);
        let is_open = state.values().any(|state| state == "alert");
        if !is_open {
            prop_assert!(incidents.values().all(|status| *status == Status::Resolved));
        }
        prop_assert_eq!(scene.engine.position().next, scene.topic.len() as i64);
    }
}
