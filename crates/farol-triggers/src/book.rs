//! What is held of one rule: its rows, and what was published. Both are caches.
//!
//! [`Book::decide`] is where they meet the lifecycle.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::action::{Action, alert_id};
use crate::attention::Acknowledgements;
use crate::error::TriggerError;
use crate::history::{Before, History};
use crate::lifecycle::{Decided, Fact, Interventions, Machine, Range, Seen, Terms, decide};
use crate::outbox::MARKS;
use crate::rule::{Judgement, Rule};
use farol_jobs::segment::Segment;
use farol_jobs::time::floor;
use farol_lake::Marks;

/// What was published of one segment.
#[derive(Debug, Default)]
struct Ledger {
    /// The highest revision of each window.
    facts: BTreeMap<i64, Fact>,
}

/// Why a rule could not be evaluated when it was last tried.
#[derive(Debug)]
pub(crate) struct Failure {
    pub reason: String,
    pub at: Instant,
    /// How often in a row.
    pub times: u32,
}

impl Failure {
    /// How long until it is tried again.
    pub fn pause(&self) -> Duration {
        FAILURE_PAUSE_MAX.min(Duration::from_secs(1) * 2_u32.pow(self.times.min(6)))
    }
}

/// The longest pause before a rule that failed is tried again.
const FAILURE_PAUSE_MAX: Duration = Duration::from_mins(1);

/// The application id of the end of a rule's evaluated windows.
pub(crate) fn closed_id(rule: &Rule) -> String {
    closed_id_of(&rule.name)
}

/// The same by the rule's name.
pub(crate) fn closed_id_of(rule: &str) -> String {
    format!("{MARKS}/{rule}#closed_us")
}

/// One rule at work.
#[derive(Debug)]
pub(crate) struct Book {
    pub rule: Arc<Rule>,
    pub history: History,
    ledgers: HashMap<Segment, Ledger>,
    /// Judgements of windows, until rows change that they were made of.
    judged: HashMap<Segment, BTreeMap<i64, Judgement>>,
    /// The version of the partials that the rows were read at; `None`: nothing was read yet.
    pub version: Option<i64>,
    /// Rows from this window on may have changed since they were read.
    pub dirty_us: Option<i64>,
    /// The end of the windows that were evaluated.
    pub closed_us: Option<i64>,
    /// What was published was read again: everything is to be decided again.
    pub stale: bool,
    /// Why it could not be evaluated, where it could not.
    pub failure: Option<Failure>,
    /// What operators said of alerts.
    said: Arc<Acknowledgements>,
}

impl Book {
    pub fn new(rule: Arc<Rule>) -> Self {
        Self {
            rule,
            history: History::default(),
            ledgers: HashMap::new(),
            judged: HashMap::new(),
            version: None,
            dirty_us: None,
            closed_us: None,
            stale: true,
            failure: None,
            said: Arc::default(),
        }
    }

    /// Takes over what operators said of alerts: everything is to be decided again.
    pub fn hear(&mut self, said: &Arc<Acknowledgements>) {
        self.said = said.clone();
        self.stale = true;
    }

    /// Goes on from what was published, which was read again.
    pub fn resume(&mut self, marks: &Marks) {
        self.stale = true;
        let closed = marks.get(&closed_id(&self.rule)).copied();
        self.closed_us = self.closed_us.max(closed);
    }

    /// The marks that say how far it was evaluated, at which version of what it reads; none where they say so already.
    pub fn progress(&self, marks: &Marks, closed_us: i64, version: i64) -> Vec<(String, i64)> {
        let id = closed_id(&self.rule);
        if marks.get(&id).is_some_and(|known| *known >= closed_us) {
            return Vec::new();
        }
        vec![(id, closed_us), (self.rule.app_id(), version)]
    }

    /// Why it could not be evaluated when it was last tried; `None` where it could.
    pub fn failed(&self) -> Option<String> {
        let failure = self.failure.as_ref()?;
        Some(format!("rule {}: {}", self.rule.name, failure.reason))
    }

    /// Notes that it could not be evaluated: what it holds is read again before it is tried again.
    pub fn fail(&mut self, error: &TriggerError) {
        tracing::error!(
            rule = self.rule.name,
            "a rule failed, the others go on: {error}"
        );
        metrics::counter!("farol_trigger_errors_total").increment(1);
        let times = self.failure.as_ref().map_or(0, |failure| failure.times) + 1;
        self.failure = Some(Failure {
            reason: error.to_string(),
            at: Instant::now(),
            times,
        });
        self.dirty_us = Some(i64::MIN / 4);
        self.stale = true;
    }

