//! A flush: rows and dead letters gathered so far become files, and files become commits.
//!
//! Order is everything here. The dead letters' commit goes first, under the partitions' `next` marks in
//! that table's own log; the primary table's commit goes second and alone decides where reading resumes.
//! A crash between the two leaves dead letters that the next owner finds by that mark and skips.
//!
//! Each try is a step that can be taken again: a commit keeps its UUID until its outcome is known, so an
//! answer that was lost is found in the log. A partition whose mark another owner has moved is dropped from
//! the flush, and the rest goes on without it.

mod files;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use fail::fail_point;
use farol_events::Kind;
use farol_kafka::Consumer;
use farol_lake::{Commit, LakeError, Outcome, Step, Table};

use crate::clock::{day_of, now_us};
use crate::dead_letter::DeadLetter;
use crate::error::IngestError;
use crate::marks::{Mark, Marks};
use crate::recreated::recreated;
use crate::slot::Part;
use crate::tables::Tables;

use files::letter_batches;
pub(crate) use files::upload_rows;

/// The longest pause between two tries.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// Rows that wait for their commit.
pub(crate) struct Rows {
    pub epoch: u64,
    pub batch: RecordBatch,
    pub min_day: i32,
    pub max_day: i32,
}

/// What one flush is to commit.
pub(crate) struct FlushJob {
    pub kind: Kind,
    pub parts: Vec<Part>,
    pub rows: Vec<Rows>,
    pub dead_letters: Vec<(u64, DeadLetter)>,
    /// Bytes of memory that the flush gives back when it ends.
    pub bytes: usize,
    /// When Kafka got the oldest record, milliseconds since the epoch.
    pub oldest_timestamp_ms: Option<i64>,
    /// Tries before giving up; `None`: for ever.
    pub max_attempts: Option<u32>,
}

/// What became of a flush.
pub(crate) struct FlushDone {
    pub kind: Kind,
    pub bytes: usize,
    pub oldest_timestamp_ms: Option<i64>,
    /// By epoch: the marks now in the lake, and the dead letters' own mark.
    pub committed: Vec<Committed>,
    /// Epochs whose partition has another owner, or had one in between, or whose topic is another by now.
    pub overtaken: Vec<u64>,
    /// Set where tries were limited and ran out.
    pub failed: Option<IngestError>,
    pub elapsed: Duration,
}

/// One partition's share of a flush that landed.
pub(crate) struct Committed {
    pub epoch: u64,
    pub after: Marks,
    pub before: Marks,
    pub dead_letters_next: Option<i64>,
}

/// Runs a flush until every part of it is committed or overtaken, or its tries run out. Nothing of the epochs in
/// `recreated` is committed. `report` hears of each failed try.
pub(crate) async fn flush(
    tables: Tables,
    job: FlushJob,
    recreated: Vec<u64>,
    report: impl Fn(Option<&str>),
) -> FlushDone {
    let began = std::time::Instant::now();
    let mut done = FlushDone {
        kind: job.kind,
        bytes: job.bytes,
        oldest_timestamp_ms: job.oldest_timestamp_ms,
        committed: Vec::new(),
        overtaken: Vec::new(),
        failed: None,
        elapsed: Duration::ZERO,
    };
    let max_attempts = job.max_attempts;
    let mut attempts = 0;
    let mut flushing = Flushing::new(&tables, job);
    flushing.leave_out(&recreated);
    done.overtaken = recreated;
    while !flushing.parts.is_empty() {
        match flushing.advance().await {
            Ok(Advance::Committed) => {
                report(None);
                done.committed = flushing.committed();
                break;
            }
            Ok(Advance::Again { overtaken }) => done.overtaken.extend(overtaken),
            Err(error) => {
                attempts += 1;
                let reason = error.to_string();
                let table = flushing.kind.table();
                tracing::warn!(table, attempts, "could not commit, trying again: {reason}");
                report(Some(&reason));
                if max_attempts.is_some_and(|max| attempts >= max) {
                    let table = table.to_owned();
                    done.failed = Some(IngestError::GaveUp {
                        table,
                        attempts,
                        reason,
                    });
                    break;
                }
                tokio::time::sleep(backoff(attempts)).await;
            }
        }
    }
    done.elapsed = began.elapsed();
    done
}

