//! A failing job as an alert of its own. No rule can tell it: what a failing job lacks is measures.
//!
//! ```text
//! what the role `jobs` notes beside the partials ──▶ seen for a while ──▶ decide (pure) ──▶ actions table
//!                                                        what was published ──┘
//! ```
//!
//! The alert's window is the one that the job has come to, by its watermark; a second alert at the same place is a
//! higher revision. The clock decides only when to look, and that a failure must last: no message is made of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use farol_jobs::{Job, Jobs, Progress, progress};
use farol_lake::{Lake, Table};
use serde_json::{Value, json};

use crate::action::{Action, Evidence, Message};
use crate::error::TriggerError;
use crate::lifecycle::{Cause, Decided, Fact, State, Transition};
use crate::look::Partials;
use crate::rule::Severity;

/// The name under which it is told. No rule of a file can have it.
pub(crate) const RULE: &str = "job-failing";

/// How often what jobs note is read.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// How long a job must fail, or go on well again, before that is told: a store that was away for a moment wakes nobody.
const LASTS: Duration = Duration::from_secs(10);

/// What is known of the jobs' failures.
#[derive(Default)]
pub(crate) struct JobFailures {
    looked: Option<Instant>,
    /// Since when each job fails, or does not.
    seen: BTreeMap<String, (bool, Instant)>,
    /// What was last published of each job, with its window.
    told: BTreeMap<String, (i64, Fact)>,
}

impl JobFailures {
    /// Takes over what was published. Actions come in the order of their sequence.
    pub fn take(&mut self, action: &Action) {
        let segment = serde_json::from_str::<Value>(&action.segment).unwrap_or_default();
        if let Some(job) = segment["job"].as_str().filter(|_| action.rule == RULE) {
            let fact = Fact {
                transition: action.transition,
                revision: action.revision,
            };
            self.told.insert(job.to_owned(), (action.window_us, fact));
        }
    }

    /// Looks at every job, if it is time to, and says what is to be published.
    pub async fn decide(
        &mut self,
        lake: &Lake,
        jobs: &Jobs,
        partials: &mut Partials,
    ) -> Result<Vec<Action>, TriggerError> {
        let now = Instant::now();
        if self.looked.is_some_and(|at| now - at < LOOK_INTERVAL) {
            return Ok(Vec::new());
        }
        self.looked = Some(now);
        let mut actions = Vec::new();
        for job in jobs.iter() {
            let Some(table) = partials.of(lake, job).await? else {
                continue;
            };
            let error = progress::failure(&table).await?;
            if self.lasts(job.name(), error.is_some(), now) {
                actions.extend(self.look(job, &table, error.as_deref()).await?);
            }
        }
        Ok(actions)
    }

    /// Whether a job has failed, or not failed, for long enough.
    fn lasts(&mut self, job: &str, fails: bool, now: Instant) -> bool {
        let seen = self.seen.entry(job.to_owned()).or_insert((fails, now));
        if seen.0 != fails {
            *seen = (fails, now);
        }
        now - seen.1 >= LASTS
    }

    async fn look(
        &self,
        job: &Job,
        table: &Table,
        error: Option<&str>,
    ) -> Result<Option<Action>, TriggerError> {
        let told = self.told.get(job.name()).copied();
        let held_off = told.is_some_and(|(_, fact)| fact.transition.cause == Cause::Resolved);
        let fires = told.is_some_and(|(_, fact)| fact.transition.state.fires());
        if (held_off || fires) == error.is_some() {
            return Ok(None);
        }
        let (version, marks) = table.version_and_marks(&job.app_id()).await?;
        let watermark_us = Progress::of(job, &marks).watermark_us;
        let at_us = watermark_us.map_or(0, |time_us| job.window().start_of(time_us));
        let Some(decided) = decide(told, error.is_some(), at_us) else {
            return Ok(None);
        };
        let evidence = Evidence {
            tables: vec![(job.table_name(), version)],
            ..Evidence::default()
        };
        let message = Message {
            rule: RULE,
            segment: json!({"job": job.name()}),
            width_us: job.window().micros(),
            decided: &decided,
            evidence: evidence.to_json(None),
            runbook: None,
            error,
            finding: None,
        };
        Ok(Some(message.action()))
    }
}

/// What is to be said of a job that fails, or does not, and has come to a window.
fn decide(told: Option<(i64, Fact)>, fails: bool, at_us: i64) -> Option<Decided> {
    let previous = told.map_or(State::Ok, |(_, fact)| fact.transition.state);
    let held_off = told.is_some_and(|(_, fact)| fact.transition.cause == Cause::Resolved);
    let state = match (previous.fires(), fails) {
        // Resolved by hand: until it goes on well.
        (_, true) if held_off => return None,
        (_, false) if held_off => State::Ok,
        (false, true) => State::Alert,
        (true, false) => State::Recovered,
        _ => return None,
    };
    // A replacement of all its past can take a job's watermark back; what is told goes on.
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
            severity: Severity::Critical,
            since_us: window_us,
        },
        revision,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_and_its_end_are_told_once_each_and_no_two_alike() {
        let mut told = None;
        let mut said = Vec::new();
        for (fails, at_us) in [
            (false, 0),
            (true, 60),
            (true, 60),
            (false, 60),
            (false, 120),
            (true, 120),
            (false, 30),
        ] {
            if let Some(decided) = decide(told, fails, at_us) {
                let Decided {
                    window_us,
                    transition,
                    revision,
                } = decided;
                told = Some((
                    window_us,
                    Fact {
                        transition,
                        revision,
                    },
                ));
                said.push((window_us, revision, transition.previous, transition.state));
            }
        }
        assert_eq!(
            said,
            [
                (60, 0, State::Ok, State::Alert),
                (60, 1, State::Alert, State::Recovered),
                (120, 0, State::Recovered, State::Alert),
                (120, 1, State::Alert, State::Recovered),
            ]
        );
    }

    #[test]
    fn what_does_not_last_is_not_told() {
        let mut failures = JobFailures::default();
        let start = Instant::now();
        let mut at =
            |seconds, fails| failures.lasts("spend", fails, start + Duration::from_secs(seconds));
        assert!(!at(0, true));
        assert!(!at(9, true));
        assert!(!at(10, false), "it went on well in between");
        assert!(!at(12, true));
        assert!(!at(21, true));
        assert!(at(22, true));
    }
}
