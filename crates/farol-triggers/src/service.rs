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
use farol_jobs::{Job, Jobs, Progress, views};
use farol_lake::sql::Session;
use farol_lake::{
    ACTIONS, AdditionLimits, Commit, Lake, LakeError, Marks, Outcome, Step, Table, TableSpec,
};
use futures::TryStreamExt as _;

use crate::action::{Action, Evidence, action, has_samples};
use crate::book::{Book, Failure};
use crate::error::TriggerError;
use crate::history::Before;
use crate::lifecycle::{Decided, State};
use crate::outbox::{self, MARKS, NEXT_ACTION, STEP};
use crate::rule::{Rule, Rules};
use crate::samples;
use crate::segment::Segment;
use crate::time::{floor, now_us};

/// What one look at new partials may take; more is read as a whole.
const LIMITS: AdditionLimits = AdditionLimits {
    versions: 1_000,
    bytes: 256 << 20,
};

/// Actions that one commit holds.
const ACTIONS_MAX: usize = 10_000;

/// Times that a version is looked for between two others' commits, before it is named as it was first found.
const STEADY_LOOKS: u32 = 3;

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

/// Which windows count as closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// Those whose end the watermark has passed.
    Watermark,
    /// All that have rows: nothing more will come.
    Everything,
}

