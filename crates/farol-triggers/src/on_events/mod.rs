//! Rules on single events at work: rows that a commit added become alerts within seconds, a flood of them one.
//!
//! ```text
//! rows that versions added ──rows──▶ counts by minute ──▶ lifecycle (pure) ──▶ actions table
//!                                            what was published ──┘
//! ```
//!
//! What is counted is judged like a measure, by the same lifecycle, with one difference: a window fires as soon as it has
//! events enough, since more of them change nothing of that. Only that it recovers waits for the watermark. Counts are a cache:
//! they are read from the table when a rule begins, and then from what each version adds.

mod counts;
mod replay;
mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;

use farol_jobs::Segment;
use farol_jobs::progress;
use farol_jobs::time::{floor, now_us};
use farol_lake::{Lake, Marks, Table};

use crate::action::{Action, Evidence, Message};
use crate::attention::Acknowledgements;
use crate::book::Book;
use crate::error::TriggerError;
use crate::evidence::evidence_of;
use crate::lifecycle::{Decided, Range};
use crate::look::LIMITS;
use crate::rule::{EventRule, Rules};
use counts::Counts;
pub use replay::replay;

/// How long a dead letter may take from when it was read to its commit: such rows have no watermark.
const COMMIT_US: i64 = 60_000_000;

/// After every row that there can be.
const FOREVER_US: i64 = 4_102_444_800_000_000;

/// Every rule on single events.
pub(crate) struct EventRules {
    books: Vec<EventBook>,
    tables: BTreeMap<String, Table>,
}

/// One rule at work.
struct EventBook {
    rule: Arc<EventRule>,
    counts: Counts,
    book: Book,
}

/// A table as a step found it.
struct Seen {
    table: Table,
    version: i64,
    watermark_us: Option<i64>,
}

impl EventRules {
    /// Rules that have seen nothing.
    pub fn new(rules: &Rules) -> Self {
        let book = |rule: &Arc<EventRule>| EventBook::new(rule.clone());
        Self {
            books: rules.on_events().map(book).collect(),
            tables: BTreeMap::new(),
        }
    }

    /// Takes over what was published. Actions come in the order of their sequence.
    pub fn take(&mut self, action: &Action) {
        let of = |book: &&mut EventBook| book.book.rule.name == action.rule;
        if let Some(book) = self.books.iter_mut().find(of) {
            book.book.publish(action);
        }
    }

    /// What was published was read again: everything is to be decided again.
    pub fn forget(&mut self, marks: &Marks) {
        for book in &mut self.books {
            book.book.resume(marks);
        }
    }

    /// Takes over what operators said of alerts.
    pub fn hear(&mut self, said: &Arc<Acknowledgements>) {
        self.books.iter_mut().for_each(|book| book.book.hear(said));
    }

    /// How far each rule is.
    pub fn books(&self) -> impl Iterator<Item = &Book> {
        self.books.iter().map(|book| &book.book)
    }

    /// What is to be published of rows that are new, and the marks that say so. A rule that fails stops no other.
    pub async fn decide(
        &mut self,
        lake: &Lake,
        marks: &Marks,
        max_age_us: i64,
    ) -> Result<(Vec<Action>, Vec<(String, i64)>), TriggerError> {
        let (mut actions, mut moved) = (Vec::new(), Vec::new());
        let seen = self.look(lake).await?;
        for book in &mut self.books {
            let Some(seen) = seen.get(&book.rule.table) else {
                continue;
            };
            match book.decide(seen, max_age_us).await {
                Ok(Some((closed_us, decided))) => {
                    book.book.failure = None;
                    actions.extend(decided);
                    moved.extend(book.book.progress(marks, closed_us, seen.version));
                }
                Ok(None) => {}
                Err(error) if error.is_of_the_rule() => book.book.fail(&error),
                Err(error) => return Err(error),
            }
        }
        Ok((actions, moved))
    }

    /// Rules that could not be evaluated when they were last tried, and why.
    pub fn failed(&self) -> impl Iterator<Item = String> {
        self.books.iter().filter_map(|book| book.book.failed())
    }

    async fn look(&mut self, lake: &Lake) -> Result<BTreeMap<String, Seen>, TriggerError> {
        let mut seen = BTreeMap::new();
        for rule in self.books.iter().map(|book| book.rule.clone()) {
            if seen.contains_key(&rule.table) {
                continue;
            }
            if !self.tables.contains_key(&rule.table)
                && let Some(table) = lake.existing(&rule.table).await?
            {
                self.tables.insert(rule.table.clone(), table);
            }
            if let Some(table) = self.tables.get(&rule.table) {
                seen.insert(rule.table.clone(), Seen::of(table, &rule).await?);
            }
        }
        Ok(seen)
    }
}

impl Seen {
    async fn of(table: &Table, rule: &EventRule) -> Result<Self, TriggerError> {
        let (version, marks) = table.version_and_marks("farol/").await?;
        Ok(Self {
            table: table.clone(),
            version,
            watermark_us: if rule.has_event_time() {
                progress::watermark_us(&marks)
            } else {
                Some(now_us().saturating_sub(COMMIT_US))
            },
        })
    }
}

