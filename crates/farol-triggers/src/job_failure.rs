//! A failing job as an alert of its own. No rule can tell it: what a failing job lacks is measures.
//!
//! ```text
//! what the role `jobs` notes beside the partials ──▶ seen for a while ──▶ decide (pure) ──▶ actions table
//!                                                        what was published ──┘
//! ```
//!
//! The alert's window is the one that the job has come to, by its watermark; a second alert at the same place is a
//! higher revision. The clock decides only when to look, and that a failure must last: no message is made of it.

use std::time::{Duration, Instant};

use farol_jobs::{Job, Jobs, Progress, progress};
use farol_lake::{Lake, Table};
use serde_json::{Value, json};

use crate::action::{Action, Evidence, Message};
use crate::error::TriggerError;
use crate::failing::Failing;
use crate::look::Partials;

/// The name under which it is told. No rule of a file can have it.
pub(crate) const RULE: &str = "job-failing";

/// Where a person reads what to do.
const RUNBOOK: &str = "docs/runbooks/job-failing.md";

/// How often what jobs note is read.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// How long a job must fail, or go on well again, before that is told: a store that was away for a moment wakes nobody.
const LASTS: Duration = Duration::from_secs(10);

/// What is known of the jobs' failures.
pub(crate) struct JobFailures {
    looked: Option<Instant>,
    /// Which job fails, or does not.
    failing: Failing,
}

impl Default for JobFailures {
    fn default() -> Self {
        Self {
            looked: None,
            failing: Failing::new(LASTS),
        }
    }
}

impl JobFailures {
    /// Takes over what was published. Actions come in the order of their sequence.
    pub fn take(&mut self, action: &Action) {
        let segment = serde_json::from_str::<Value>(&action.segment).unwrap_or_default();
        if let Some(job) = segment["job"].as_str().filter(|_| action.rule == RULE) {
            self.failing.take(job, action);
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
            if self.failing.lasts(job.name(), error.is_some(), now) {
                actions.extend(self.look(job, &table, error.as_deref()).await?);
            }
        }
        Ok(actions)
    }

    async fn look(
        &self,
        job: &Job,
        table: &Table,
        error: Option<&str>,
    ) -> Result<Option<Action>, TriggerError> {
        if self.failing.is_told(job.name()) == error.is_some() {
            return Ok(None);
        }
        let (version, marks) = table.version_and_marks(&job.app_id()).await?;
        let watermark_us = Progress::of(job, &marks).watermark_us;
        let at_us = watermark_us.map_or(0, |time_us| job.window().start_of(time_us));
        let Some(decided) = self.failing.decide(job.name(), error.is_some(), at_us) else {
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
            runbook: Some(RUNBOOK),
            error,
            finding: None,
            count: None,
        };
        Ok(Some(message.action()))
    }
}
