//! Keeping a joined table level: steps, and what waits between them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use fail::fail_point;
use farol_lake::{
    AddedFile, AdditionLimits, Additions, Commit, Joined, Lake, Outcome, Table, Upload,
};
use futures::TryStreamExt as _;

use super::columns::Origins;
use super::found::Found;
use super::progress::{JoinProgress, PREFIX};
use super::repeats::Before;
use super::rows::{by_date, joined_rows};
use super::search::{AllCalls, all_rows};
use super::subject::Tier;
use super::unmatched::Unmatched;
use super::waiting::Waiting;
use crate::aggregate::conform;
use crate::error::JobError;
use crate::progress::watermark_us;
use crate::step::{Stepped, is_gone};

/// What one step may take of feedback or evaluations, whose rows it holds.
const OWN_LIMITS: AdditionLimits = AdditionLimits {
    versions: 256,
    bytes: 8 << 20,
};

/// What one step may take of traces, of which it reads ids, if that.
const TRACES_LIMITS: AdditionLimits = AdditionLimits {
    versions: 4_096,
    bytes: 4 << 30,
};

/// Memory for rows that wait. Of more than these the lake is asked again and again.
const WAITING_BYTES: usize = 64 << 20;

/// Rows that are looked for at once where memory does not hold all that wait.
const CHUNK_BYTES: usize = 16 << 20;

/// After a look everywhere, so many times as long as it took is left to other work.
const PAUSE_FACTOR: u32 = 4;

/// When calls are looked for everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// As often as it takes a fifth of the time at the most.
    WhenDue,
    /// Now: whoever waits wants an end.
    Now,
}

/// How often calls are looked for everywhere: what it takes grows with the lake, so its share of the time is bounded, and
/// what came in the meantime is looked for together.
#[derive(Debug)]
struct Pace {
    not_before: Option<Instant>,
}

impl Pace {
    fn is_due(&self, search: Search) -> bool {
        search == Search::Now || self.not_before.is_none_or(|at| Instant::now() >= at)
    }

    fn took(&mut self, time: Duration) {
        self.not_before = Instant::now().checked_add(time * PAUSE_FACTOR);
    }
}

/// What waits for its call.
// A join has one, so it does not matter that the kinds differ in size.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
enum Cache {
    /// All of it.
    Held {
        /// Not looked for everywhere yet.
        fresh: Waiting,
        /// Looked for in every call up to the version that is covered.
        looked: Waiting,
    },
    /// It is more than memory is for.
    InTheLake,
}

/// What a process knows of a join after a step.
#[derive(Debug)]
struct Known {
    progress: JoinProgress,
    /// The joined table's version.
    version: i64,
    cache: Cache,
}

/// A join at work.
pub struct Joiner {
    joined: Joined,
    lake: Lake,
    own: Option<Table>,
    traces: Option<Table>,
    output: Option<Table>,
    known: Option<Known>,
    pace: Pace,
    waiting_bytes: usize,
}

/// What is known, when something is committed, of the rows that were read and are not joined.
#[derive(Debug, Clone, Copy)]
enum Rest {
    /// So many wait; the others say something again.
    Waiting(usize),
    /// Those that were found and left out are new, and say something again.
    NewRepeats,
    /// Those that were found and left out may have been counted before.
    Unknown,
}

/// What a step found added.
struct Added {
    own: Vec<AddedFile>,
    traces: Vec<AddedFile>,
    to: JoinProgress,
    behind: i64,
}

impl Joiner {
    /// A join. Its table is made when there is something to join.
    pub fn new(lake: &Lake, joined: Joined) -> Self {
        Self {
            joined,
            lake: lake.clone(),
            own: None,
            traces: None,
            output: None,
            known: None,
            pace: Pace { not_before: None },
            waiting_bytes: WAITING_BYTES,
        }
    }

