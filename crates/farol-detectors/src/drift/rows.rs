//! The counts of a unit's columns in a window, from the table of events.

use std::collections::BTreeMap;

use arrow::array::{Array as _, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use farol_jobs::segment::{Segment, quoted_name, quoted_text};
use farol_jobs::time::rfc3339;
use farol_lake::sql::Session;
use farol_stats::watch::Span;
use futures::TryStreamExt as _;

use super::compare::sum;
use super::history::times;
use super::{Counts, key};
use crate::definition::{Method, Unit, Watched};
use crate::error::DetectorError;
use crate::finding::Finding;
use crate::unit::Key;

/// Values of one column and segment that are told apart; the rarest of more are one.
const VALUES_MAX: usize = 500;
/// How much is shown before a window.
const SHOWN_BEFORE_US: i64 = 2 * 86_400_000_000;
/// What the rarest are called.
const OTHER: &str = "other";

/// Counts every column of every segment in a window.
///
/// # Errors
/// Where the rows cannot be read.
pub async fn counts(
    session: &Session,
    unit: &Unit,
    window: Span,
) -> Result<BTreeMap<Key, Counts>, DetectorError> {
    let mut found: BTreeMap<Key, Counts> = BTreeMap::new();
    for (place, watched) in unit.measures.iter().enumerate() {
        let (_, mut batches) = session.query(&query(unit, watched, window)).await?;
        while let Some(batch) = batches.try_next().await? {
            let texts = (0..=unit.by.len())
                .map(|column| cast(batch.column(column), &DataType::Utf8))
                .collect::<Result<Vec<_>, _>>()?;
            let counts = cast(batch.column(unit.by.len() + 1), &DataType::Int64)?;
            let counts = counts.as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let text = |column: usize| {
                    let column = texts[column].as_string::<i32>();
                    column.is_valid(row).then(|| column.value(row).to_owned())
                };
                let segment = Segment((0..unit.by.len()).map(text).collect());
                if let Some(value) = text(unit.by.len()) {
                    let of_key = found.entry(key(place, segment)).or_default();
                    *of_key.entry(value).or_default() += counts.value(row).max(0) as u64;
                }
            }
        }
    }
    found.values_mut().for_each(bounded);
    Ok(found)
}

/// The counts of a finding's column in what it was compared with, and in its window; `None` where the unit has no such column
/// or segment any more. Windows of other incidents, which a comparison leaves out, are among them: it is what it was like, and
/// not the last digit of what was judged.
///
/// # Errors
/// Where the rows cannot be read.
pub async fn compared(
    session: &Session,
    unit: &Unit,
    finding: &Finding,
) -> Result<Option<(Counts, Counts)>, DetectorError> {
    let watched = unit
        .measures
        .iter()
        .find(|watched| watched.measure == finding.measure);
    let (Some(watched), Some(segment)) = (watched, Segment::from_json(&finding.segment, &unit.by))
    else {
        return Ok(None);
    };
    let alone = Unit {
        measures: vec![watched.clone()],
        ..unit.clone()
    };
    let key = key(0, segment);
    let mut before = Vec::new();
    let (known, window_us) = (finding.reference_span, finding.window.start_us);
    for start_us in times(unit.reference, &unit.calendar, window_us) {
        if (known.start_us..=known.end_us).contains(&start_us) {
            let end_us = start_us + unit.window_us;
            let span = Span { start_us, end_us };
            before.extend(counts(session, &alone, span).await?.remove(&key));
        }
    }
    let now = counts(session, &alone, finding.window).await?.remove(&key);
    Ok(Some((sum(before.iter()), now.unwrap_or_default())))
}

/// What a column is counted as: text as it is, numbers by bins of 2 %, each called by its middle.
fn value_of(watched: &Watched) -> String {
    let name = quoted_name(&watched.measure);
    match watched.method {
        Method::Numbers => format!(
            "CASE WHEN {name} > 0 THEN exp(0.02 * (floor(ln(CAST({name} AS DOUBLE)) / 0.02) + 0.5)) \
             WHEN {name} < 0 THEN -exp(0.02 * (floor(ln(CAST(-{name} AS DOUBLE)) / 0.02) + 0.5)) \
             WHEN {name} = 0 THEN 0.0 END"
        ),
        _ => format!("CAST({name} AS VARCHAR)"),
    }
}

fn query(unit: &Unit, watched: &Watched, window: Span) -> String {
    let by = unit.by.iter().fold(String::new(), |list, name| {
        list + quoted_name(name).as_str() + ", "
    });
    let groups: Vec<_> = (1..=unit.by.len() + 1)
        .map(|place| place.to_string())
        .collect();
    format!(
        "SELECT {by}{} AS value, count(*) AS rows FROM {} WHERE event_time >= TIMESTAMP '{}' AND \
         event_time < TIMESTAMP '{}' GROUP BY {}",
        value_of(watched),
        quoted_name(&unit.reads),
        rfc3339(window.start_us),
        rfc3339(window.end_us),
        groups.join(", "),
    )
}

/// The query that shows a column's mean, or the share of one category, from two days before a window on.
pub(crate) fn shown_by(
    unit: &Unit,
    segment: &Segment,
    watched: &Watched,
    moved: Option<&str>,
    window: Span,
) -> String {
    let name = quoted_name(&watched.measure);
    let value = match moved {
        Some(value) => format!(
            "avg(CASE WHEN {name} = {} THEN 1.0 ELSE 0.0 END)",
            quoted_text(value)
        ),
        None => format!("avg({name})"),
    };
    let grain = farol_jobs::duration::words(unit.window_us);
    format!(
        "SELECT window_start(event_time, '{grain}') AS window_start, {value} AS value, count({name}) AS rows FROM {} \
         WHERE event_time >= TIMESTAMP '{}' AND event_time < TIMESTAMP '{}' AND {name} IS NOT NULL{} GROUP BY 1 ORDER BY 1",
        quoted_name(&unit.reads),
        rfc3339(window.start_us - SHOWN_BEFORE_US),
        rfc3339(window.end_us),
        segment.to_sql(&unit.by),
    )
}

/// Puts the rarest values together where there are too many.
fn bounded(counts: &mut Counts) {
    if counts.len() <= VALUES_MAX {
        return;
    }
    let mut all: Vec<_> = std::mem::take(counts).into_iter().collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let rest: u64 = all[VALUES_MAX - 1..].iter().map(|(_, count)| count).sum();
    all.truncate(VALUES_MAX - 1);
    *counts = all.into_iter().collect();
    *counts.entry(OTHER.to_owned()).or_default() += rest;
}
