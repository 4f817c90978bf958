//! Rules on findings at work: findings in their order become alerts.
//!
//! ```text
//! findings not seen yet ──▶ which are open, alert by alert ──▶ decide (pure) ──▶ actions table
//!                                          what was published ──┘
//! ```
//!
//! Which findings are open is a function of the table of findings, up to the mark `farol/trigger/<rule>#finding` that the
//! last commit of actions carries; what was published is in the actions. Both are read anew after another instance's commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use farol_detectors::Finding;
use farol_detectors::finding::{self, State as FindingState};
use farol_jobs::Segment;
use farol_jobs::time::{floor, now_us};
use farol_lake::{FINDINGS, Lake, Marks, Table};
use serde_json::{Value, json};

use crate::action::{Action, Evidence, Message};
use crate::condition::Compared;
use crate::error::TriggerError;
use crate::lifecycle::{Cause, Decided, Fact, State, Transition};
use crate::rule::{FindingRule, Rules, Severity};

/// Every rule on findings.
pub(crate) struct FindingRules {
    books: Vec<Book>,
    table: Option<Table>,
    /// The version that was read, and the number of the first finding that was not.
    read: Option<(i64, i64)>,
}

/// One rule at work.
struct Book {
    rule: Arc<FindingRule>,
    /// Of each alert the findings that are open, with how bad they are.
    open: BTreeMap<Segment, BTreeMap<String, Severity>>,
    /// What was last published of each alert, with its window.
    told: BTreeMap<Segment, (i64, Fact)>,
}

impl FindingRules {
    /// Rules that have seen nothing.
    pub fn new(rules: &Rules) -> Self {
        let book = |rule: &Arc<FindingRule>| Book {
            rule: rule.clone(),
            open: BTreeMap::new(),
            told: BTreeMap::new(),
        };
        Self {
            books: rules.on_findings().map(book).collect(),
            table: None,
            read: None,
        }
    }

    /// Takes over what was published. Actions come in the order of their sequence.
    pub fn take(&mut self, action: &Action) {
        let of = |book: &&mut Book| book.rule.name == action.rule;
        if let Some(book) = self.books.iter_mut().find(of)
            && let Some(segment) = Segment::from_json(&action.segment, &book.rule.by)
        {
            let fact = Fact {
                transition: action.transition,
                revision: action.revision,
            };
            book.told.insert(segment, (action.window_us, fact));
        }
    }

    /// Forgets which findings are open: they are read again.
    pub fn forget(&mut self) {
        self.read = None;
        self.books.iter_mut().for_each(|book| book.open.clear());
    }

    /// What is to be published of findings that are new, and the marks that say so. Alerts are not raised for what was
    /// noticed before the horizon.
    pub async fn decide(
        &mut self,
        lake: &Lake,
        marks: &Marks,
        max_age_us: i64,
    ) -> Result<(Vec<Action>, Vec<(String, i64)>), TriggerError> {
        let mut actions = Vec::new();
        let mut moved = Vec::new();
        if self.books.is_empty() {
            return Ok((actions, moved));
        }
        if self.table.is_none() {
            self.table = lake.existing(FINDINGS).await?;
        }
        let Some(table) = &self.table else {
            return Ok((actions, moved));
        };
        let version = table.refresh().await?;
        if self.read.is_some_and(|(read, _)| read == version) {
            return Ok((actions, moved));
        }
        let from = self.read.map_or(0, |(_, next)| next);
        let found = finding::since(table, from).await?;
        let next = found.last().map_or(from, |last| last.sequence + 1);
        let horizon_us = now_us().saturating_sub(max_age_us);
        for book in &mut self.books {
            let id = progress_id(&book.rule);
            let done = marks.get(&id).copied().unwrap_or(0);
            for finding in &found {
                let Some(segment) = book.see(finding) else {
                    continue;
                };
                if finding.sequence < done {
                    continue;
                }
                let is_history = finding.noticed_us < horizon_us;
                if let Some(decided) = book.decide(&segment, finding, is_history) {
                    let action = book.action(&segment, finding, &decided, version);
                    let fact = Fact {
                        transition: decided.transition,
                        revision: decided.revision,
                    };
                    book.told.insert(segment, (decided.window_us, fact));
                    actions.push(action);
                }
            }
            if next > done {
                moved.push((id, next));
            }
        }
        self.read = Some((version, next));
        Ok((actions, moved))
    }
}

impl Book {
    /// Takes a finding over; the alert that it belongs to, where the rule is about it.
    fn see(&mut self, finding: &Finding) -> Option<Segment> {
        let severity = self.rule.judge(finding)?;
        let segment = self.rule.segment(finding);
        let open = self.open.entry(segment.clone()).or_default();
        if finding.state == FindingState::Open {
            open.insert(finding.finding_id.clone(), severity);
        } else {
            open.remove(&finding.finding_id);
        }
        Some(segment)
    }

    /// What is to be said of an alert after a finding.
    fn decide(&self, segment: &Segment, finding: &Finding, is_history: bool) -> Option<Decided> {
        let worst = self
            .open
            .get(segment)
            .and_then(|open| open.values().max().copied());
        let told = self.told.get(segment).copied();
        decide(told, worst, finding, is_history)
    }