/// The pause after so many failed tries.
fn backoff(attempts: u32) -> Duration {
    (Duration::from_millis(100) * 2_u32.pow(attempts.min(10))).min(MAX_BACKOFF)
}

enum Advance {
    Committed,
    /// Something moved under us: these epochs are out, and the rest is to be built anew.
    Again {
        overtaken: Vec<u64>,
    },
}

struct Flushing<'a> {
    tables: &'a Tables,
    kind: Kind,
    parts: Vec<Part>,
    rows: Vec<Rows>,
    dead_letters: Vec<(u64, DeadLetter)>,
    secondary: Secondary,
    /// Built and perhaps sent: its outcome is not known until an answer or the log tells.
    primary: Option<Commit>,
}

enum Secondary {
    ToBuild,
    Built { commit: Commit, epochs: Vec<u64> },
    Done,
}

impl<'a> Flushing<'a> {
    fn new(tables: &'a Tables, job: FlushJob) -> Self {
        let FlushJob {
            kind,
            parts,
            rows,
            dead_letters,
            ..
        } = job;
        let secondary = if dead_letters.is_empty() {
            Secondary::Done
        } else {
            Secondary::ToBuild
        };
        Self {
            tables,
            kind,
            parts,
            rows,
            dead_letters,
            secondary,
            primary: None,
        }
    }

    fn committed(&self) -> Vec<Committed> {
        let committed = |part: &Part| Committed {
            epoch: part.slot.epoch,
            after: part.after,
            before: part.before,
            dead_letters_next: part.dead_letters_next,
        };
        self.parts.iter().map(committed).collect()
    }

    async fn advance(&mut self) -> Result<Advance, IngestError> {
        let table = self.primary_table()?;
        if self.primary.is_none() {
            let uploads = upload_rows(&table, &self.rows).await?;
            let steps = self.parts.iter().map(step).collect();
            self.primary = Some(Commit::append(steps, uploads));
            fail_point!("ingest.after_upload", |_| Err(IngestError::Failpoint(
                "ingest.after_upload"
            )));
        }
        if let Some(again) = self.advance_secondary().await? {
            return Ok(again);
        }
        let Some(commit) = &self.primary else {
            return Ok(Advance::Again {
                overtaken: Vec::new(),
            });
        };
        fail_point!("ingest.before_commit", |_| Err(IngestError::Failpoint(
            "ingest.before_commit"
        )));
        let outcome = match table.commit(commit).await {
            Err(LakeError::StaleUpload { .. }) => {
                self.primary = None;
                return Ok(Advance::Again {
                    overtaken: Vec::new(),
                });
            }
            other => other?,
        };
        fail_point!("ingest.after_commit", |_| Err(IngestError::Failpoint(
            "ingest.after_commit"
        )));
        match outcome {
            Outcome::Committed { .. } => Ok(Advance::Committed),
            Outcome::Overtaken { steps } => {
                let overtaken: Vec<_> = steps
                    .iter()
                    .filter_map(|(i, _)| self.parts.get(*i))
                    .map(|p| p.slot.epoch)
                    .collect();
                self.leave_out(&overtaken);
                Ok(Advance::Again { overtaken })
            }
        }
    }

    fn primary_table(&self) -> Result<Table, IngestError> {
        self.tables
            .primary(self.kind)
            .cloned()
            .ok_or(IngestError::ThreadEnded("flush"))
    }

    /// Drops partitions: of what another owner has taken further, or of a log that is not theirs.
    fn leave_out(&mut self, epochs: &[u64]) {
        let out: HashSet<_> = epochs.iter().copied().collect();
        self.parts.retain(|part| !out.contains(&part.slot.epoch));
        self.rows.retain(|rows| !out.contains(&rows.epoch));
        self.dead_letters.retain(|(epoch, _)| !out.contains(epoch));
        self.primary = None;
    }

