//! The service: one step judges the windows that have closed since the last, and commits what it found with how far it is.
//!
//! ```text
//! marks of `findings` ──▶ facts: state read back, findings that are open
//! watermark of the job ──▶ due ──▶ rows ──▶ watches ──▶ findings with samples and causes ──▶ commit
//! ```
//!
//! **Exactly once.** A commit of findings demands the mark `farol/detector#step` where the marks were read, so of two
//! instances one wins and the other reads the facts again. What a unit has judged beyond its last commit is in memory alone,
//! and is judged again after a crash, to the same end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::logical_expr::{col, lit};
use farol_jobs::time::{floor, now_us};
use farol_jobs::{Jobs, Progress, views};
use farol_lake::sql::Session;
use farol_lake::{FINDINGS, Lake, LakeError, Marks, Table, TableSpec};

use crate::definition::{Detectors, Unit};
use crate::error::DetectorError;
use crate::finding::{self, Finding};
use crate::samples::Inputs;
use crate::state;
use crate::unit::range;
use farol_stats::watch::{Change, Span};

mod commit;
mod edges;
mod evidence;
mod work;

pub(crate) use edges::{edge_sql, first_number};
pub(crate) use evidence::enrich;
use work::Work;
pub(crate) use work::closed_id;

/// The mark that every commit of findings moves by one: of two instances one wins.
const STEP: &str = "farol/detector#step";

/// The mark of the next row's `sequence`.
const NEXT_FINDING: &str = "farol/detector#next_finding";

/// The prefix of all marks of detectors.
pub(crate) const MARKS: &str = "farol/detector";

/// Windows that a step takes of one unit.
const WINDOWS_MAX: i64 = 360;

/// How much event time is judged before state is written again.
const STATE_EVERY_US: i64 = 3_600_000_000;

/// The longest pause before a unit that failed is tried again.
const FAILURE_PAUSE_MAX: Duration = Duration::from_mins(1);

/// Which windows count as closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// Those whose end the watermark has passed, by the detector's `settle`.
    Watermark,
    /// All that have rows: nothing more will come.
    Everything,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// No window was to be judged.
    Level,
    /// Windows were judged.
    Advanced {
        /// Rows of the table of findings.
        findings: usize,
    },
    /// Another instance was faster; what it said is read again.
    Overtaken,
}

/// Why a unit could not be judged when that was last tried.
struct Failure {
    reason: String,
    at: Instant,
    /// How often in a row.
    times: u32,
}

impl Failure {
    /// Whether it is too early to try again.
    fn pauses(&self) -> bool {
        let pause = Duration::from_secs(1) * 2_u32.pow(self.times.min(6));
        self.at.elapsed() < FAILURE_PAUSE_MAX.min(pause)
    }
}

/// Detectors at work.
pub struct Service {
    lake: Lake,
    jobs: Jobs,
    session: Session,
    findings: Table,
    partials: BTreeMap<String, Table>,
    inputs: Inputs,
    units: Vec<Arc<Unit>>,
    /// The units at work, as the facts were read; `None`: they are to be read.
    works: Option<(Marks, Vec<Work>)>,
    failures: BTreeMap<String, Failure>,
}

impl Service {
    /// Opens the table of findings, and creates it where there is none.
    ///
    /// # Errors
    /// Where the lake cannot be read or written.
    pub async fn open(
        lake: &Lake,
        jobs: &Jobs,
        detectors: &Detectors,
    ) -> Result<Self, DetectorError> {
        let findings = lake.table(FINDINGS, &TableSpec::findings()).await?;
        let units = detectors.iter().flat_map(|detector| detector.units.clone());
        Ok(Self {
            lake: lake.clone(),
            jobs: jobs.clone(),
            session: Session::open(lake).await?,
            findings,
            partials: BTreeMap::new(),
            inputs: Inputs::default(),
            units: units.collect(),
            works: None,
            failures: BTreeMap::new(),
        })
    }

