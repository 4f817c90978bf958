//! What waits for its call, in memory: kept from step to step, caught up after commits of another process, or worked out
//! from the lake.

use std::collections::HashSet;

use farol_lake::{AddedFile, AdditionLimits, Table};
use futures::TryStreamExt as _;

use super::columns::Origins;
use super::matches::Matches;
use super::progress::JoinProgress;
use super::search::all_rows;
use super::step::{JoinStep, OWN_LIMITS};
use super::unmatched::Unmatched;
use super::waiting::Waiting;
use crate::aggregate::conform;
use crate::error::JobError;

/// What waits for its call.
// A join has one, so it does not matter that the kinds differ in size.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub(super) enum Cache {
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

/// What is known, when something is committed, of the rows that were read and are not joined.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rest {
    /// So many wait; the others say something again.
    Waiting(usize),
    /// Those that were found and left out are new, and say something again.
    NewRepeats,
    /// Those that were found and left out may have been counted before.
    Unknown,
}

/// What a process knows of a join after a step.
#[derive(Debug)]
pub(super) struct Known {
    pub progress: JoinProgress,
    /// The joined table's version.
    pub version: i64,
    pub cache: Cache,
}

impl Cache {
    pub(super) fn rest(&self) -> Rest {
        match self {
            Self::Held { fresh, looked } => Rest::Waiting(fresh.len() + looked.len()),
            Self::InTheLake => Rest::NewRepeats,
        }
    }

    /// Takes rows back that found their call, but were not committed.
    pub(super) fn give_back(&mut self, matches: Matches) -> Result<(), JobError> {
        if let Self::Held { fresh, .. } = self {
            for batch in matches.own {
                fresh.push(batch)?;
            }
        }
        Ok(())
    }
}

impl JoinStep {
    /// What waits: as it was left, or as others have left it, or worked out anew.
    pub(super) async fn cache(&self, known: Option<Known>) -> Result<Cache, JobError> {
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
    pub(super) async fn load(&self, own_version: Option<i64>) -> Result<Cache, JobError> {
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

    pub(super) fn unmatched(&self, own_version: i64) -> Unmatched {
        Unmatched {
            joined: self.joined,
            own: (self.own.clone(), own_version),
            output: (self.output.clone(), self.version),
        }
    }

    pub(super) fn tell_too_many(&self) {
        tracing::warn!(
            table = self.joined.table(),
            view = self.joined.unmatched(),
            bytes = self.waiting_bytes,
            "more rows wait for their traces than memory is for: the lake is asked for them at every look"
        );
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