    /// The same, with so much memory for rows that wait.
    #[must_use]
    pub fn with_waiting_bytes(self, waiting_bytes: usize) -> Self {
        Self {
            waiting_bytes,
            ..self
        }
    }

    /// The joined table, where it was opened.
    pub fn output(&self) -> Option<&Table> {
        self.output.as_ref()
    }

    /// Takes one step.
    ///
    /// # Errors
    /// Where the lake cannot be read or written. Nothing of the step is in the table then, or, where the answer was lost,
    /// all of it; the next step looks.
    pub async fn step(&mut self, search: Search) -> Result<Stepped, JobError> {
        let Some((own, output)) = self.open().await? else {
            return Ok(Stepped::Level);
        };
        let began = Instant::now();
        let (version, marks) = output.version_and_marks(PREFIX).await?;
        let at = JoinProgress::of(self.joined, &marks);
        // A step that fails leaves nothing behind that could be wrong.
        let known = self.known.take();
        let mut step = JoinStep {
            joined: self.joined,
            own,
            traces: self.traces.clone(),
            output,
            version,
            at,
            waiting_bytes: self.waiting_bytes,
            joined_rows: 0,
        };
        let Some(added) = step.added().await? else {
            return self.begin_anew(step, search, "a log was cleaned").await;
        };
        let mut cache = match step.cache(known).await {
            Ok(cache) => cache,
            // A version that cannot be read any more is as good as a log that was cleaned.
            Err(error) => return self.begin_anew(step, search, &error.to_string()).await,
        };
        let stepped = step.take(&added, &mut cache, search, &mut self.pace).await;
        let stepped = match stepped {
            Err(error) if is_gone(&error) => {
                return self.begin_anew(step, search, "files were vacuumed").await;
            }
            other => other?,
        };
        if let Stepped::Advanced { .. } = stepped {
            metrics::histogram!("farol_job_step_seconds", "job" => self.joined.table())
                .record(began.elapsed().as_secs_f64());
        }
        self.keep(&step, cache, stepped, &added);
        Ok(stepped)
    }

    /// The tables; `None` where there is nothing to join yet.
    async fn open(&mut self) -> Result<Option<(Table, Table)>, JobError> {
        if self.own.is_none() {
            self.own = self.lake.existing(self.joined.kind().table()).await?;
        }
        if self.traces.is_none() {
            self.traces = self.lake.existing("traces").await?;
        }
        let Some(own) = self.own.clone() else {
            return Ok(None);
        };
        let output = match self.output.clone() {
            Some(output) => output,
            None => {
                self.lake
                    .table(self.joined.table(), &self.joined.spec())
                    .await?
            }
        };
        self.output = Some(output.clone());
        Ok(Some((own, output)))
    }

    /// The join is further behind than its inputs' logs, or the files that they name, are kept: what is there and not
    /// joined is looked for.
    async fn begin_anew(
        &mut self,
        mut step: JoinStep,
        search: Search,
        reason: &str,
    ) -> Result<Stepped, JobError> {
        tracing::warn!(
            table = self.joined.table(),
            "what was added to the joined tables cannot be followed; going on from what they hold now: {reason}"
        );
        let to = step.newest().await?;
        let mut cache = step.load(to.own_version).await?;
        let waiting = match &cache {
            Cache::Held { fresh, .. } => fresh.len(),
            Cache::InTheLake => 0,
        };
        let read = (to.joined + to.repeated).saturating_add(waiting as i64);
        let added = Added {
            own: Vec::new(),
            traces: Vec::new(),
            to: JoinProgress {
                read: to.read.max(read),
                ..to
            },
            behind: 0,
        };
        let stepped = step
            .take(&added, &mut cache, search, &mut self.pace)
            .await?;
        self.keep(&step, cache, stepped, &added);
        Ok(stepped)
    }

