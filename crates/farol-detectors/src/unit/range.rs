//! All windows of a range, in order, whatever the unit looks at.

use farol_lake::sql::Session;
use farol_stats::watch::Span;

use super::rows::each_window;
use super::{Noticed, Watches};
use crate::definition::Unit;
use crate::drift;
use crate::error::DetectorError;

/// Judges the windows of a range, and gives what was noticed.
///
/// # Errors
/// Where their rows cannot be read: then it is not known how far the watches are.
pub(crate) async fn judge(
    session: &Session,
    unit: &Unit,
    watches: &mut Watches,
    range: Span,
) -> Result<Vec<Noticed>, DetectorError> {
    let mut noticed = Vec::new();
    if unit.is_drift() {
        for start_us in (range.start_us..range.end_us).step_by(unit.window_us as usize) {
            let end_us = start_us + unit.window_us;
            let window = Span { start_us, end_us };
            let counts = drift::rows::counts(session, unit, window).await?;
            noticed.extend(watches.judge_columns(unit, window, counts));
        }
    } else {
        each_window(session, unit, range, |window, rows| {
            noticed.extend(watches.judge(unit, window, rows));
        })
        .await?;
    }
    Ok(noticed)
}