    /// Takes one step.
    ///
    /// # Errors
    /// Where the lake fails. Nothing of the step is in the table then, or, where the answer was lost, all of it; the next
    /// step looks.
    pub async fn step(&mut self, closing: Closing) -> Result<Stepped, DetectorError> {
        let (marks, mut works) = match self.works.take() {
            Some(known) => known,
            None => self.facts().await?,
        };
        let mut found = Vec::new();
        let mut advanced = false;
        let mut registered = false;
        for work in &mut works {
            let failure = self.failures.get(&work.unit.app_id());
            if closing == Closing::Watermark && failure.is_some_and(Failure::pauses) {
                continue;
            }
            let Some((closed_us, version)) = self.due(work, closing, &mut registered).await? else {
                continue;
            };
            match self.judge(work, closed_us, version).await {
                Ok(findings) => {
                    self.failures.remove(&work.unit.app_id());
                    advanced = true;
                    found.extend(findings);
                }
                Err(error) if of_the_unit(&error) => {
                    let name = work.unit.app_id();
                    tracing::error!("{name} failed, the others go on: {error}");
                    metrics::counter!("farol_detector_errors_total").increment(1);
                    let times = self.failures.get(&name).map_or(0, |failure| failure.times) + 1;
                    let failure = Failure {
                        reason: error.to_string(),
                        at: Instant::now(),
                        times,
                    };
                    self.failures.insert(name, failure);
                    // What the watches have seen of the range is not known: begin again from what was committed.
                    *work = self.work(&work.unit.clone(), &marks).await?;
                }
                Err(error) => return Err(error),
            }
        }
        let ends = closing == Closing::Everything;
        let due: Vec<usize> = (0..works.len())
            .filter(|place| works[*place].is_to_be_told(ends && !advanced))
            .collect();
        if found.is_empty() && due.is_empty() {
            self.works = Some((marks, works));
            return Ok(if advanced {
                Stepped::Advanced { findings: 0 }
            } else {
                Stepped::Level
            });
        }
        self.commit(marks, works, found).await
    }

    /// Units that failed when they were last judged, and why.
    pub fn failed(&self) -> Vec<String> {
        let told = |(name, failure): (&String, &Failure)| format!("{name}: {}", failure.reason);
        self.failures.iter().map(told).collect()
    }

    /// What was committed, as it stands in the table.
    async fn facts(&mut self) -> Result<(Marks, Vec<Work>), DetectorError> {
        let marks = self.findings.marks(MARKS).await?;
        let mut works = Vec::new();
        for unit in self.units.clone() {
            works.push(self.work(&unit, &marks).await?);
        }
        Ok((marks, works))
    }

    /// A unit as its last commit left it.
    async fn work(&self, unit: &Arc<Unit>, marks: &Marks) -> Result<Work, DetectorError> {
        let mut work = Work::new(unit.clone(), marks);
        if let Some(stated_us) = work.stated_us {
            match state::get(&self.findings, unit, stated_us).await? {
                Some(watches) => {
                    work.watches = watches;
                    work.judged_us = Some(stated_us);
                }
                None => work.stated_us = None,
            }
        }
        if work.told_us.is_some() {
            let of_unit = col("detector")
                .eq(lit(unit.detector.as_str()))
                .and(col("job").eq(lit(unit.job.as_str())));
            for finding in finding::read(&self.findings, Some(of_unit)).await? {
                work.take(&finding);
            }
        }
        Ok(work)
    }