    /// Keeps what is known now for the next step.
    fn keep(&mut self, step: &JoinStep, cache: Cache, stepped: Stepped, added: &Added) {
        let unmatched = metrics::gauge!("farol_join_unmatched", "table" => self.joined.table());
        unmatched.set(step.at.unmatched() as f64);
        if step.joined_rows > 0 {
            metrics::counter!("farol_join_rows_total", "table" => self.joined.table())
                .increment(step.joined_rows);
        }
        let mut progress = step.at;
        if stepped == Stepped::Overtaken {
            // The rows that were read wait as well, whoever has joined them.
            progress.own_version = added.to.own_version;
        }
        self.known = Some(Known {
            progress,
            version: step.version,
            cache,
        });
    }
}

/// One step: what it builds on, which moves with each of its commits.
struct JoinStep {
    joined: Joined,
    own: Table,
    traces: Option<Table>,
    output: Table,
    /// The joined table's version.
    version: i64,
    at: JoinProgress,
    waiting_bytes: usize,
    joined_rows: u64,
}

impl JoinStep {
    /// What waits: as it was left, or as others have left it, or worked out anew.
    async fn cache(&self, known: Option<Known>) -> Result<Cache, JobError> {
        if let Some(known) = known {
            if known.progress == self.at {
                return Ok(known.cache);
            }
            if let Some(cache) = self.caught_up(known).await? {
                return Ok(cache);
            }
        }
        self.load(self.at.own_version).await
    }

    /// What waits after commits of another process. It may not have looked everywhere for what waits here.
    async fn caught_up(&self, known: Known) -> Result<Option<Cache>, JobError> {
        let Cache::Held { fresh, looked } = known.cache else {
            return Ok(Some(Cache::InTheLake));
        };
        let joined = between(&self.output, Some(known.version), Some(self.version)).await?;
        let own = between(&self.own, known.progress.own_version, self.at.own_version).await?;
        let (Some(joined), Some(own)) = (joined, own) else {
            return Ok(None);
        };
        let mut gone = HashSet::new();
        for batch in all_rows(&self.output, joined).await? {
            let origins = Origins::of(&batch)?;
            gone.extend((0..batch.num_rows()).map(|row| origins.get(row)));
        }
        let mut all = looked.into_batches();
        all.extend(fresh.into_batches());
        all.extend(all_rows(&self.own, own).await?);
        let fresh = Waiting::of(all)?.without_origins(&gone)?;
        let looked = Waiting::default();
        Ok(Some(Cache::Held { fresh, looked }))
    }

    /// What waits, worked out from the lake: of the own table's version, what is not joined.
    async fn load(&self, own_version: Option<i64>) -> Result<Cache, JobError> {
        let mut fresh = Waiting::default();
        let looked = Waiting::default();
        let Some(own_version) = own_version else {
            return Ok(Cache::Held { fresh, looked });
        };
        let unmatched = self.unmatched(own_version);
        let schema = self.own.added_rows(Vec::new())?.schema();
        for date in unmatched.dates().await? {
            let mut rows = unmatched.of(&date).await?;
            while let Some(batch) = rows.try_next().await? {
                if batch.num_rows() > 0 {
                    fresh.push(conform(&batch, &schema)?)?;
                }
                if fresh.bytes() > self.waiting_bytes {
                    self.tell_too_many();
                    return Ok(Cache::InTheLake);
                }
            }
        }
        Ok(Cache::Held { fresh, looked })
    }

    fn unmatched(&self, own_version: i64) -> Unmatched {
        Unmatched {
            joined: self.joined,
            own: (self.own.clone(), own_version),
            output: (self.output.clone(), self.version),
        }
    }

    fn tell_too_many(&self) {
        tracing::warn!(
            table = self.joined.table(),
            view = self.joined.unmatched(),
            bytes = self.waiting_bytes,
            "more rows wait for their traces than memory is for: the lake is asked for them at every look"
        );
    }

