//! Keeping a joined table level: a step after the other, and beginning anew where its inputs cannot be followed.

use std::time::Instant;

use farol_lake::{Joined, Lake, Table};

use super::cache::{Cache, Known};
use super::pace::{Pace, Search};
use super::progress::{JoinProgress, PREFIX};
use super::step::{Added, JoinStep};
use crate::error::JobError;
use crate::step::{Stepped, is_gone};

/// Memory for rows that wait. Of more than these the lake is asked again and again.
const WAITING_BYTES: usize = 64 << 20;

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
            pace: Pace::default(),
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
