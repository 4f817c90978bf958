//! Budgets at work: what each spent and what was told of it, both caches; and the step that brings them together.
//!
//! ```text
//! partials of spend, billing ──read (what is new)──▶ usage ──┐
//! actions table ──▶ facts ───────────────────────────────────┼──▶ ledger (pure) ──▶ message ──▶ actions table
//! the job's watermark; the mark #since_us ──▶ clock ─────────┘
//! ```
//!
//! A budget is looked at after each commit of partials, not at a window's end. What is read again after a failure or another
//! instance's commit gives the same answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use farol_jobs::{Jobs, Segment};
use farol_lake::{Lake, Marks};

use super::definition::Budget;
use super::facts::Facts;
use super::ledger::{Clock, decide, usage_from_us};
use super::load::Budgets;
use super::message::{BUDGET, Grounds, Told, action, removal, segment_of, told};
use super::period::Span;
use super::read::{News, add, everything, news};
use super::standing::Status;
use super::usage::{SEGMENTS_MAX, Usage};
use crate::action::Action;
use crate::closing::Closing;
use crate::error::TriggerError;
use crate::look::{Look, Partials};
use crate::outbox::MARKS;

/// Actions of one step; the rest is told by the next.
const ACTIONS_MAX: usize = 10_000;

/// Before every row that there can be.
const ALL_US: i64 = i64::MIN / 4;

/// One budget at work.
pub(crate) struct Book {
    pub budget: Arc<Budget>,
    pub usage: Usage,
    pub facts: BTreeMap<Segment, Facts>,
    /// Segments to decide.
    due: BTreeSet<Segment>,
    /// The period that was open when it was last decided; `None`: every segment is due.
    open: Option<Span>,
    /// Why some of its spend is not counted.
    failure: Option<String>,
}

/// Every budget at work.
pub(crate) struct Books {
    pub all: Vec<Book>,
    /// What was last told of budgets, or scopes of them, that are no more.
    gone: BTreeMap<(String, String), Told>,
    /// The version of each job's partials that was read. Empty: everything is to be read.
    read: BTreeMap<String, i64>,
}

/// What a job has come to, for budgets.
type Looks = BTreeMap<&'static str, Look>;

impl Books {
    /// Budgets of which nothing is known yet.
    pub fn new(budgets: &Budgets) -> Self {
        let book = |budget: &Arc<Budget>| Book {
            budget: budget.clone(),
            usage: Usage::default(),
            facts: BTreeMap::new(),
            due: BTreeSet::new(),
            open: None,
            failure: None,
        };
        Self {
            all: budgets.iter().map(book).collect(),
            gone: BTreeMap::new(),
            read: BTreeMap::new(),
        }
    }

    /// Takes over what was told, if it is about budgets. In the order of the table.
    ///
    /// # Errors
    /// Where another version wrote what this one does not understand.
    pub fn take(&mut self, action: &Action) -> Result<(), TriggerError> {
        if action.kind != BUDGET {
            return Ok(());
        }
        let told = told(action)?;
        let book = self
            .all
            .iter_mut()
            .find(|book| book.budget.name == action.rule);
        let own = book.and_then(|book| {
            let segment = segment_of(&book.budget, &action.segment)?;
            Some((book, segment))
        });
        let Some((book, segment)) = own else {
            if told.is_state {
                let key = (action.rule.clone(), action.segment.clone());
                if told.said.is_some() {
                    self.gone.insert(key, told);
                } else {
                    self.gone.remove(&key);
                }
            }
            return Ok(());
        };
        // What was told in another currency is of another budget, whose state this one's replaces.
        if told.currency == book.budget.currency {
            let facts = book.facts.entry(segment).or_default();
            match told.said {
                Some(said) => facts.take(told.span, told.revision, said),
                None => facts.take_removal(told.span, told.revision),
            }
        }
        Ok(())
    }

    /// Notes that others may have told something: everything is decided again.
    pub fn forget(&mut self) {
        for book in &mut self.all {
            book.open = None;
        }
    }

    /// Why budgets do not count what they should.
    pub fn failed(&self) -> impl Iterator<Item = String> {
        let told = |book: &Book| {
            Some(format!(
                "budget {}: {}",
                book.budget.name,
                book.failure.as_ref()?
            ))
        };
        self.all.iter().filter_map(told)
    }

