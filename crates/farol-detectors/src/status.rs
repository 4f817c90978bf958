//! How far detectors are, as the marks of the table of findings say.

use farol_jobs::time::rfc3339;
use farol_lake::{FINDINGS, Lake, LakeError};

use crate::definition::Detectors;
use crate::service::{MARKS, closed_id};

/// How far one unit is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitStatus {
    /// The detector.
    pub detector: String,
    /// The job.
    pub job: String,
    /// The end of the windows whose findings are committed; `None` before the first.
    pub judged_to: Option<String>,
}

/// How far each unit of each detector is.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn status(lake: &Lake, detectors: &Detectors) -> Result<Vec<UnitStatus>, LakeError> {
    let marks = match lake.existing(FINDINGS).await? {
        Some(table) => table.marks(MARKS).await?,
        None => farol_lake::Marks::default(),
    };
    let units = detectors.iter().flat_map(|detector| &detector.units);
    Ok(units
        .map(|unit| UnitStatus {
            detector: unit.detector.clone(),
            job: unit.job.clone(),
            judged_to: marks.get(&closed_id(unit)).map(|us| rfc3339(*us)),
        })
        .collect())
}