    /// Takes over what was published. Actions come in the order of their sequence.
    pub fn publish(&mut self, action: &Action) {
        // A rule that keeps other segments now has other alerts.
        if let Some(segment) = Segment::from_json(&action.segment, &self.rule.by) {
            let fact = Fact {
                transition: action.transition,
                revision: action.revision,
            };
            let ledger = self.ledgers.entry(segment).or_default();
            ledger.facts.insert(action.window_us, fact);
        }
    }

    /// The windows to look at, with those before `horizon_us` history.
    pub fn range(&self, horizon_us: i64, closed_us: i64) -> Range {
        let horizon_us = floor(horizon_us, self.rule.window_us).min(closed_us);
        let memory_us = Terms::from(self.rule.as_ref()).memory_us();
        Range {
            start_us: horizon_us.saturating_sub(memory_us),
            horizon_us,
            closed_us,
        }
    }

    /// The first window whose rows matter to a range.
    pub fn rows_from_us(&self, range: Range) -> i64 {
        range.start_us.saturating_sub(self.rule.lookback_us())
    }

    /// Forgets judgements that rows from this window on may have been part of.
    pub fn unjudge_from(&mut self, window_us: i64) {
        for judged in self.judged.values_mut() {
            judged.split_off(&window_us);
        }
    }

    /// Whether something was published of a segment.
    pub fn has_published(&self, segment: &Segment) -> bool {
        let ledger = self.ledgers.get(segment);
        ledger.is_some_and(|ledger| !ledger.facts.is_empty())
    }

    /// The first window of the alerts that fire, by what was published; `None` where none does.
    pub fn firing_since_us(&self) -> Option<i64> {
        let last = |ledger: &Ledger| ledger.facts.values().next_back().copied();
        let last = self.ledgers.values().filter_map(last);
        let firing = last.filter(|fact| fact.transition.state.fires());
        firing.map(|fact| fact.transition.since_us).min()
    }

    /// Whether it failed so lately that it is not tried again yet.
    pub fn waits(&self) -> bool {
        let waits = |failure: &Failure| failure.at.elapsed() < failure.pause();
        self.failure.as_ref().is_some_and(waits)
    }

    /// Decides every segment, in a fixed order.
    pub fn decide(&mut self, range: Range) -> Vec<(Segment, Decided)> {
        self.decide_each(range, |_| range.closed_us)
    }

    /// Decides every segment, in a fixed order, each up to a window of its own.
    pub fn decide_each(
        &mut self,
        range: Range,
        closed_us: impl Fn(&Segment) -> i64,
    ) -> Vec<(Segment, Decided)> {
        let mut segments: Vec<Segment> = self
            .history
            .segments()
            .chain(self.ledgers.keys())
            .cloned()
            .collect();
        segments.sort_unstable();
        segments.dedup();
        let mut decided = Vec::new();
        for segment in segments {
            let closed_us = closed_us(&segment);
            let found = self.decide_segment(&segment, Range { closed_us, ..range });
            decided.extend(found.into_iter().map(|one| (segment.clone(), one)));
        }
        // As an operator would tell it: by time, then by segment.
        decided.sort_by_key(|(_, one)| one.window_us);
        decided
    }

    fn decide_segment(&mut self, segment: &Segment, range: Range) -> Vec<Decided> {
        let terms = Terms::from(self.rule.as_ref());
        let nothing = BTreeMap::new();
        let windows = self.history.windows(segment).unwrap_or(&nothing);
        let ledger = self.ledgers.entry(segment.clone()).or_default();
        let mut before = Machine::new();
        for (window_us, fact) in ledger.facts.range(..range.start_us) {
            before.take(&terms, *window_us, &fact.transition);
        }
        let judged = self.judged.entry(segment.clone()).or_default();
        *judged = judged.split_off(&range.start_us);
        // Before its first row a segment is not silent: it is not there yet.
        let known = !ledger.facts.is_empty();
        let first_us = windows.keys().next().copied();
        let start_us = match first_us {
            Some(first_us) if !known => range.start_us.max(first_us),
            Some(_) => range.start_us,
            None if known => range.start_us,
            None => return Vec::new(),
        };
        let range = Range { start_us, ..range };
        let rule = &self.rule;
        let absent = rule.absent_row(segment);
        let facts = ledger
            .facts
            .range(range.start_us..)
            .map(|(w, f)| (*w, *f))
            .collect();
        let interventions = if self.said.is_empty() {
            Interventions::default()
        } else {
            let text = segment.to_json(&rule.by).to_string();
            self.said.interventions(&alert_id(&rule.name, &text))
        };
        decide(
            &terms,
            &before,
            &facts,
            range,
            &interventions,
            |window_us| {
                let row = windows.get(&window_us).map(AsRef::as_ref);
                let Some(row) = row.or(absent.as_deref()) else {
                    return Seen::Nothing;
                };
                let judge = || rule.judge(row, &Before { windows, window_us });
                Seen::Data(*judged.entry(window_us).or_insert_with(judge))
            },
        )
    }
}
