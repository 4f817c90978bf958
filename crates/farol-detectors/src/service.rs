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
use fail::fail_point;
use farol_jobs::segment::quoted_name;
use farol_jobs::time::{floor, now_us};
use farol_jobs::{Jobs, Progress, views};
use farol_lake::sql::Session;
use farol_lake::{Commit, FINDINGS, Lake, LakeError, Marks, Outcome, Step, Table, TableSpec};

use crate::definition::{Detectors, Unit};
use crate::drift;
use crate::error::DetectorError;
use crate::finding::{self, Finding};
use crate::samples::Inputs;
use crate::state;
use crate::unit::Noticed;
use crate::unit::rows::each_window;
use farol_stats::watch::{Change, Span};

mod evidence;
mod work;

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
        let range = Span { start_us, end_us };
        let mut noticed: Vec<Noticed> = Vec::new();
        let watches = &mut work.watches;
        if unit.is_drift() {
            for start_us in (start_us..end_us).step_by(unit.window_us as usize) {
                let window = Span {
                    start_us,
                    end_us: start_us + unit.window_us,
                };
                let counts = drift::rows::counts(&self.session, &unit, window).await?;
                noticed.extend(watches.judge_columns(&unit, window, counts));
            }
        } else {
            each_window(&self.session, &unit, range, |window, rows| {
                noticed.extend(watches.judge(&unit, window, rows));
            })
            .await?;
        }
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

    async fn commit(
        &mut self,
        marks: Marks,
        mut works: Vec<Work>,
        mut found: Vec<Finding>,
    ) -> Result<Stepped, DetectorError> {
        found.sort_by(|a, b| {
            let key = |one: &Finding| (one.window.end_us, one.finding_id.clone(), one.revision);
            key(a).cmp(&key(b))
        });
        let next = marks.get(NEXT_FINDING).copied().unwrap_or(0);
        for (place, finding) in found.iter_mut().enumerate() {
            finding.sequence = next + place as i64;
        }
        let mut uploads = Vec::new();
        if !found.is_empty() {
            let batch = finding::to_batch(&found)?;
            uploads.push(self.findings.upload(None, vec![batch]).await?);
        }
        let from = marks.get(STEP).copied();
        let mut to = vec![
            (STEP.to_owned(), from.unwrap_or(0) + 1),
            (NEXT_FINDING.to_owned(), next + found.len() as i64),
        ];
        let mut old = Vec::new();
        for work in &mut works {
            let Some(judged_us) = work.judged_us else {
                continue;
            };
            to.push((
                closed_id(&work.unit),
                judged_us.max(work.told_us.unwrap_or(judged_us)),
            ));
            if work.is_state_due(STATE_EVERY_US) {
                state::put(&self.findings, &work.unit, judged_us, &work.watches).await?;
                to.push((work::state_id(&work.unit), judged_us));
                old.extend(work.stated_us.map(|us| (work.unit.clone(), us)));
                work.stated_us = Some(judged_us);
            }
            work.told_us = work.told_us.max(Some(judged_us));
        }
        let step = Step {
            guard: STEP.to_owned(),
            from,
            marks: to.clone(),
        };
        let commit = Commit::append(vec![step], uploads);
        fail_point!("detectors.before_commit", |_| Err(
            DetectorError::Failpoint("detectors.before_commit")
        ));
        let outcome = self.findings.commit(&commit).await?;
        fail_point!("detectors.after_commit", |_| Err(DetectorError::Failpoint(
            "detectors.after_commit"
        )));
        if let Outcome::Overtaken { .. } = outcome {
            return Ok(Stepped::Overtaken);
        }
        for (unit, us) in old {
            state::delete(&self.findings, &unit, us).await;
        }
        for finding in &found {
            let detector = finding.detector.clone();
            metrics::counter!("farol_findings_total", "detector" => detector).increment(1);
            tracing::info!(
                detector = finding.detector,
                measure = finding.measure,
                segment = finding.segment,
                state = finding.state.as_str(),
                "found"
            );
        }
        let mut known = marks;
        known.extend(to);
        self.works = Some((known, works));
        Ok(Stepped::Advanced {
            findings: found.len(),
        })
    }
}

/// The query for the first or last time of what a unit reads.
pub(crate) fn edge_sql(unit: &Unit, which: &str) -> String {
    if unit.is_drift() {
        let table = quoted_name(&unit.reads);
        return format!("SELECT CAST({which}(event_time) AS BIGINT) FROM {table}");
    }
    let job = quoted_name(&unit.job);
    format!("SELECT CAST({which}(window_start) AS BIGINT) FROM partials.{job}")
}

/// The number that a query gives in its first row.
pub(crate) async fn first_number(
    session: &Session,
    sql: &str,
) -> Result<Option<i64>, DetectorError> {
    use arrow::array::{Array as _, AsArray as _};
    use arrow::datatypes::Int64Type;
    use futures::TryStreamExt as _;

    let (_, mut batches) = session.query(sql).await?;
    while let Some(batch) = batches.try_next().await? {
        if batch.num_rows() > 0 {
            let column = batch.column(0).as_primitive::<Int64Type>();
            return Ok(column.is_valid(0).then(|| column.value(0)));
        }
    }
    Ok(None)
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
