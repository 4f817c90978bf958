//! What is held of one rule: its rows, and what was published. Both are caches.
//!
//! [`Book::decide`] is where they meet the lifecycle.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::action::{Action, alert_id};
use crate::attention::Acknowledgements;
use crate::history::{Before, History};
use crate::lifecycle::{Decided, Fact, Interventions, Machine, Range, Seen, Terms, decide};
use crate::rule::{Judgement, Rule};
use farol_jobs::segment::Segment;
use farol_jobs::time::floor;

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
        }
    }

    /// Notes that it could not be evaluated: what it holds is read again before it is tried again.
    pub fn fail(&mut self, reason: String) {
        let times = self.failure.as_ref().map_or(0, |failure| failure.times) + 1;
        self.failure = Some(Failure {
            reason,
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

    /// Decides every segment, in a fixed order.
    pub fn decide(&mut self, range: Range, said: &Acknowledgements) -> Vec<(Segment, Decided)> {
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
            let interventions = if said.is_empty() {
                Interventions::default()
            } else {
                let text = segment.to_json(&self.rule.by).to_string();
                said.interventions(&alert_id(&self.rule.name, &text))
            };
            let found = self.decide_segment(&segment, range, &interventions);
            decided.extend(found.into_iter().map(|one| (segment.clone(), one)));
        }
        // As an operator would tell it: by time, then by segment.
        decided.sort_by_key(|(_, one)| one.window_us);
        decided
    }

    fn decide_segment(
        &mut self,
        segment: &Segment,
        range: Range,
        interventions: &Interventions,
    ) -> Vec<Decided> {
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
        let facts = ledger
            .facts
            .range(range.start_us..)
            .map(|(w, f)| (*w, *f))
            .collect();
        decide(&terms, &before, &facts, range, interventions, |window_us| {
            let Some(row) = windows.get(&window_us) else {
                return Seen::Nothing;
            };
            let judge = || rule.judge(row, &Before { windows, window_us });
            Seen::Data(*judged.entry(window_us).or_insert_with(judge))
        })
    }
}