/// Triggers at work.
pub struct Service {
    lake: Lake,
    jobs: Jobs,
    session: Session,
    actions: Table,
    max_age_us: i64,
    books: Vec<Book>,
    /// The jobs' tables of partials that were there when they were looked for.
    partials: BTreeMap<String, Table>,
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
    /// Opens the `actions` table, and creates it where there is none.
    ///
    /// # Errors
    /// Where the lake cannot be read or written.
    pub async fn open(
        lake: &Lake,
        jobs: &Jobs,
        rules: &Rules,
        max_age_us: i64,
    ) -> Result<Self, TriggerError> {
        let actions = lake.table(ACTIONS, &TableSpec::actions()).await?;
        let session = Session::open(lake).await?;
        Ok(Self {
            lake: lake.clone(),
            jobs: jobs.clone(),
            session,
            actions,
            max_age_us,
            books: rules.iter().cloned().map(Book::new).collect(),
            partials: BTreeMap::new(),
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
            self.take(&action);
        }
        for book in &mut self.books {
            book.stale = true;
            let closed = marks.get(&closed_id(&book.rule)).copied();
            book.closed_us = book.closed_us.max(closed);
        }
        self.marks = Some(marks.clone());
        Ok(marks)
    }

    fn take(&mut self, action: &Action) {
        self.read_to = self.read_to.max(action.sequence + 1);
        let book = self
            .books
            .iter_mut()
            .find(|book| book.rule.name == action.rule);
        if let Some(book) = book {
            book.publish(action);
        }
    }

    async fn decide(&mut self, marks: &Marks, closing: Closing) -> Result<Decisions, TriggerError> {
        let mut decisions = Decisions {
            actions: Vec::new(),
            marks: Vec::new(),
        };
        // Every job is looked at before the session's rows are: so rows are never older than the version that is
        // noted as read, and what comes after is read by the next step.
        let looks = self.looks().await?;
        let mut registered = false;
        for place in 0..self.books.len() {
            let rule = self.books[place].rule.clone();
            let Some(look) = looks.get(&rule.job) else {
                continue;
            };
            dirty(&mut self.books[place], &look.partials, look.version).await?;
            if !due(&self.books[place], look.progress.watermark_us, closing) {
                continue;
            }
            if !registered {
                views::register(&self.session, &self.jobs).await?;
                registered = true;
            }
            match self.decide_rule(place, look, closing).await {
                Ok(Some((closed_us, actions))) => {
                    self.books[place].failure = None;
                    decisions.actions.extend(actions);
                    if marks
                        .get(&closed_id(&rule))
                        .is_none_or(|known| *known < closed_us)
                    {
                        decisions.marks.push((closed_id(&rule), closed_us));
                        decisions.marks.push((rule.app_id(), look.version));
                    }
                }
                Ok(None) => {}
                Err(error) if of_the_rule(&error) => {
                    tracing::error!(rule = rule.name, "a rule failed, the others go on: {error}");
                    metrics::counter!("farol_trigger_errors_total").increment(1);
                    self.books[place].fail(error.to_string());
                }
                Err(error) => return Err(error),
            }
            if decisions.actions.len() >= ACTIONS_MAX {
                break;
            }
        }
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
        let mut looks = BTreeMap::new();
        for place in 0..self.books.len() {
            let name = self.books[place].rule.job.clone();
            let Some(job) = self
                .jobs
                .get(&name)
                .filter(|_| !looks.contains_key(&name))
                .cloned()
            else {
                continue;
            };
            // The handle is kept: it has read the log, and reads on from there.
            let table = match self.partials.get(&name) {
                Some(table) => table.clone(),
                None => match self.lake.existing(&job.table_name()).await? {
                    Some(table) => self.partials.entry(name.clone()).or_insert(table).clone(),
                    None => continue,
                },
            };
            let (version, progress) = look(&table, &job).await?;
            looks.insert(
                name,
                Look {
                    table_name: job.table_name(),
                    partials: table,
                    version,
                    progress,
                },
            );
        }
        Ok(looks)
    }

    /// What one rule says: the end of the windows that it has evaluated, and what is to be published.
    async fn decide_rule(
        &mut self,
        place: usize,
        look: &Look,
        closing: Closing,
    ) -> Result<Option<(i64, Vec<Action>)>, TriggerError> {
        let book = &mut self.books[place];
        let now_us = now_us();
        let known_us = closed(book, look.progress.watermark_us);
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
        let mut actions = Vec::new();
        for (segment, one) in decided {
            let evidence = self
                .evidence(place, &segment, &one, versions.clone())
                .await?;
            actions.push(action(&rule, &segment, &one, &evidence));
        }
        self.books[place].closed_us = Some(closed_us);
        Ok(Some((closed_us, actions)))
    }

    /// Rules that could not be evaluated when they were last tried, and why.
    pub fn failed(&self) -> Vec<String> {
        let told = |book: &Book| {
            Some(format!(
                "rule {}: {}",
                book.rule.name,
                book.failure.as_ref()?.reason
            ))
        };
        self.books.iter().filter_map(told).collect()
    }

    async fn evidence(
        &self,
        place: usize,
        segment: &Segment,
        decided: &Decided,
        mut tables: Vec<(String, i64)>,
    ) -> Result<Evidence, TriggerError> {
        let book = &self.books[place];
        let mut evidence = evidence_of(book, segment, decided);
        let has_rows = evidence.compared.value.is_some() || has_samples(&decided.transition);
        if has_rows && book.rule.reads == "traces" {
            let (version, found) = samples::find(
                &self.lake,
                &book.rule,
                segment,
                decided.window_us,
                evidence.measure.as_deref(),
            )
            .await?;
            tables.extend(version.map(|version| (book.rule.reads.clone(), version)));
            evidence.samples = found;
        }
        evidence.tables = tables;
        Ok(evidence)
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
            self.take(action);
        }
        Ok(Stepped::Advanced {
            actions: decisions.actions.len(),
        })
    }
}

/// The application id of the end of a rule's evaluated windows.
pub(crate) fn closed_id(rule: &Rule) -> String {
    format!("{}#closed_us", rule.app_id())
}

/// What a job has come to, as a step found it.
struct Look {
    table_name: String,
    partials: Table,
    version: i64,
    progress: Progress,
}

/// Whether there is anything to decide for a rule.
fn due(book: &Book, watermark_us: Option<i64>, closing: Closing) -> bool {
    let waits = |failure: &Failure| failure.at.elapsed() < failure.pause();
    if closing == Closing::Watermark && book.failure.as_ref().is_some_and(waits) {
        return false;
    }
    let closed_us = closed(book, watermark_us);
    closing == Closing::Everything
        || book.stale
        || closed_us > book.closed_us
        || book
            .dirty_us
            .is_some_and(|dirty_us| Some(dirty_us) < closed_us)
}

/// Whether an error is this rule's alone, rather than the lake's.
fn of_the_rule(error: &TriggerError) -> bool {
    matches!(
        error,
        TriggerError::TooManyRows { .. }
            | TriggerError::Query(_)
            | TriggerError::Arrow(_)
            | TriggerError::Lake(LakeError::Query(_))
    )
}

