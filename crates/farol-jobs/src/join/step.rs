//! One step of a join: what was added is looked up, what waits is looked through, and both are committed.

use std::time::Instant;

use fail::fail_point;
use farol_lake::{AddedFile, AdditionLimits, Additions, Commit, Joined, Outcome, Table, Upload};
use futures::TryStreamExt as _;

use super::cache::{Cache, Rest};
use super::matches::Matches;
use super::pace::{Pace, Search};
use super::progress::JoinProgress;
use super::repeats::Before;
use super::rows::by_date;
use super::search::{AllCalls, all_rows};
use super::subject::Tier;
use super::waiting::Waiting;
use crate::aggregate::conform;
use crate::error::JobError;
use crate::progress::watermark_us;
use crate::step::Stepped;

/// What one step may take of feedback or evaluations, whose rows it holds.
pub(super) const OWN_LIMITS: AdditionLimits = AdditionLimits {
    versions: 256,
    bytes: 8 << 20,
};

/// What one step may take of traces, of which it reads ids, if that.
const TRACES_LIMITS: AdditionLimits = AdditionLimits {
    versions: 4_096,
    bytes: 4 << 30,
};

/// Rows that are looked for at once where memory does not hold all that wait.
const CHUNK_BYTES: usize = 16 << 20;

/// What a step found added.
pub(super) struct Added {
    pub own: Vec<AddedFile>,
    pub traces: Vec<AddedFile>,
    pub to: JoinProgress,
    pub behind: i64,
}

/// One step: what it builds on, which moves with each of its commits.
pub(super) struct JoinStep {
    pub joined: Joined,
    pub own: Table,
    pub traces: Option<Table>,
    pub output: Table,
    /// The joined table's version.
    pub version: i64,
    pub at: JoinProgress,
    pub waiting_bytes: usize,
    pub joined_rows: u64,
}

impl JoinStep {
    /// What was added to both tables; `None` where their logs do not tell any more.
    pub(super) async fn added(&self) -> Result<Option<Added>, JobError> {
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
    pub(super) async fn newest(&self) -> Result<JoinProgress, JobError> {
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
    pub(super) async fn take(
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