    /// What was added to both tables; `None` where their logs do not tell any more.
    async fn added(&self) -> Result<Option<Added>, JobError> {
        let after = self.at.own_version.unwrap_or(-1);
        let Some(own) = self.own.additions(after, OWN_LIMITS).await? else {
            return Ok(None);
        };
        let traces = match &self.traces {
            None => None,
            Some(traces) => {
                let after = self.at.traces_version.unwrap_or(-1);
                match traces.additions(after, TRACES_LIMITS).await? {
                    None => return Ok(None),
                    found => found,
                }
            }
        };
        let through = |of: &Additions| Some(of.through).filter(|version| *version >= 0);
        let marks = [Some(&own), traces.as_ref()];
        let watermarks = marks.map(|of| watermark_us(of?.marks.as_ref()?));
        // Of both, or of none.
        let level = watermarks[0].zip(watermarks[1]);
        let watermark = level.map(|(own, traces)| own.min(traces));
        let behind = |of: &Additions| of.newest - of.through;
        Ok(Some(Added {
            to: JoinProgress {
                own_version: through(&own),
                traces_version: traces.as_ref().and_then(through),
                watermark_us: self.at.watermark_us.max(watermark),
                ..self.at
            },
            behind: behind(&own) + traces.as_ref().map_or(0, behind),
            own: own.files,
            traces: traces.map(|traces| traces.files).unwrap_or_default(),
        }))
    }

    /// The newest versions of both tables.
    async fn newest(&self) -> Result<JoinProgress, JobError> {
        let traces_version = match &self.traces {
            Some(traces) => Some(traces.refresh().await?),
            None => None,
        };
        Ok(JoinProgress {
            own_version: Some(self.own.refresh().await?),
            traces_version,
            ..self.at
        })
    }

    /// Joins what was added.
    async fn take(
        &mut self,
        added: &Added,
        cache: &mut Cache,
        search: Search,
        pace: &mut Pace,
    ) -> Result<Stepped, JobError> {
        let mut matches = Matches::new(self.joined);
        let calls = self.traces.clone().zip(added.to.traces_version);
        let calls = calls.map(|(table, version)| AllCalls { table, version });
        let new = Waiting::of(all_rows(&self.own, added.own.clone()).await?)?;
        let read = new.len();
        let new = matches.near(calls.as_ref(), new).await?;
        if let Cache::Held { fresh, looked } = cache {
            for batch in new.into_batches() {
                fresh.push(batch)?;
            }
            if let Some(calls) = &calls {
                let files = &added.traces;
                matches.among(calls, files, looked, Tier::Any).await?;
                if !fresh.is_empty() && pace.is_due(search) {
                    let began = Instant::now();
                    let rest = matches.everywhere(calls, std::mem::take(fresh)).await?;
                    for batch in rest.into_batches() {
                        looked.push(batch)?;
                    }
                    pace.took(began.elapsed());
                } else {
                    matches.among(calls, files, fresh, Tier::Hour).await?;
                }
            }
        }
        let rest = cache.rest();
        self.bound(cache)?;
        let to = JoinProgress {
            read: added.to.read + read as i64,
            ..added.to
        };
        let stepped = self.commit(&matches, to, rest, added.behind).await?;
        if stepped == Stepped::Overtaken {
            cache.give_back(matches)?;
            return Ok(stepped);
        }
        match calls {
            Some(calls) if matches!(cache, Cache::InTheLake) && pace.is_due(search) => {
                let began = Instant::now();
                let found = self.through_the_lake(&calls, cache).await?;
                pace.took(began.elapsed());
                Ok(if found == Stepped::Level {
                    stepped
                } else {
                    found
                })
            }
            _ => Ok(stepped),
        }
    }

    /// Keeps what waits within bounds.
    fn bound(&self, cache: &mut Cache) -> Result<(), JobError> {
        let Cache::Held { fresh, looked } = cache else {
            return Ok(());
        };
        *fresh = std::mem::take(fresh).tidied()?;
        *looked = std::mem::take(looked).tidied()?;
        if fresh.bytes() + looked.bytes() > self.waiting_bytes {
            self.tell_too_many();
            *cache = Cache::InTheLake;
        }
        Ok(())
    }