    /// Up to where a unit is to be judged now, and the version of the partials that says so; `None`: nowhere new.
    async fn due(
        &mut self,
        work: &Work,
        closing: Closing,
        registered: &mut bool,
    ) -> Result<Option<(i64, i64)>, DetectorError> {
        let unit = &work.unit;
        let job = self.jobs.get(&unit.job).cloned();
        let name = match &job {
            _ if unit.is_drift() => unit.reads.clone(),
            Some(job) => job.table_name(),
            None => return Ok(None),
        };
        let table = match self.partials.get(&name) {
            Some(table) => table.clone(),
            None => match self.lake.existing(&name).await? {
                Some(table) => {
                    self.partials.insert(name.clone(), table.clone());
                    table
                }
                None => return Ok(None),
            },
        };
        let prefix = job.as_ref().map_or("farol/".to_owned(), |job| job.app_id());
        let (version, marks) = table.version_and_marks(&prefix).await?;
        let watermark_us = match &job {
            Some(job) => Progress::of(job, &marks).watermark_us,
            None => farol_jobs::progress::watermark_us(&marks),
        };
        let by_watermark = watermark_us.map(|us| floor(us - unit.settle_us, unit.window_us));
        let mut closed_us = by_watermark;
        if closing == Closing::Everything {
            self.register(registered).await?;
            let newest = self.edge(unit, "max").await?;
            let present = floor(now_us(), unit.window_us) + unit.window_us;
            let end = newest.map(|us| (floor(us, unit.window_us) + unit.window_us).min(present));
            closed_us = closed_us.max(end);
        }
        let Some(closed_us) = closed_us.filter(|us| work.judged_us.is_none_or(|done| done < *us))
        else {
            return Ok(None);
        };
        self.register(registered).await?;
        Ok(Some((closed_us, version)))
    }

    /// Makes the newest partials visible, once a step. They are never older than the versions that were looked at before.
    async fn register(&self, registered: &mut bool) -> Result<(), DetectorError> {
        if !*registered {
            if self.units.iter().any(|unit| unit.is_drift()) {
                self.session.refresh().await?;
            }
            views::register(&self.session, &self.jobs).await?;
            *registered = true;
        }
        Ok(())
    }

    /// The first or last window that a unit's job has partials of.
    async fn edge(&self, unit: &Unit, which: &str) -> Result<Option<i64>, DetectorError> {
        first_number(&self.session, &edge_sql(unit, which)).await
    }

    /// Judges a unit's next windows, and gives what is new.
    async fn judge(
        &mut self,
        work: &mut Work,
        closed_us: i64,
        version: i64,
    ) -> Result<Vec<Finding>, DetectorError> {
        let unit = work.unit.clone();
        let start_us = match work.judged_us {
            Some(judged_us) => judged_us,
            None => match self.edge(&unit, "min").await? {
                Some(first_us) => floor(first_us, unit.window_us),
                // Up to here there was nothing.
                None => closed_us,
            },
        };
        let end_us = closed_us.min(start_us + WINDOWS_MAX * unit.window_us);
        if end_us <= start_us {
            work.judged_us = Some(start_us);
            return Ok(Vec::new());
        }
        let span = Span { start_us, end_us };
        let noticed = range::judge(&self.session, &unit, &mut work.watches, span).await?;
        work.judged_us = Some(end_us);
        let told_us = work.told_us.unwrap_or(i64::MIN);
        let mut found = Vec::new();
        for noticed in noticed.iter().filter(|one| one.window.end_us > told_us) {
            let finding = match noticed.change {
                Change::Opened(_) => {
                    let Some(finding) = Finding::opened(&unit, noticed) else {
                        continue;
                    };
                    let segment = &noticed.key.1;
                    let (session, lake) = (&self.session, &self.lake);
                    let job = self.jobs.get(&unit.job);
                    let inputs = &mut self.inputs;
                    enrich(session, lake, inputs, &unit, job, segment, finding, version).await?
                }
                Change::Ended { ended_us, adopted } => {
                    let id = finding::finding_id(&unit, noticed);
                    let Some(open) = work.open.get(&id) else {
                        tracing::warn!(
                            finding = id,
                            "is over, and its opening is not in the table"
                        );
                        continue;
                    };
                    open.ended(ended_us, adopted)
                }
            };
            work.take(&finding);
            found.push(finding);
        }
        Ok(found)
    }
}

/// Whether an error is this unit's alone, rather than the lake's.
fn of_the_unit(error: &DetectorError) -> bool {
    matches!(
        error,
        DetectorError::Query(_)
            | DetectorError::Arrow(_)
            | DetectorError::Lake(LakeError::Query(_))
    )
}
