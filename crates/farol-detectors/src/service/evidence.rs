//! What supports a finding: traces that show it, the segments that explain it, and the versions that were read.

use std::sync::Arc;

use farol_jobs::{Job, Segment};
use farol_lake::Lake;
use farol_lake::sql::Session;
use serde_json::{Map, Value};

use crate::cause::root_causes;
use crate::definition::Unit;
use crate::error::DetectorError;
use crate::finding::Finding;
use crate::samples::{Inputs, Place, Telling};

/// The table whose rows have traces to show.
const TRACES: &str = "traces";

/// A finding with its samples, causes and versions.
#[expect(clippy::too_many_arguments, reason = "what a service holds, in parts")]
pub(crate) async fn enrich(
    session: &Session,
    lake: &Lake,
    inputs: &mut Inputs,
    unit: &Unit,
    job: Option<&Arc<Job>>,
    segment: &Segment,
    mut finding: Finding,
    version: i64,
) -> Result<Finding, DetectorError> {
    let mut tables = Map::new();
    if let Some(job) = job {
        tables.insert(job.table_name(), Value::from(version));
        if unit.compare.is_none() {
            let causes = root_causes(session.context(), unit, job, segment, &finding).await?;
            finding.root_causes = causes.to_string();
        }
    }
    let input = match unit.reads.as_str() {
        TRACES => inputs.open(lake, TRACES).await?,
        _ => None,
    };
    if let Some(input) = input {
        let place = Place {
            reads: TRACES,
            by: &unit.by,
            from_us: finding.since_us,
            to_us: finding.window.end_us,
        };
        let telling = Telling::of(Some(&finding.measure));
        let found = input.find(place, &[(segment.clone(), telling)]).await?;
        if let Some(ids) = found.and_then(|mut found| found.remove(segment)) {
            finding.samples = Value::from(ids).to_string();
            tables.insert(TRACES.to_owned(), Value::from(input.version));
        }
    }
    finding.tables = Value::Object(tables).to_string();
    Ok(finding)
}
