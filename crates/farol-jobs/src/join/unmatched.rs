//! What has not found its call, from the lake alone: how a process begins, and goes on where memory does not hold it.
//!
//! A row of feedback whose place is not in the joined table. It is worked out a date at a time, so that memory holds the
//! places of one.

use std::collections::BTreeMap;

use datafusion::execution::SendableRecordBatchStream;
use farol_lake::{AddedFile, Joined, PLACE, Table};

use super::search::context;
use super::subject::DAY_US;
use crate::aggregate::within;
use crate::error::JobError;
use datafusion::logical_expr::{JoinType, ident};

/// The rows of one date.
#[derive(Debug)]
pub(super) struct Date {
    day_us: Option<i64>,
    files: Vec<AddedFile>,
}

/// Both tables, as they were at versions that belong together.
#[derive(Debug, Clone)]
pub(super) struct Unmatched {
    pub joined: Joined,
    pub own: (Table, i64),
    pub output: (Table, i64),
}

impl Unmatched {
    /// The dates that there are rows of.
    pub async fn dates(&self) -> Result<Vec<Date>, JobError> {
        let (own, version) = &self.own;
        let mut dates = BTreeMap::<Option<String>, Vec<AddedFile>>::new();
        for file in own.live_files(*version).await? {
            dates.entry(file.partition.clone()).or_default().push(file);
        }
        let day_us = |date: &Option<String>| -> Option<i64> {
            let date: chrono::NaiveDate = date.as_ref()?.parse().ok()?;
            Some(
                date.and_time(chrono::NaiveTime::MIN)
                    .and_utc()
                    .timestamp_micros(),
            )
        };
        let dates = dates.into_iter().map(|(date, files)| Date {
            day_us: day_us(&date),
            files,
        });
        Ok(dates.collect())
    }

    /// The rows of a date that are not joined, with the own table's columns.
    pub async fn of(&self, date: &Date) -> Result<SendableRecordBatchStream, JobError> {
        let context = context()?;
        let (own, _) = &self.own;
        let (output, version) = &self.output;
        let range = date
            .day_us
            .map_or((i64::MIN, i64::MAX), |day_us| (day_us, day_us + DAY_US));
        let time = self.joined.own_time();
        let files = output
            .files_within(*version, (time, false), &[range])
            .await?;
        let places = context
            .read_table(output.added_rows(files)?)?
            .filter(within(ident(time), range))?
            .select(PLACE.map(ident).to_vec())?;
        let names = PLACE.map(|name| format!("joined_{name}"));
        let renamed = PLACE.iter().zip(&names);
        let renamed = renamed
            .map(|(name, to)| ident(*name).alias(to))
            .collect::<Vec<_>>();
        let rows = context.read_table(own.added_rows(date.files.clone())?)?;
        // The places are the side that is held in memory.
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let frame =
            places
                .select(renamed)?
                .join(rows, JoinType::RightAnti, &names, &PLACE, None)?;
        Ok(frame.execute_stream().await?)
    }
}
