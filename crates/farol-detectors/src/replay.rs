//! Detectors over history: what they would have found. Nothing is written.
//!
//! ```text
//! measures from the warm-up before a range on ──▶ watches that have seen nothing ──▶ what is noticed in the range
//! ```

use farol_jobs::time::floor;
use farol_jobs::{Jobs, views};
use farol_lake::Lake;
use farol_lake::sql::Session;

use crate::definition::Detectors;
use crate::error::DetectorError;
use crate::finding::{self, Finding};
use crate::samples::Inputs;
use crate::service::{edge_sql, enrich, first_number};
use crate::unit::{Watches, range};
use farol_stats::watch::{Change, Span};

/// How far before a range learning begins at the earliest, in microseconds: four weeks.
const HISTORY_US: i64 = 28 * 86_400_000_000;

/// What a run over history came to.
#[derive(Debug)]
pub struct Replay {
    /// The findings of the range, in order: openings and ends.
    pub findings: Vec<Finding>,
    /// Series that were watched.
    pub series: usize,
    /// Windows that were judged, with those that were only learned from.
    pub windows: u64,
}

/// Runs detectors over the windows from `from_us` to `to_us`, after having learned from up to four weeks before.
///
/// # Errors
/// Where measures cannot be read.
pub async fn replay(
    lake: &Lake,
    jobs: &Jobs,
    detectors: &Detectors,
    from_us: i64,
    to_us: i64,
) -> Result<Replay, DetectorError> {
    let session = Session::open(lake).await?;
    views::register(&session, jobs).await?;
    let mut inputs = Inputs::default();
    let mut done = Replay {
        findings: Vec::new(),
        series: 0,
        windows: 0,
    };
    for unit in detectors.iter().flat_map(|detector| &detector.units) {
        let job = jobs.get(&unit.job);
        let name = match job {
            Some(job) => job.table_name(),
            None if unit.is_drift() => unit.reads.clone(),
            None => continue,
        };
        let Some(table) = lake.existing(&name).await? else {
            continue;
        };
        let version = table.refresh().await?;
        let first = first_number(&session, &edge_sql(unit, "min")).await?;
        let last = first_number(&session, &edge_sql(unit, "max")).await?;
        let (Some(first_us), Some(last_us)) = (first, last) else {
            continue;
        };
        let span = Span {
            start_us: floor(first_us.max(from_us - HISTORY_US), unit.window_us),
            end_us: floor(to_us, unit.window_us)
                .min(floor(last_us, unit.window_us) + unit.window_us),
        };
        let mut watches = Watches::default();
        let noticed = range::judge(&session, unit, &mut watches, span).await?;
        done.windows += ((span.end_us - span.start_us) / unit.window_us).max(0) as u64;
        done.series += watches.series();
        let mut open = std::collections::HashMap::new();
        for noticed in &noticed {
            let finding = match noticed.change {
                Change::Opened(_) => {
                    let Some(finding) = Finding::opened(unit, noticed) else {
                        continue;
                    };
                    let is_shown = noticed.window.start_us >= from_us;
                    let finding = if is_shown {
                        let segment = &noticed.key.1;
                        enrich(
                            &session,
                            lake,
                            &mut inputs,
                            unit,
                            job,
                            segment,
                            finding,
                            version,
                        )
                        .await?
                    } else {
                        finding
                    };
                    open.insert(finding.finding_id.clone(), finding.clone());
                    finding
                }
                Change::Ended { ended_us, adopted } => {
                    match open.remove(&finding::finding_id(unit, noticed)) {
                        Some(finding) => finding.ended(ended_us, adopted),
                        None => continue,
                    }
                }
            };
            if noticed.window.start_us >= from_us {
                done.findings.push(finding);
            }
        }
    }
    done.findings.sort_by(|a, b| {
        let key = |one: &Finding| {
            (
                one.ended_us.unwrap_or(one.window.end_us),
                one.finding_id.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    Ok(done)
}
