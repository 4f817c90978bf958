//! The files that hold a table's rows at a version, chosen by the times of their rows.

use chrono::NaiveDate;
use deltalake::kernel::LogicalFileView;

use crate::additions::AddedFile;
use crate::error::LakeError;
use crate::maintenance::may_overlap;
use crate::table::Table;

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

impl Table {
    /// The files at a version.
    ///
    /// # Errors
    /// Where the table cannot be read.
    pub async fn live_files(&self, version: i64) -> Result<Vec<AddedFile>, LakeError> {
        self.files_that(version, |_| true).await
    }

    /// The files at a version that may hold rows whose time in `column` is within one of `ranges` (microseconds, their
    /// ends not included), going by the log's statistics. Where the table is partitioned by the date of that time,
    /// `by_date` says so, and spares looking at the others' statistics.
    ///
    /// # Errors
    /// Where the table cannot be read.
    pub async fn files_within(
        &self,
        version: i64,
        (column, by_date): (&str, bool),
        ranges: &[(i64, i64)],
    ) -> Result<Vec<AddedFile>, LakeError> {
        let on_a_date = |view: &LogicalFileView| {
            let day_us = by_date.then(|| date_us(view)).flatten();
            day_us.is_none_or(|day_us| ranges.iter().any(|range| overlaps(day_us, *range)))
        };
        self.files_that(version, |view| {
            if !on_a_date(view) {
                return false;
            }
            let statistics = view.stats();
            let mut ranges = ranges.iter();
            ranges.any(|range| may_overlap(statistics.as_deref(), column, *range))
        })
        .await
    }

    async fn files_that(
        &self,
        version: i64,
        wanted: impl Fn(&LogicalFileView) -> bool,
    ) -> Result<Vec<AddedFile>, LakeError> {
        let delta = self.files_at(Some(version.unsigned_abs())).await?;
        let views = delta.snapshot()?.log_data();
        let files = views.iter().filter(wanted).map(|view| AddedFile {
            path: view.object_store_path().to_string(),
            bytes: view.size().unsigned_abs(),
            partition: view.partition_values_map().into_values().next().flatten(),
        });
        Ok(files.collect())
    }
}

/// The beginning of the date that a file is of.
fn date_us(view: &LogicalFileView) -> Option<i64> {
    let date = view.partition_values_map().into_values().next().flatten()?;
    let date: NaiveDate = date.parse().ok()?;
    Some(
        date.and_time(chrono::NaiveTime::MIN)
            .and_utc()
            .timestamp_micros(),
    )
}

/// Whether a day has times of a range.
fn overlaps(day_us: i64, (from_us, to_us): (i64, i64)) -> bool {
    day_us < to_us && day_us.saturating_add(DAY_US) > from_us
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_within_a_range_that_touches_it() {
        assert!(overlaps(0, (DAY_US - 1, DAY_US)));
        assert!(!overlaps(0, (DAY_US, 2 * DAY_US)));
        assert!(!overlaps(0, (-DAY_US, 0)));
        assert!(overlaps(0, (-DAY_US, 1)));
        assert!(overlaps(0, (i64::MIN, i64::MAX)));
    }
}
