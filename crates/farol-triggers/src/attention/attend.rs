//! The layer: what is decided is annotated, and alerts are said again where what matters to people changes.
//!
//! A message about a window is annotated by what holds at the window's end. Between two transitions of an alert, what can
//! change is looked up where it can: where a silence begins or ends, where an alert of a rule that mutes it has a
//! transition, where an escalation is due, where an operator spoke. So the same windows give the same messages, however
//! many of them one step sees.
//!
//! Alerts that no windows lead to (rules on findings, failing jobs) have no grid: they are looked at as of the time that the
//! lake's measures have come to, and what is said again is said of their last window, with a higher revision.

use std::collections::{BTreeMap, BTreeSet};

use super::alert::Alert;
use super::notes::Notes;
use crate::action::{ALERT, Action};
use crate::rule::Attention;

/// Every alert that anything was ever published of.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    pub(super) all: BTreeMap<String, Alert>,
    by_rule: BTreeMap<String, BTreeSet<String>>,
    pub(super) open: BTreeSet<String>,
}

impl Alerts {
    /// Takes over a message that was published. Messages come in the order of their sequence.
    pub fn take(&mut self, action: &Action) {
        if action.kind != ALERT {
            return;
        }
        let id = &action.alert_id;
        let known = self.all.entry(id.clone());
        let alert = known.or_insert_with(|| Alert::new(action));
        alert.take(action);
        if alert.is_open() {
            self.open.insert(id.clone());
        } else {
            self.open.remove(id);
        }
        let of_rule = self.by_rule.entry(action.rule.clone()).or_default();
        of_rule.insert(id.clone());
    }

    /// Every alert, by id.
    pub fn into_all(self) -> BTreeMap<String, Alert> {
        self.all
    }
}

/// What the layer goes by, beside alerts.
pub(crate) struct Terms<'a> {
    /// What rules say, by their names.
    pub settings: &'a BTreeMap<String, Attention>,
    /// What operators say.
    pub notes: &'a Notes,
    /// The end of the windows that were evaluated, of each rule that has windows.
    pub closed_us: &'a BTreeMap<String, Option<i64>>,
}

/// Annotates what was decided, in its order, and adds what is to be said again.
pub(crate) fn attend(alerts: &Alerts, terms: &Terms<'_>, decided: Vec<Action>) -> Vec<Action> {
    let mut layer = Layer {
        alerts,
        terms,
        changed: BTreeMap::new(),
        said: Vec::new(),
    };
    // Transitions first: what follows from an alert may be decided before it in one step, by other rules.
    for action in decided.iter().filter(|action| action.kind == ALERT) {
        layer.alert(action).note_transition(action);
    }
    for action in decided {
        layer.pass(action);
    }
    let open = alerts.open.iter().chain(layer.changed.keys());
    let open: BTreeSet<String> = open.cloned().collect();
    for id in open {
        layer.follow(&id, None);
    }
    layer.name_consequences();
    layer.said
}

/// A step of the layer.
pub(super) struct Layer<'a> {
    pub alerts: &'a Alerts,
    pub terms: &'a Terms<'a>,
    /// Alerts as this step leaves them.
    changed: BTreeMap<String, Alert>,
    /// What is to be published, in order.
    pub said: Vec<Action>,
}

impl Layer<'_> {
    pub fn get(&self, id: &str) -> Option<&Alert> {
        self.changed.get(id).or_else(|| self.alerts.all.get(id))
    }

    /// The alert of a message, to be changed.
    fn alert(&mut self, action: &Action) -> &mut Alert {
        let alerts = self.alerts;
        let known = || alerts.all.get(&action.alert_id).cloned();
        self.changed
            .entry(action.alert_id.clone())
            .or_insert_with(|| known().unwrap_or_else(|| Alert::new(action)))
    }

    /// Every alert of a rule.
    pub fn of_rule<'b>(&'b self, rule: &'b str) -> impl Iterator<Item = &'b Alert> {
        let before = self.alerts.by_rule.get(rule).into_iter().flatten();
        let new = self.changed.values().filter(|alert| alert.rule == rule);
        let ids: BTreeSet<&String> = before.chain(new.map(|alert| &alert.alert_id)).collect();
        ids.into_iter().filter_map(move |id| self.get(id))
    }

    /// A decision goes by: what comes before it, and then itself, annotated.
    fn pass(&mut self, mut action: Action) {
        if action.kind != ALERT {
            self.said.push(action);
            return;
        }
        self.follow(&action.alert_id, Some(action.window_us));
        let before = self.alert(&action).clone();
        self.annotate(&before, &mut action);
        self.say(action);
    }

    fn say(&mut self, action: Action) {
        self.alert(&action).take(&action);
        self.said.push(action);
    }

    /// Says again what changes while an alert is open: up to the window of its next transition, else as far as its rule was
    /// evaluated.
    fn follow(&mut self, id: &str, before_us: Option<i64>) {
        loop {
            let Some(alert) = self.get(id).filter(|alert| alert.is_open()) else {
                return;
            };
            let mut places = self.places(alert, before_us).into_iter();
            let next = places.find_map(|place| Some((place, self.again(alert, place)?)));
            let Some((place, again)) = next else {
                return;
            };
            let action = self.make(alert, place, &again);
            self.say(action);
        }
    }
}