/// The partials' version and the job's progress there.
async fn look(partials: &Table, job: &Job) -> Result<(i64, Progress), TriggerError> {
    let (mut version, mut marks) = partials.version_and_marks(&job.app_id()).await?;
    for _ in 0..STEADY_LOOKS {
        let (again, later) = partials.version_and_marks(&job.app_id()).await?;
        if again == version {
            break;
        }
        (version, marks) = (again, later);
    }
    Ok((version, Progress::of(job, &marks)))
}

/// Notes which rows may have changed since they were read.
async fn dirty(book: &mut Book, partials: &Table, version: i64) -> Result<(), TriggerError> {
    let Some(known) = book.version else {
        book.dirty_us = Some(i64::MIN / 4);
        book.version = Some(version);
        return Ok(());
    };
    if version <= known {
        return Ok(());
    }
    let first = match partials.additions(known, LIMITS).await? {
        // What was computed again may differ anywhere.
        Some(additions) if additions.replaced => Some(i64::MIN / 4),
        Some(additions) if additions.through >= version => {
            if additions.files.is_empty() {
                None
            } else {
                first_window(partials, additions.files).await?
            }
        }
        // Too much, or too long ago, to follow: everything is read again.
        _ => Some(i64::MIN / 4),
    };
    if let Some(first_us) = first {
        let before = book.dirty_us.unwrap_or(i64::MAX);
        book.dirty_us = Some(before.min(floor(first_us, book.rule.window_us)));
    }
    book.version = Some(version);
    Ok(())
}

/// The first window that some files have rows of.
async fn first_window(
    partials: &Table,
    files: Vec<farol_lake::AddedFile>,
) -> Result<Option<i64>, TriggerError> {
    use arrow::array::{Array as _, AsArray as _};
    use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
    use datafusion::functions_aggregate::expr_fn::min;
    use datafusion::prelude::{SessionContext, col};
    let context = SessionContext::new();
    let rows = context.read_table(partials.added_rows(files)?)?;
    let frame = rows.aggregate(vec![], vec![min(col("window_start"))])?;
    let mut batches = frame.execute_stream().await?;
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    while let Some(batch) = batches.try_next().await? {
        let column = arrow::compute::cast(batch.column(0), &time)?;
        let column = column.as_primitive::<TimestampMicrosecondType>();
        if !column.is_empty() && column.is_valid(0) {
            return Ok(Some(column.value(0)));
        }
    }
    Ok(None)
}

/// The end of the windows that are closed by the watermark, or were closed before.
fn closed(book: &Book, watermark_us: Option<i64>) -> Option<i64> {
    let by_watermark = watermark_us.map(|time_us| floor(time_us, book.rule.window_us));
    book.closed_us.max(by_watermark)
}

/// The end of the window that the clock is in.
fn present(book: &Book, now_us: i64) -> i64 {
    floor(now_us, book.rule.window_us).saturating_add(book.rule.window_us)
}

/// The end of all windows that have rows, but none that lies ahead of the clock.
fn everything(book: &Book, known_us: Option<i64>, now_us: i64) -> Option<i64> {
    let newest = book.history.newest_us();
    let end = newest.map(|newest_us| {
        let end_us = newest_us.saturating_add(book.rule.window_us);
        end_us.min(present(book, now_us))
    });
    known_us.max(end)
}

/// What the rule compared in the window.
pub(crate) fn evidence_of(book: &Book, segment: &Segment, decided: &Decided) -> Evidence {
    let rule = &book.rule;
    let condition = match decided.transition.state {
        State::Recovered => rule.recover_when.as_ref().unwrap_or(&rule.when),
        _ => &rule.when,
    };
    let window_us = decided.window_us;
    let windows = book.history.windows(segment);
    let row = windows.and_then(|windows| Some((windows, windows.get(&window_us)?)));
    let compared = match row {
        Some((windows, row)) => condition.compared(row, &Before { windows, window_us }),
        None => crate::condition::Compared {
            column: condition.measure(),
            ..Default::default()
        },
    };
    let name = |column: usize| rule.columns.get(column).map(|(name, _)| name.clone());
    Evidence {
        measure: compared.column.and_then(name),
        compared,
        ..Evidence::default()
    }
}