    fn action(
        &self,
        segment: &Segment,
        finding: &Finding,
        decided: &Decided,
        version: i64,
    ) -> Action {
        let samples: Vec<String> = serde_json::from_str(&finding.samples).unwrap_or_default();
        let tables: BTreeMap<String, i64> =
            serde_json::from_str(&finding.tables).unwrap_or_default();
        let evidence = Evidence {
            compared: Compared {
                column: None,
                value: Some(finding.observed),
                threshold: None,
                baseline: Some(finding.reference),
            },
            measure: Some(finding.measure.clone()),
            samples,
            tables: tables
                .into_iter()
                .chain([(FINDINGS.to_owned(), version)])
                .collect(),
        };
        let open = self.open.get(segment);
        let message = Message {
            rule: &self.rule.name,
            segment: segment.to_json(&self.rule.by),
            width_us: finding.window.end_us - finding.window.start_us,
            decided,
            evidence: evidence.to_json(Some(&finding.sql)),
            runbook: self.rule.runbook.as_deref(),
            error: None,
            finding: Some(told(finding, open.map_or(0, BTreeMap::len))),
            count: None,
        };
        message.action()
    }
}

/// The application id of the first finding that a rule has not looked at.
fn progress_id(rule: &FindingRule) -> String {
    format!("{}#finding", rule.app_id())
}

/// What is to be said of an alert whose worst open finding is this bad, after a finding.
fn decide(
    told: Option<(i64, Fact)>,
    worst: Option<Severity>,
    finding: &Finding,
    is_history: bool,
) -> Option<Decided> {
    let (previous, severity) = told.map_or((State::Ok, None), |(_, fact)| {
        (fact.transition.state, Some(fact.transition.severity))
    });
    let held_off = told.is_some_and(|(_, fact)| fact.transition.cause == Cause::Resolved);
    let state = match worst {
        // Resolved by hand: until all of them are over.
        Some(_) if held_off => return None,
        None if held_off => State::Ok,
        Some(worst) if previous.fires() && severity.is_some_and(|told| told >= worst) => {
            return None;
        }
        Some(_) if is_history => return None,
        Some(worst) => State::firing(worst),
        None if previous.fires() => State::Recovered,
        None => return None,
    };
    let width_us = finding.window.end_us - finding.window.start_us;
    let at_us = match finding.ended_us {
        Some(ended_us) => floor(ended_us, width_us),
        None => finding.window.start_us,
    };
    // Findings of other measures may have been noticed later, and be over earlier.
    let window_us = told.map_or(at_us, |(window_us, _)| window_us.max(at_us));
    let revision = match told {
        Some((known_us, fact)) if known_us == window_us => fact.revision + 1,
        _ => 0,
    };
    Some(Decided {
        window_us,
        transition: Transition {
            cause: Cause::Changed,
            state,
            previous,
            severity: worst.or(severity).unwrap_or(Severity::Warning),
            since_us: if state.fires() {
                finding.since_us
            } else {
                window_us
            },
        },
        revision,
    })
}

/// The finding as a message tells it.
fn told(finding: &Finding, open: usize) -> Value {
    let causes: Value = serde_json::from_str(&finding.root_causes).unwrap_or(Value::Null);
    let segment: Value = serde_json::from_str(&finding.segment).unwrap_or(Value::Null);
    json!({
        "finding_id": finding.finding_id,
        "detector": finding.detector,
        "method": finding.method,
        "job": finding.job,
        "measure": finding.measure,
        "segment": segment,
        "since": farol_jobs::time::rfc3339(finding.since_us),
        "effect": finding.effect,
        "effect_low": finding.effect_low,
        "effect_high": finding.effect_high,
        "statistic": finding.statistic,
        "statistic_value": finding.statistic_value,
        "threshold": finding.threshold,
        "root_causes": causes,
        "open_findings": open,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(window_us: i64, ended_us: Option<i64>) -> Finding {
        let mut finding = Finding::example();
        finding.window.start_us = window_us;
        finding.window.end_us = window_us + 60;
        finding.ended_us = ended_us;
        finding
    }

    #[test]
    fn an_alert_fires_with_its_first_finding_and_recovers_with_its_last() {
        use Severity::{Critical, Warning};
        let mut told = None;
        let mut said = Vec::new();
        for (worst, window_us, ended_us, is_history) in [
            (Some(Warning), 0, None, true),
            (None, 0, Some(120), true),
            (Some(Warning), 240, None, false),
            (Some(Warning), 300, None, false),
            (Some(Critical), 300, None, false),
            (Some(Critical), 240, Some(360), false),
            (None, 300, Some(330), false),
        ] {
            let one = finding(window_us, ended_us);
            if let Some(decided) = decide(told, worst, &one, is_history) {
                let Decided {
                    window_us,
                    transition,
                    revision,
                } = decided;
                said.push((window_us, revision, transition.state, transition.severity));
                let fact = Fact {
                    transition,
                    revision,
                };
                told = Some((window_us, fact));
            }
        }
        assert_eq!(
            said,
            [
                (240, 0, State::Warning, Warning),
                (300, 0, State::Alert, Critical),
                (300, 1, State::Recovered, Critical),
            ]
        );
    }
}
