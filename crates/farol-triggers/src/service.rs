//! The service: one step reads one version of the inputs, evaluates the windows that are closed, and commits what it
//! decides with how far it read.
//!
//! **Exactly once.** What is to be published is a function of the rows, and of what was published before (see
//! [`crate::lifecycle`]). A commit of decisions demands the mark `farol/trigger#step` where the last read of the
//! `actions` table found it. So nobody decides over facts that are out of date: of two instances at once one wins, and the
//! other reads the facts again. A process that dies leaves either all of a step's decisions or none, and whoever
//! comes next finds only what is missing.

use std::collections::{BTreeMap, BTreeSet};

use fail::fail_point;
use farol_jobs::{Jobs, views};
use farol_lake::sql::Session;
use farol_lake::{ACTIONS, Commit, Lake, Marks, Outcome, Step, Table, TableSpec};

use crate::action::{Action, action};
use crate::attention::{Attending, depths, watermark_of};
use crate::book::Book;
use crate::budget::{self, BUDGET};
use crate::closing::{closed, due, everything, present};
use crate::error::TriggerError;
use crate::evidence::evidence;
use crate::ingest_stall::{IngestStalls, InputStanding};
use crate::job_failure::JobFailures;
use crate::look::{Changes, Look, Partials};
use crate::on_events::EventRules;
use crate::on_findings::FindingRules;
use crate::outbox::{self, MARKS, NEXT_ACTION, STEP};
use crate::rule::Rules;
use farol_detectors::samples::Inputs;
use farol_jobs::time::{floor, now_us};

/// Actions that one commit holds.
const ACTIONS_MAX: usize = 10_000;

pub use crate::closing::Closing;

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// Nothing was to be said.
    Level,
    /// Something was committed.
    Advanced {
        /// Rows of the `actions` table.
        actions: usize,
    },
    /// Another instance was faster; what it said is read again.
    Overtaken,
}

/// Triggers at work.
pub struct Service {
    lake: Lake,
    jobs: Jobs,
    session: Session,
    actions: Table,
    max_age_us: i64,
    books: Vec<Book>,
    partials: Partials,
    inputs: Inputs,
    failures: JobFailures,
    stalls: IngestStalls,
    on_findings: FindingRules,
    on_events: EventRules,
    attending: Attending,
    budgets: budget::Books,
    /// The number of the first action that was not read.
    read_to: i64,
    /// The marks of the `actions` table, as the facts were read; `None`: they are to be read.
    marks: Option<Marks>,
}

/// A step's decisions, before they are committed.
struct Decisions {
    actions: Vec<Action>,
    marks: Vec<(String, i64)>,
}

impl Service {
    /// Opens the `actions` table, and creates it where there is none. Without a standing of the input nothing is said of ingest.
    ///
    /// # Errors
    /// Where the lake cannot be read or written.
    pub async fn open(
        lake: &Lake,
        jobs: &Jobs,
        rules: &Rules,
        max_age_us: i64,
        standing: Option<InputStanding>,
    ) -> Result<Self, TriggerError> {
        let actions = lake.table(ACTIONS, &TableSpec::actions()).await?;
        let session = Session::open(lake).await?;
        // Causes first: what mutes an alert is known when it is decided.
        let depths = depths(rules.attention());
        let mut books: Vec<_> = rules.iter().cloned().map(Book::new).collect();
        books.sort_by_key(|book| depths.get(&book.rule.name));
        Ok(Self {
            lake: lake.clone(),
            jobs: jobs.clone(),
            session,
            actions,
            max_age_us,
            books,
            partials: Partials::default(),
            inputs: Inputs::default(),
            failures: JobFailures::default(),
            stalls: IngestStalls::new(standing),
            on_findings: FindingRules::new(rules),
            on_events: EventRules::new(rules),
            attending: Attending::new(rules),
            budgets: budget::Books::new(&rules.budgets),
            read_to: 0,
            marks: None,
        })
    }

    /// Takes one step.
    ///
    /// # Errors
    /// Where measures cannot be read, or the lake fails. Nothing of the step is in the table then, or, where the answer
    /// was lost, all of it; the next step looks.
    pub async fn step(&mut self, closing: Closing) -> Result<Stepped, TriggerError> {
        let marks = self.facts().await?;
        let decisions = self.decide(&marks, closing).await?;
        if decisions.marks.is_empty() {
            return Ok(Stepped::Level);
        }
        self.commit(&marks, decisions).await
    }