    /// Looks everywhere for all that waits, a chunk at a time, each with a commit of its own. What goes on waiting is held
    /// in memory again where there is room for it.
    async fn through_the_lake(
        &mut self,
        calls: &AllCalls,
        cache: &mut Cache,
    ) -> Result<Stepped, JobError> {
        let Some(own_version) = self.at.own_version else {
            return Ok(Stepped::Level);
        };
        let unmatched = self.unmatched(own_version);
        let schema = self.own.added_rows(Vec::new())?.schema();
        let (mut left, mut held) = (0, Some(Waiting::default()));
        for date in unmatched.dates().await? {
            let mut rows = unmatched.of(&date).await?;
            let mut chunk = Waiting::default();
            loop {
                let batch = rows.try_next().await?;
                let is_last = batch.is_none();
                if let Some(batch) = batch.filter(|batch| batch.num_rows() > 0) {
                    chunk.push(conform(&batch, &schema)?)?;
                }
                if is_last || chunk.bytes() >= CHUNK_BYTES {
                    let mut matches = Matches::new(self.joined);
                    let rest = matches
                        .everywhere(calls, std::mem::take(&mut chunk))
                        .await?;
                    let to = self.at;
                    if self.commit(&matches, to, Rest::Unknown, 0).await? == Stepped::Overtaken {
                        return Ok(Stepped::Overtaken);
                    }
                    left += rest.len();
                    if let Some(held) = &mut held {
                        for batch in rest.into_batches() {
                            held.push(batch)?;
                        }
                    }
                    // Half, so that it does not soon be too much again.
                    held = held.filter(|held| held.bytes() <= self.waiting_bytes / 2);
                }
                if is_last {
                    break;
                }
            }
        }
        // Now it is known what waits; the rest of what was read says something again.
        let told = (self.at.joined + self.at.repeated).saturating_add(left as i64);
        let to = JoinProgress {
            read: self.at.read.max(told),
            ..self.at
        };
        let nothing = Matches::new(self.joined);
        let stepped = self.commit(&nothing, to, Rest::Waiting(left), 0).await?;
        if let Some(looked) = held.filter(|_| stepped != Stepped::Overtaken) {
            let fresh = Waiting::default();
            *cache = Cache::Held { fresh, looked };
        }
        Ok(stepped)
    }

    /// Commits joined rows and progress.
    async fn commit(
        &mut self,
        matches: &Matches,
        to: JoinProgress,
        rest: Rest,
        behind: i64,
    ) -> Result<Stepped, JobError> {
        let (mut uploads, mut repeats) = (Vec::<Upload>::new(), 0);
        if let Some(rows) = matches.rows()? {
            let before = Before {
                joined: self.joined,
                table: &self.output,
                version: self.version,
            };
            let first = before.first_only(&rows).await?;
            repeats = rows.num_rows() - first.num_rows();
            for (day, rows) in by_date(&first)? {
                uploads.push(self.output.upload(Some(day), vec![rows]).await?);
            }
        }
        let rows: u64 = uploads.iter().map(|upload| upload.rows).sum();
        let joined = to.joined + rows as i64;
        let repeated = match rest {
            Rest::Waiting(waiting) => to.read - joined - waiting as i64,
            Rest::NewRepeats => to.repeated + repeats as i64,
            Rest::Unknown => to.repeated,
        };
        let to = JoinProgress {
            joined,
            repeated: repeated.clamp(to.repeated, (to.read - joined).max(to.repeated)),
            ..to
        };
        if to == self.at {
            return Ok(Stepped::Level);
        }
        let to = JoinProgress {
            steps: Some(self.at.next_step()),
            ..to
        };
        let commit = Commit::append(vec![self.at.step_to(self.joined, &to)], uploads);
        fail_point!("jobs.before_commit", |_| Err(JobError::Failpoint(
            "jobs.before_commit"
        )));
        let outcome = self.output.commit(&commit).await?;
        fail_point!("jobs.after_commit", |_| Err(JobError::Failpoint(
            "jobs.after_commit"
        )));
        let Outcome::Committed { version } = outcome else {
            return Ok(Stepped::Overtaken);
        };
        self.at = to;
        self.version = version;
        self.joined_rows += rows;
        Ok(Stepped::Advanced {
            through: to.own_version.unwrap_or(-1),
            behind,
            partials: rows,
        })
    }
}