    /// Commits the dead letters, if any are left to commit. `Some` where the marks there had moved.
    async fn advance_secondary(&mut self) -> Result<Option<Advance>, IngestError> {
        if matches!(self.secondary, Secondary::ToBuild) {
            self.secondary = self.build_secondary().await?;
        }
        let Secondary::Built { commit, epochs } = &self.secondary else {
            return Ok(None);
        };
        fail_point!("ingest.before_secondary_commit", |_| Err(
            IngestError::Failpoint("ingest.before_secondary_commit")
        ));
        let outcome = match self.tables.dead_letters.commit(commit).await {
            Err(LakeError::StaleUpload { .. }) => {
                self.secondary = Secondary::ToBuild;
                return Ok(Some(Advance::Again {
                    overtaken: Vec::new(),
                }));
            }
            other => other?,
        };
        fail_point!("ingest.after_secondary_commit", |_| Err(
            IngestError::Failpoint("ingest.after_secondary_commit")
        ));
        let epochs = epochs.clone();
        match outcome {
            Outcome::Committed { .. } => {
                for part in self
                    .parts
                    .iter_mut()
                    .filter(|p| epochs.contains(&p.slot.epoch))
                {
                    part.dead_letters_next = part.after.next;
                }
                self.secondary = Secondary::Done;
                Ok(None)
            }
            Outcome::Overtaken { steps } => {
                for (index, now) in steps {
                    let epoch = epochs.get(index).copied();
                    let found = self
                        .parts
                        .iter_mut()
                        .find(|part| Some(part.slot.epoch) == epoch);
                    if let Some(part) = found {
                        part.dead_letters_next = now;
                    }
                }
                self.secondary = Secondary::ToBuild;
                Ok(Some(Advance::Again {
                    overtaken: Vec::new(),
                }))
            }
        }
    }

    async fn build_secondary(&self) -> Result<Secondary, IngestError> {
        let mut steps = Vec::new();
        let mut epochs = Vec::new();
        let mut letters = Vec::new();
        for part in &self.parts {
            let known = part.dead_letters_next.unwrap_or(i64::MIN);
            let before = letters.len();
            letters.extend(
                self.dead_letters
                    .iter()
                    .filter(|(epoch, letter)| *epoch == part.slot.epoch && letter.offset >= known)
                    .map(|(_, letter)| (&part.slot.key, letter)),
            );
            if letters.len() > before {
                let guard = part.slot.key.app_id(Mark::Next);
                let to = part.after.next.unwrap_or_default();
                let marks = vec![(guard.clone(), to)];
                steps.push(Step {
                    guard,
                    from: part.dead_letters_next,
                    marks,
                });
                epochs.push(part.slot.epoch);
            }
        }
        if letters.is_empty() {
            return Ok(Secondary::Done);
        }
        let now = now_us();
        let mut uploads = Vec::new();
        for batch in letter_batches(&letters, now)? {
            uploads.push(
                self.tables
                    .dead_letters
                    .upload(Some(day_of(now)), vec![batch])
                    .await?,
            );
        }
        Ok(Secondary::Built {
            commit: Commit::append(steps, uploads),
            epochs,
        })
    }
}

fn step(part: &Part) -> Step {
    Step {
        guard: part.slot.key.app_id(Mark::Next),
        from: part.before.next,
        marks: part.moves(),
    }
}

/// Runs [`flush`] on the runtime, after asking whether the topics are still the same, and hands its outcome to
/// `deliver`.
pub(crate) fn spawn(
    runtime: &tokio::runtime::Handle,
    tables: Tables,
    consumer: Arc<Consumer>,
    job: FlushJob,
    report: impl Fn(Option<&str>) + Send + Sync + 'static,
    deliver: impl FnOnce(FlushDone) + Send + 'static,
) {
    runtime.spawn(async move {
        let recreated = recreated(consumer, &job.parts).await;
        deliver(flush(tables, job, recreated, report).await);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        assert_eq!(backoff(1), Duration::from_millis(200));
        assert!(backoff(2) > backoff(1));
        assert_eq!(backoff(40), MAX_BACKOFF);
    }
}