    /// What was published, as it stands in the table. After another instance's commit it is read again.
    async fn facts(&mut self) -> Result<Marks, TriggerError> {
        if let Some(marks) = &self.marks {
            return Ok(marks.clone());
        }
        // The marks first: rows of a later commit than theirs make the step's guard fail.
        let marks = self.actions.marks(MARKS).await?;
        // Rows are only ever added, in the order of their numbers: those that were read stay as they are.
        for action in outbox::read(&self.actions, self.read_to, None).await? {
            self.take(&action)?;
        }
        self.on_findings.forget();
        self.on_events.forget(&marks);
        self.budgets.forget();
        for book in &mut self.books {
            book.resume(&marks);
        }
        self.marks = Some(marks.clone());
        Ok(marks)
    }

    fn take(&mut self, action: &Action) -> Result<(), TriggerError> {
        self.read_to = self.read_to.max(action.sequence + 1);
        // A budget may have the name of a rule.
        if action.kind == BUDGET {
            return self.budgets.take(action);
        }
        self.attending.take(action);
        if !action.transition.cause.is_of_lifecycle() {
            return Ok(());
        }
        self.failures.take(action);
        self.stalls.take(action);
        self.on_findings.take(action);
        self.on_events.take(action);
        let book = self
            .books
            .iter_mut()
            .find(|book| book.rule.name == action.rule);
        if let Some(book) = book {
            book.publish(action);
        }
        Ok(())
    }

    async fn decide(&mut self, marks: &Marks, closing: Closing) -> Result<Decisions, TriggerError> {
        let mut decisions = Decisions {
            actions: Vec::new(),
            marks: Vec::new(),
        };
        // Every job is looked at before the session's rows are: so rows are never older than the version that is
        // noted as read, and what comes after is read by the next step.
        let looks = self.looks().await?;
        if let Some(said) = self.attending.refresh(&self.lake).await? {
            self.books.iter_mut().for_each(|book| book.hear(&said));
            self.on_events.hear(&said);
        }
        let mut registered = false;
        let mut changes = Changes::default();
        for place in 0..self.books.len() {
            let rule = self.books[place].rule.clone();
            let Some(look) = looks.get(&rule.job) else {
                continue;
            };
            changes.note(&mut self.books[place], look).await?;
            let watermark_us = watermark_of(&rule, &self.books, &looks);
            if !due(&self.books[place], watermark_us, closing) {
                continue;
            }
            if !registered {
                views::register(&self.session, &self.jobs).await?;
                registered = true;
            }
            match self.decide_rule(place, look, watermark_us, closing).await {
                Ok(Some((closed_us, actions))) => {
                    self.books[place].failure = None;
                    decisions.actions.extend(actions);
                    let moved = self.books[place].progress(marks, closed_us, look.version);
                    decisions.marks.extend(moved);
                }
                Ok(None) => {}
                Err(error) if error.is_of_the_rule() => self.books[place].fail(&error),
                Err(error) => return Err(error),
            }
            if decisions.actions.len() >= ACTIONS_MAX {
                break;
            }
        }
        let failing = self
            .failures
            .decide(&self.lake, &self.jobs, &mut self.partials)
            .await?;
        decisions.actions.extend(failing);
        decisions.actions.extend(self.stalls.decide());
        let (found, moved) = self
            .on_findings
            .decide(&self.lake, marks, self.max_age_us)
            .await?;
        decisions.actions.extend(found);
        decisions.marks.extend(moved);
        let (found, moved) = self
            .on_events
            .decide(&self.lake, marks, self.max_age_us)
            .await?;
        decisions.actions.extend(found);
        decisions.marks.extend(moved);
        let books = self.books.iter().chain(self.on_events.books());
        decisions.actions = self.attending.attend(books, decisions.actions);
        let (told, moved) = self
            .budgets
            .decide(&self.lake, &self.jobs, &mut self.partials, marks, closing)
            .await?;
        decisions.actions.extend(told);
        decisions.marks.extend(moved);
        let next = marks.get(NEXT_ACTION).copied().unwrap_or(0);
        for (place, action) in decisions.actions.iter_mut().enumerate() {
            action.sequence = next + place as i64;
        }
        if !decisions.actions.is_empty() {
            let next = next + decisions.actions.len() as i64;
            decisions.marks.push((NEXT_ACTION.to_owned(), next));
        }
        Ok(decisions)
    }

    /// What each job that a rule reads has come to.
    async fn looks(&mut self) -> Result<BTreeMap<String, Look>, TriggerError> {
        let read: BTreeSet<_> = self
            .books
            .iter()
            .map(|book| book.rule.job.clone())
            .collect();
        let mut looks = BTreeMap::new();
        for name in read {
            let Some(job) = self.jobs.get(&name).cloned() else {
                continue;
            };
            if let Some(table) = self.partials.of(&self.lake, &job).await? {
                looks.insert(name, Look::at(table, &job).await?);
            }
        }
        Ok(looks)
    }