/// The files that a table's versions after one and up to another added; `None` where that cannot be told.
async fn between(
    table: &Table,
    after: Option<i64>,
    to: Option<i64>,
) -> Result<Option<Vec<AddedFile>>, JobError> {
    let versions = to.unwrap_or(-1) - after.unwrap_or(-1);
    if versions <= 0 {
        return Ok((versions == 0).then(Vec::new));
    }
    let limits = AdditionLimits {
        versions,
        ..OWN_LIMITS
    };
    let additions = table.additions(after.unwrap_or(-1), limits).await?;
    let whole = additions.filter(|found| Some(found.through) == to && !found.replaced);
    Ok(whole.map(|found| found.files))
}

impl Cache {
    fn rest(&self) -> Rest {
        match self {
            Self::Held { fresh, looked } => Rest::Waiting(fresh.len() + looked.len()),
            Self::InTheLake => Rest::NewRepeats,
        }
    }

    /// Takes rows back that found their call, but were not committed.
    fn give_back(&mut self, matches: Matches) -> Result<(), JobError> {
        if let Self::Held { fresh, .. } = self {
            for batch in matches.own {
                fresh.push(batch)?;
            }
        }
        Ok(())
    }
}

/// Rows that found their call in a step.
struct Matches {
    joined: Joined,
    /// As they were read.
    own: Vec<RecordBatch>,
    /// As they are joined.
    rows: Vec<RecordBatch>,
}

impl Matches {
    fn new(joined: Joined) -> Self {
        Self {
            joined,
            own: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Takes what was found; gives the rows that go on waiting.
    fn take(&mut self, found: &Found, waiting: Waiting) -> Result<Waiting, JobError> {
        let Some(matched) = found.matched(&waiting)? else {
            return Ok(waiting);
        };
        self.rows.push(joined_rows(self.joined, &matched)?);
        self.own.push(matched.own);
        Ok(waiting.without(&found.places())?)
    }

    async fn near(
        &mut self,
        calls: Option<&AllCalls>,
        waiting: Waiting,
    ) -> Result<Waiting, JobError> {
        let Some(calls) = calls.filter(|_| !waiting.is_empty()) else {
            return Ok(waiting);
        };
        let mut found = Found::default();
        calls.near(&waiting, &mut found).await?;
        self.take(&found, waiting)
    }

    async fn everywhere(
        &mut self,
        calls: &AllCalls,
        waiting: Waiting,
    ) -> Result<Waiting, JobError> {
        let mut found = Found::default();
        calls.everywhere(&waiting, &mut found).await?;
        self.take(&found, waiting)
    }

    async fn among(
        &mut self,
        calls: &AllCalls,
        files: &[AddedFile],
        waiting: &mut Waiting,
        most: Tier,
    ) -> Result<(), JobError> {
        if waiting.is_empty() {
            return Ok(());
        }
        let mut found = Found::default();
        let files = files.to_vec();
        calls.among(files, None, waiting, &mut found, most).await?;
        *waiting = self.take(&found, std::mem::take(waiting))?;
        Ok(())
    }

    /// The joined rows, as one batch.
    fn rows(&self) -> Result<Option<RecordBatch>, JobError> {
        let Some(first) = self.rows.first() else {
            return Ok(None);
        };
        let rows = arrow::compute::concat_batches(&first.schema(), &self.rows)?;
        Ok(Some(rows))
    }
}