    /// Looks at what is new, and says what is to be told, and the marks that say so.
    ///
    /// # Errors
    /// Where partials cannot be read.
    pub async fn decide(
        &mut self,
        lake: &Lake,
        jobs: &Jobs,
        partials: &mut Partials,
        marks: &Marks,
        closing: Closing,
    ) -> Result<(Vec<Action>, Vec<(String, i64)>), TriggerError> {
        let (mut actions, mut moved) = (Vec::new(), Vec::new());
        for ((budget, scope), last) in &self.gone {
            actions.push(removal(last, budget, scope));
        }
        if self.all.is_empty() {
            return Ok((actions, moved));
        }
        let looks = self.looks(lake, jobs, partials).await?;
        self.catch_up(&looks, marks).await?;
        for book in &mut self.all {
            if actions.len() >= ACTIONS_MAX {
                break;
            }
            let Some(clock) = book.clock(&looks, marks, closing) else {
                continue;
            };
            let id = since_id(&book.budget.name);
            if !marks.contains_key(&id) {
                moved.push((id, clock.since_us));
            }
            let tables = book.tables(&looks);
            let told = book.decide(clock, &tables, ACTIONS_MAX - actions.len());
            if !told.is_empty() {
                let versions = tables
                    .iter()
                    .map(|(name, version)| (version_id(&book.budget.name, name), *version));
                // A mark only grows; a table that was made anew begins at 0 again.
                let grown = versions
                    .filter(|(id, version)| marks.get(id).is_none_or(|known| known < version));
                moved.extend(grown);
            }
            actions.extend(told);
        }
        Ok((actions, moved))
    }

    /// Reads what budgets spent, and says what time it is for each, for who only looks.
    pub async fn read_for_report(
        &mut self,
        lake: &Lake,
        jobs: &Jobs,
        partials: &mut Partials,
        marks: &Marks,
    ) -> Result<Vec<Option<Clock>>, TriggerError> {
        let looks = self.looks(lake, jobs, partials).await?;
        self.catch_up(&looks, marks).await?;
        // Where there is no watermark yet, the newest spend says what time it is.
        let clock = |book: &Book| {
            book.clock(&looks, marks, Closing::Watermark)
                .or_else(|| book.clock(&looks, marks, Closing::Everything))
        };
        Ok(self.all.iter().map(clock).collect())
    }

    /// What each job that a budget reads has come to.
    async fn looks(
        &self,
        lake: &Lake,
        jobs: &Jobs,
        partials: &mut Partials,
    ) -> Result<Looks, TriggerError> {
        let sources = self.all.iter().flat_map(|book| book.budget.source.reads());
        let names: BTreeSet<_> = sources.map(|(job, _)| *job).collect();
        let mut looks = Looks::new();
        for name in names {
            let Some(job) = jobs.get(name) else { continue };
            if let Some(table) = partials.of(lake, job).await?
                // One that was changed is read when its partials are computed anew.
                && farol_jobs::is_readable(job, &table)
            {
                looks.insert(name, Look::at(table, job).await?);
            }
        }
        Ok(looks)
    }

    /// Reads what is new; or everything, where what is new is not all.
    async fn catch_up(&mut self, looks: &Looks, marks: &Marks) -> Result<(), TriggerError> {
        let mut found = Vec::new();
        for (job, look) in looks {
            let news = match self.read.get(*job) {
                Some(known) => news(&look.partials, *known, look.version).await?,
                None => News::Everything,
            };
            match news {
                News::Nothing => {}
                News::Rows(rows, version) => found.push((*job, rows, version)),
                News::Everything => return self.read_again(looks, marks).await,
            }
        }
        for (job, rows, version) in found {
            // What was added of one job before another failed must not be added twice.
            let added = self.add(job, rows).await;
            if added.is_err() {
                self.read.clear();
                return added;
            }
            self.read.insert(job.to_owned(), version);
        }
        Ok(())
    }

    async fn read_again(&mut self, looks: &Looks, marks: &Marks) -> Result<(), TriggerError> {
        self.read.clear();
        let mut from_us = i64::MAX;
        for book in &mut self.all {
            // Segments that have no spend any more are decided too.
            book.usage.clear();
            book.open = None;
            book.failure = None;
            let clock = book.clock(looks, marks, Closing::Watermark);
            let needed = clock.and_then(|clock| usage_from_us(&book.budget, clock));
            from_us = from_us.min(needed.unwrap_or(ALL_US));
        }
        for (job, look) in looks {
            let rows = everything(&look.partials, look.version, from_us).await?;
            self.add(job, rows).await?;
        }
        // Only now: where one failed, all is read again.
        for (job, look) in looks {
            self.read.insert((*job).to_owned(), look.version);
        }
        Ok(())
    }

