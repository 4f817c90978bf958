//! Rollups: a job's partials merged into hours and days, so that wide windows are read from few rows.
//!
//! ```text
//! partials/<job> ──rows that versions added──▶ keeper ──▶ (hour or day, segments) ──▶ rollups/<job>-hour-<id>
//!       │                                                                                   │ as of version v
//!       └──── rows that the versions after v added ──────────────▶ both, merged ◀───────────┘
//!                                                                   │
//!                                                        measures(…) of whole hours or days
//! ```
//!
//! A rollup is kept as a job is whose input is the table of partials: its rows are committed with the mark
//! `farol/job/<name>`, the version of the partials that they cover, which the commit demands where the step found it.
//! So each partial is in it exactly once, whoever kept it, and through a kill.
//!
//! **Nothing depends on it.** Who reads merges the rollup, which covers version v, with the partials that later versions
//! added. Merging does not see order, so that is, bit for bit, what merging all partials gives; a rollup that is behind
//! only costs time. Where partials were replaced since (a backfill), a file is gone, or there is no rollup, the partials
//! are read.
//!
//! Its table is named after the id of the partials' table: one that is made anew has no rollup yet, rather than
//! another's. Jobs in [`Mode::Recompute`] have none: their partials are revisions, which do not add up.

mod keep;
mod read;
mod role;

use std::fmt;
use std::sync::Arc;

use farol_lake::Table;

pub use keep::Rollup;
pub(crate) use keep::compact;
pub(crate) use read::{RolledUp, rolled_up};
pub(crate) use role::keep_level;

use crate::definition::{Job, Jobs, Width};
use crate::grain::Grain;

/// Partials of fewer rows than this are merged about as fast from their own table.
pub(crate) const ROWS_MIN: u64 = 50_000;

/// The folder of the tables of rollups.
const FOLDER: &str = "rollups/";

/// Letters of the partials' table id in a rollup's name.
const ID_LETTERS: usize = 8;

/// How wide a rollup's windows are. Both are those of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Hours.
    Hour,
    /// Days.
    Day,
}

impl Level {
    /// Every level, the widest first.
    pub const ALL: [Self; 2] = [Self::Day, Self::Hour];

    fn width(self) -> Width {
        match self {
            Self::Hour => Width::HOUR,
            Self::Day => Width::DAY,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Whether a job's windows are narrower, and make up whole windows of this level.
    fn is_of(self, job: &Job) -> bool {
        !job.mode().is_recompute()
            && job.window() < self.width()
            && self.width().is_multiple_of(job.window())
    }

    /// Whether windows of a grain are made of whole windows of this level.
    fn fits(self, grain: &Grain) -> bool {
        grain.check_made_of(self.width()).is_ok()
    }

    /// The name of a job's rollup: that of these partials.
    pub(crate) fn table_name(self, job: &Job, partials: &Table) -> String {
        let id: String = partials
            .id()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(ID_LETTERS)
            .collect();
        format!("{FOLDER}{}-{self}-{id}", job.name())
    }

    /// The job as it would be with windows of this level.
    fn widened(self, job: &Job) -> Arc<Job> {
        Arc::new(Job {
            window: self.width(),
            ..job.clone()
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The job and the level that a table of the lake is a rollup of; `None` where it is none of these jobs'.
pub fn of_table(jobs: &Jobs, name: &str) -> Option<(Arc<Job>, Level)> {
    let (job, level) = name.strip_prefix(FOLDER)?.split_once('-')?;
    let (level, _) = level.split_once('-')?;
    let level = Level::ALL
        .into_iter()
        .find(|known| known.as_str() == level)?;
    let job = jobs.get(job).filter(|job| level.is_of(job))?;
    Some((job.clone(), level))
}
