//! The commit of findings: their rows, how far each unit is, and state where that is due.

use fail::fail_point;
use farol_lake::{Commit, Marks, Outcome, Step};

use super::work::{Work, closed_id, state_id};
use super::{NEXT_FINDING, STATE_EVERY_US, STEP, Service, Stepped};
use crate::error::DetectorError;
use crate::finding::{self, Finding};
use crate::state;

impl Service {
    pub(super) async fn commit(
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
                to.push((state_id(&work.unit), judged_us));
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