    /// What one rule says: the end of the windows that it has evaluated, and what is to be published.
    async fn decide_rule(
        &mut self,
        place: usize,
        look: &Look,
        watermark_us: Option<i64>,
        closing: Closing,
    ) -> Result<Option<(i64, Vec<Action>)>, TriggerError> {
        let book = &mut self.books[place];
        let now_us = now_us();
        let known_us = closed(book, watermark_us);
        // Until their rows are read, all up to the present.
        let reach_us = match closing {
            Closing::Watermark => known_us,
            Closing::Everything => known_us.max(Some(present(book, now_us))),
        };
        let Some(reach_us) = reach_us else {
            return Ok(None);
        };
        let horizon_us = now_us.saturating_sub(self.max_age_us);
        let rows_from_us = book.rows_from_us(book.range(horizon_us, reach_us));
        if let Some(dirty_us) = book.dirty_us.take() {
            let from_us = floor(dirty_us.max(rows_from_us), book.rule.window_us);
            let rule = book.rule.clone();
            if let Err(error) = book.history.load(&self.session, &rule, from_us, None).await {
                book.dirty_us = Some(dirty_us);
                return Err(error);
            }
            book.unjudge_from(from_us);
        }
        book.history.forget_before(rows_from_us);
        // Only now it is known what there is.
        let closed_us = match closing {
            Closing::Watermark => Some(reach_us),
            Closing::Everything => everything(book, known_us, now_us),
        };
        book.stale = false;
        let Some(closed_us) = closed_us else {
            return Ok(None);
        };
        let decided = book.decide(book.range(horizon_us, closed_us));
        let versions = vec![(look.table_name.clone(), look.version)];
        let rule = book.rule.clone();
        let shown = !decided.is_empty() && rule.reads == "traces";
        let input = if shown {
            self.inputs.open(&self.lake, &rule.reads).await?
        } else {
            None
        };
        let book = &self.books[place];
        let evidence = evidence(book, &decided, input.as_ref(), &versions).await?;
        let actions = decided
            .iter()
            .zip(&evidence)
            .map(|((segment, one), evidence)| action(&rule, segment, one, evidence))
            .collect();
        self.books[place].closed_us = Some(closed_us);
        Ok(Some((closed_us, actions)))
    }

    /// Rules that could not be evaluated when they were last tried, and why.
    pub fn failed(&self) -> Vec<String> {
        let of_rules = self.books.iter().filter_map(Book::failed);
        let of_rules = of_rules.chain(self.on_events.failed());
        of_rules.chain(self.budgets.failed()).collect()
    }

    async fn commit(
        &mut self,
        marks: &Marks,
        decisions: Decisions,
    ) -> Result<Stepped, TriggerError> {
        let mut uploads = Vec::new();
        if !decisions.actions.is_empty() {
            let batch = outbox::to_batch(&decisions.actions)?;
            uploads.push(self.actions.upload(None, vec![batch]).await?);
        }
        let from = marks.get(STEP).copied();
        let mut to = decisions.marks;
        to.push((STEP.to_owned(), from.unwrap_or(0) + 1));
        let step = Step {
            guard: STEP.to_owned(),
            from,
            marks: to.clone(),
        };
        let commit = Commit::append(vec![step], uploads);
        // Whatever comes of it, what is held may be out of date.
        self.marks = None;
        fail_point!("triggers.before_commit", |_| Err(TriggerError::Failpoint(
            "triggers.before_commit"
        )));
        let outcome = self.actions.commit(&commit).await?;
        fail_point!("triggers.after_commit", |_| Err(TriggerError::Failpoint(
            "triggers.after_commit"
        )));
        if let Outcome::Overtaken { .. } = outcome {
            return Ok(Stepped::Overtaken);
        }
        let mut known = marks.clone();
        known.extend(to);
        self.marks = Some(known);
        let kinds: BTreeSet<_> = decisions
            .actions
            .iter()
            .map(|action| action.kind.clone())
            .collect();
        for kind in kinds {
            let count = decisions
                .actions
                .iter()
                .filter(|action| action.kind == kind)
                .count();
            metrics::counter!("farol_actions_total", "kind" => kind).increment(count as u64);
        }
        for action in &decisions.actions {
            tracing::info!(
                rule = action.rule,
                segment = action.segment,
                state = action.transition.state.as_str(),
                revision = action.revision,
                "decided"
            );
            self.take(action)?;
        }
        Ok(Stepped::Advanced {
            actions: decisions.actions.len(),
        })
    }
}