    async fn add(
        &mut self,
        job: &str,
        rows: datafusion::prelude::DataFrame,
    ) -> Result<(), TriggerError> {
        let mut places = Vec::new();
        let mut reading = Vec::new();
        for (place, book) in self.all.iter_mut().enumerate() {
            if book
                .budget
                .source
                .reads()
                .iter()
                .any(|(name, _)| *name == job)
            {
                places.push(place);
                reading.push((book.budget.as_ref(), &mut book.usage));
            }
        }
        let full = add(rows, job, &mut reading).await?;
        for place in full {
            let by = self.all[places[place]]
                .budget
                .by
                .clone()
                .unwrap_or_default();
            let failure = format!(
                "`{by}` has more than {SEGMENTS_MAX} values; what the others spend is not counted"
            );
            self.all[places[place]].failure = Some(failure);
        }
        Ok(())
    }
}

impl Book {
    /// How far event time is: the watermark of the first job that it reads, and never back.
    fn clock(&self, looks: &Looks, marks: &Marks, closing: Closing) -> Option<Clock> {
        let (job, _) = self.budget.source.reads().first()?;
        let mut as_of_us = looks.get(job)?.progress.watermark_us;
        if closing == Closing::Everything {
            as_of_us = as_of_us.max(self.usage.newest_us());
        }
        let since_us = marks.get(&since_id(&self.budget.name)).copied();
        // A drain may have opened a period ahead of the watermark; a job's replacement may take the watermark back.
        let told = self.facts.values().filter_map(|facts| {
            let (span, _) = facts.state()?;
            let is_own =
                !self.budget.is_rolling() && self.budget.period_at(span.start_us) == Some(*span);
            is_own.then_some(span.start_us)
        });
        let as_of_us = as_of_us.max(since_us).max(told.max())?;
        Some(Clock {
            since_us: since_us.unwrap_or(as_of_us),
            as_of_us,
        })
    }

    fn tables(&self, looks: &Looks) -> Vec<(String, i64)> {
        let reads = self.budget.source.reads().iter();
        let looks = reads.filter_map(|(job, _)| looks.get(job));
        looks
            .map(|look| (look.table_name.clone(), look.version))
            .collect()
    }

    /// What is to be told of the segments that are due, at most so much.
    fn decide(&mut self, clock: Clock, tables: &[(String, i64)], most: usize) -> Vec<Action> {
        let open = self.budget.period_at(clock.as_of_us);
        let touched = self.usage.take_touched();
        if self.open.is_none() || self.open != open {
            self.due.extend(self.usage.segments().cloned());
            self.due.extend(self.facts.keys().cloned());
            if self.budget.by.is_none() {
                self.due.insert(Segment(Vec::new()));
            }
            if let Some(from_us) = usage_from_us(&self.budget, clock) {
                self.usage.forget_before(from_us);
                self.facts
                    .values_mut()
                    .for_each(|facts| facts.forget_before(from_us));
            }
        } else {
            self.due.extend(touched);
        }
        self.open = open;
        let mut actions = Vec::new();
        let nothing = Facts::default();
        while actions.len() < most
            && let Some(segment) = self.due.pop_first()
        {
            let facts = self.facts.get(&segment).unwrap_or(&nothing);
            let previous = facts.state().map(|(_, standing)| standing.status());
            let grounds = Grounds {
                as_of_us: clock.as_of_us,
                tables,
                previous: Some(previous.unwrap_or(Status::Ok)),
            };
            let decided = decide(&self.budget, &segment, &self.usage, facts, clock);
            actions.extend(
                decided
                    .iter()
                    .map(|one| action(&self.budget, one, &grounds)),
            );
        }
        actions
    }
}

/// The application id of the event time at which a budget was first looked at.
pub(crate) fn since_id(budget: &str) -> String {
    format!("{MARKS}/budget/{budget}#since_us")
}

/// The application id of the version of a table that a budget's last actions were made of.
fn version_id(budget: &str, table: &str) -> String {
    format!("{MARKS}/budget/{budget}#{table}")
}