impl EventBook {
    fn new(rule: Arc<EventRule>) -> Self {
        Self {
            book: Book::new(rule.rule.clone()),
            counts: Counts::default(),
            rule,
        }
    }

    /// The end of the windows that are closed, and what is to be published; `None` where nothing is new.
    async fn decide(
        &mut self,
        seen: &Seen,
        max_age_us: i64,
    ) -> Result<Option<(i64, Vec<Action>)>, TriggerError> {
        let width_us = self.book.rule.window_us;
        let by_watermark = seen.watermark_us.map(|time_us| floor(time_us, width_us));
        let closed_us = self.book.closed_us.max(by_watermark);
        let is_level = self.book.version == Some(seen.version) && closed_us == self.book.closed_us;
        if self.book.waits() || is_level && !self.book.stale {
            return Ok(None);
        }
        let now_us = now_us();
        let horizon_us = now_us.saturating_sub(max_age_us);
        let range = self.book.range(horizon_us, closed_us.unwrap_or(horizon_us));
        self.read(seen, self.rows_from_us(range)).await?;
        let (decided, counts) = self.judge(range, floor(now_us, width_us));
        let rows = if decided.is_empty() {
            None
        } else {
            Some(seen.table.rows_at(seen.version).await?)
        };
        let mut actions = Vec::new();
        for (segment, one) in &decided {
            let mut evidence = self.evidence(segment, one, seen.version);
            if let Some(rows) = rows.as_ref().filter(|_| one.transition.state.fires()) {
                let range = self.counted_range(one.window_us);
                evidence.samples = rows::samples(&self.rule, rows.clone(), segment, range).await?;
            }
            actions.push(self.action(segment, one, &evidence, &counts));
        }
        self.book.stale = false;
        self.book.closed_us = closed_us;
        Ok(Some((range.closed_us, actions)))
    }

    /// From when on events matter: what a window looks back to, and all of an alert that goes on.
    fn rows_from_us(&self, range: Range) -> i64 {
        let firing_us = self.book.firing_since_us().unwrap_or(i64::MAX);
        let from_us = range.start_us.min(firing_us);
        floor(
            from_us.saturating_sub(self.rule.within_us),
            self.book.rule.window_us,
        )
    }

    /// Counts the rows that are new, or, where it is not known which are, all.
    async fn read(&mut self, seen: &Seen, from_us: i64) -> Result<(), TriggerError> {
        let range = (from_us, FOREVER_US);
        // Where it fails, all is counted anew.
        let known = self.book.version.take();
        let added = match known.filter(|known| *known <= seen.version) {
            Some(known) => seen.table.additions(known, LIMITS).await?,
            None => None,
        };
        if let Some(added) = added.filter(|added| !added.replaced && added.through >= seen.version)
        {
            if !added.files.is_empty() {
                let rows = seen.table.added_rows(added.files)?;
                rows::count(&self.rule, rows, range, &mut self.counts).await?;
            }
            self.book.version = Some(added.through);
        } else {
            self.counts = Counts::default();
            let rows = seen.table.rows_at(seen.version).await?;
            rows::count(&self.rule, rows, range, &mut self.counts).await?;
            self.book.version = Some(seen.version);
        }
        self.counts.forget_before(from_us);
        Ok(())
    }

    /// Judges every segment: as far as windows are closed, and, where it has events past that, as far as these go, but not ahead of
    /// the clock. With what was decided come the counts that it was decided by.
    fn judge(&mut self, range: Range, present_us: i64) -> (Vec<(Segment, Decided)>, Counts) {
        let width_us = self.book.rule.window_us;
        let has_alert = |segment: &Segment| self.book.has_published(segment);
        let counts = self.counts.merged(self.rule.max_alerts, has_alert);
        self.book
            .history
            .replace(counts.rows(width_us, self.rule.within_us));
        self.book.unjudge_from(i64::MIN);
        let reach = |segment: &Segment| {
            let last_us = counts.last_us(segment, present_us);
            let end_us = last_us.map_or(i64::MIN, |last_us| last_us.saturating_add(width_us));
            range.closed_us.max(end_us)
        };
        (self.book.decide_each(range, reach), counts)
    }

    /// The range whose events a window counts.
    fn counted_range(&self, window_us: i64) -> (i64, i64) {
        let end_us = window_us.saturating_add(self.book.rule.window_us);
        (end_us.saturating_sub(self.rule.within_us), end_us)
    }

    fn evidence(&self, segment: &Segment, decided: &Decided, version: i64) -> Evidence {
        Evidence {
            tables: vec![(self.rule.table.clone(), version)],
            ..evidence_of(&self.book, segment, decided)
        }
    }

    fn action(
        &self,
        segment: &Segment,
        decided: &Decided,
        evidence: &Evidence,
        counts: &Counts,
    ) -> Action {
        let rule = &self.book.rule;
        let sql = rows::value_sql(&self.rule, segment, self.counted_range(decided.window_us));
        let message = Message {
            rule: &rule.name,
            segment: segment.to_json(&rule.by),
            width_us: rule.window_us,
            decided,
            evidence: evidence.to_json(sql.as_deref()),
            runbook: rule.runbook.as_deref(),
            error: None,
            finding: None,
            count: Some(counts.of_incident(segment, decided.window_us, self.rule.within_us)),
        };
        message.action()
    }
}
