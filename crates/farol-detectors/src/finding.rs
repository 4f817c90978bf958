//! A finding: one incident as a row of the table `findings`, and rows as findings.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use datafusion::logical_expr::Expr;
use datafusion::prelude::{SessionContext, col, lit};
use farol_jobs::segment::{quoted_name, quoted_text, text_list};
use farol_jobs::time::rfc3339;
use farol_jobs::{Segment, duration};
use farol_lake::{Table, TableSpec};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use crate::definition::Unit;
use crate::drift;
use crate::error::DetectorError;
use crate::unit::{Moved, Noticed};
use farol_stats::watch::{Change, Span};

/// How far before the change a finding's SQL and pictures begin, in windows.
const WINDOWS_BEFORE: i64 = 60;

/// Whether an incident goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It goes on.
    Open,
    /// It is over.
    Ended,
    /// It lasted so long that it is the new level.
    Adopted,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Open, Self::Ended, Self::Adopted];

    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ended => "ended",
            Self::Adopted => "adopted",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Its place in the order of findings.
    pub sequence: i64,
    /// The incident.
    pub finding_id: String,
    /// How often it was said anew.
    pub revision: i64,
    /// Whether it goes on.
    pub state: State,
    /// The detector.
    pub detector: String,
    /// How the measure is watched.
    pub method: String,
    /// The job.
    pub job: String,
    /// The measure.
    pub measure: String,
    /// Which change was looked for.
    pub direction: String,
    /// The segment, as a JSON object.
    pub segment: String,
    /// When the change most likely began, in microseconds.
    pub since_us: i64,
    /// The window at whose end it was noticed.
    pub window: Span,
    /// When it could be noticed, by the watermark: the window's end and the detector's `settle`.
    pub noticed_us: i64,
    /// When it was over.
    pub ended_us: Option<i64>,
    /// What was compared.
    pub statistic: String,
    /// Its value.
    pub statistic_value: f64,
    /// What it was compared with.
    pub threshold: f64,
    /// The probability of such a value without a change, where the method gives one.
    pub p_value: Option<f64>,
    /// The measure since the change.
    pub observed: f64,
    /// What it was expected to be.
    pub reference: f64,
    /// By how much it changed.
    pub effect: f64,
    /// The lower end of the effect's interval.
    pub effect_low: Option<f64>,
    /// The upper end.
    pub effect_high: Option<f64>,
    /// Where the reference begins and ends.
    pub reference_span: Span,
    /// What the observed value is made of.
    pub observations: i64,
    /// Which segments explain it, as a JSON array.
    pub root_causes: String,
    /// Trace ids, as a JSON array.
    pub samples: String,
    /// A query that shows the measure.
    pub sql: String,
    /// The versions of the tables that were read, as a JSON object.
    pub tables: String,
}

impl Finding {
    /// An incident that was just noticed, without samples and causes; `None` where what was noticed is an end.
    pub fn opened(unit: &Unit, noticed: &Noticed) -> Option<Self> {
        let Change::Opened(evidence) = noticed.change else {
            return None;
        };
        let watched = unit.measures.get(noticed.key.0)?;
        let segment = &noticed.key.1;
        let known = |value: f64| value.is_finite().then_some(value);
        Some(Self {
            sequence: 0,
            finding_id: finding_id(unit, noticed),
            revision: 0,
            state: State::Open,
            detector: unit.detector.clone(),
            method: watched.method.as_str().to_owned(),
            job: unit.job.clone(),
            measure: watched.measure.clone(),
            direction: watched.direction.as_str().to_owned(),
            segment: segment.to_json(&unit.by).to_string(),
            since_us: evidence.since_us,
            window: noticed.window,
            noticed_us: noticed.window.end_us + unit.settle_us,
            ended_us: None,
            statistic: noticed.statistic.to_owned(),
            statistic_value: evidence.value,
            threshold: evidence.threshold,
            p_value: noticed.p_value,
            observed: evidence.observed,
            reference: evidence.reference,
            effect: evidence.effect,
            effect_low: known(evidence.effect_low),
            effect_high: known(evidence.effect_high),
            reference_span: evidence.reference_span,
            observations: evidence.observations as i64,
            root_causes: moved(&watched.measure, &noticed.moved).to_string(),
            samples: "[]".to_owned(),
            sql: if unit.is_drift() {
                {
                    let moved = noticed.moved.first().map(|one| one.value.as_str());
                    drift::rows::shown_by(unit, segment, watched, moved, noticed.window)
                }
            } else {
                shown_by(
                    unit,
                    segment,
                    &watched.measure,
                    evidence.since_us,
                    noticed.window.end_us,
                )
            },
            tables: "{}".to_owned(),
        })
    }

    /// A finding for tests of what is made of findings.
    pub fn example() -> Self {
        let span = |start_us, end_us| Span { start_us, end_us };
        Self {
            sequence: 3,
            finding_id: "f".to_owned(),
            revision: 0,
            state: State::Open,
            detector: "d".to_owned(),
            method: "rate".to_owned(),
            job: "performance".to_owned(),
            measure: "error_rate".to_owned(),
            direction: "increase".to_owned(),
            segment: r#"{"service":"a"}"#.to_owned(),
            since_us: 60,
            window: span(120, 180),
            noticed_us: 180,
            ended_us: None,
            statistic: "e_value".to_owned(),
            statistic_value: 1e6,
            threshold: 1e5,
            p_value: None,
            observed: 0.5,
            reference: 0.01,
            effect: 0.49,
            effect_low: Some(0.4),
            effect_high: None,
            reference_span: span(0, 60),
            observations: 40,
            root_causes: "[]".to_owned(),
            samples: r#"["t"]"#.to_owned(),
            sql: "SELECT 1".to_owned(),
            tables: "{}".to_owned(),
        }
    }

    /// The same incident, over.
    #[must_use]
    pub fn ended(&self, ended_us: i64, adopted: bool) -> Self {
        Self {
            revision: self.revision + 1,
            state: if adopted {
                State::Adopted
            } else {
                State::Ended
            },
            ended_us: Some(ended_us),
            ..self.clone()
        }
    }
}

/// Categories whose shares changed, as root causes are told.
fn moved(column: &str, moved: &[Moved]) -> Value {
    let told = moved.iter().map(|one| {
        json!({
            "segment": {column: one.value},
            "share": one.share,
            "observed": one.observed,
            "reference": one.reference,
        })
    });
    Value::Array(told.collect())
}

/// The id of the incident that something was noticed of.
pub(crate) fn finding_id(unit: &Unit, noticed: &Noticed) -> String {
    let measure = unit
        .measures
        .get(noticed.key.0)
        .map_or("", |watched| watched.measure.as_str());
    let segment = noticed.key.1.to_json(&unit.by).to_string();
    let opened = noticed.opened_us.to_string();
    hash(&[&unit.detector, &unit.job, measure, &segment, &opened])
}

/// The query that shows a measure from an hour of windows before a change on.
fn shown_by(unit: &Unit, segment: &Segment, measure: &str, since_us: i64, to_us: i64) -> String {
    format!(
        "SELECT window_start, {} AS value FROM measures({}, {}{}) \
         WHERE window_start >= TIMESTAMP '{}' AND window_start < TIMESTAMP '{}'{} ORDER BY window_start",
        quoted_name(measure),
        quoted_text(&unit.job),
        quoted_text(&duration::words(unit.window_us)),
        text_list(unit.by.iter()),
        rfc3339(since_us - WINDOWS_BEFORE * unit.window_us),
        rfc3339(to_us),
        segment.to_sql(&unit.by),
    )
}

/// 128 bits over the parts, as hexadecimal digits. Parts cannot run into each other.
fn hash(parts: &[&str]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part.as_bytes());
    }
    format!("{:032x}", xxh3_128(&bytes))
}

/// Findings as rows of the table.
pub(crate) fn to_batch(findings: &[Finding]) -> Result<RecordBatch, ArrowError> {
    type Text = dyn Fn(&Finding) -> &str;
    let text = |of: &Text| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(findings.iter().map(of)))
    };
    let count = |of: &dyn Fn(&Finding) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(findings.iter().map(of)))
    };
    let time = |of: &dyn Fn(&Finding) -> Option<i64>| -> ArrayRef {
        let values: TimestampMicrosecondArray = findings.iter().map(of).collect();
        Arc::new(values.with_timezone("UTC"))
    };
    let number = |of: &dyn Fn(&Finding) -> Option<f64>| -> ArrayRef {
        let values: Float64Array = findings.iter().map(of).collect();
        Arc::new(values)
    };
    let columns = vec![
        count(&|f| f.sequence),
        text(&|f| &f.finding_id),
        count(&|f| f.revision),
        text(&|f| f.state.as_str()),
        text(&|f| &f.detector),
        text(&|f| &f.method),
        text(&|f| &f.job),
        text(&|f| &f.measure),
        text(&|f| &f.direction),
        text(&|f| &f.segment),
        time(&|f| Some(f.since_us)),
        time(&|f| Some(f.window.start_us)),
        time(&|f| Some(f.window.end_us)),
        time(&|f| Some(f.noticed_us)),
        time(&|f| f.ended_us),
        text(&|f| &f.statistic),
        number(&|f| Some(f.statistic_value)),
        number(&|f| Some(f.threshold)),
        number(&|f| f.p_value),
        number(&|f| Some(f.observed)),
        number(&|f| Some(f.reference)),
        number(&|f| Some(f.effect)),
        number(&|f| f.effect_low),
        number(&|f| f.effect_high),
        time(&|f| Some(f.reference_span.start_us)),
        time(&|f| Some(f.reference_span.end_us)),
        count(&|f| f.observations),
        text(&|f| &f.root_causes),
        text(&|f| &f.samples),
        text(&|f| &f.sql),
        text(&|f| &f.tables),
    ];
    RecordBatch::try_new(TableSpec::findings().schema, columns)
}

/// Every row of the incidents whose id begins like this, in their order.
///
/// # Errors
/// Where the table cannot be read, or holds what this version does not understand.
pub async fn find(table: &Table, beginning: &str) -> Result<Vec<Finding>, DetectorError> {
    let known = |c: char| c.is_ascii_hexdigit();
    if beginning.is_empty() || !beginning.chars().all(known) {
        return Ok(Vec::new());
    }
    let begins = col("finding_id").like(lit(format!("{beginning}%")));
    read(table, Some(begins)).await
}

/// The findings from a number on, in their order.
///
/// # Errors
/// Where the table cannot be read, or holds what this version does not understand.
pub async fn since(table: &Table, sequence: i64) -> Result<Vec<Finding>, DetectorError> {
    read(table, Some(col("sequence").gt_eq(lit(sequence)))).await
}

/// Reads the rows that a filter picks out, in their order.
pub(crate) async fn read(
    table: &Table,
    filter: Option<Expr>,
) -> Result<Vec<Finding>, DetectorError> {
    let version = table.refresh().await?;
    let context = SessionContext::new();
    let spec = TableSpec::findings();
    let names = spec
        .schema
        .fields()
        .iter()
        .map(|field| field.name().as_str());
    let names: Vec<&str> = names.collect();
    let mut frame = context.read_table(table.rows_at(version).await?)?;
    if let Some(filter) = filter {
        frame = frame.filter(filter)?;
    }
    let frame = frame
        .select_columns(&names)?
        .sort(vec![col("sequence").sort(true, false)])?;
    let mut findings = Vec::new();
    for batch in frame.collect().await? {
        from_batch(&batch, &mut findings)?;
    }
    Ok(findings)
}

fn from_batch(batch: &RecordBatch, findings: &mut Vec<Finding>) -> Result<(), DetectorError> {
    let columns = batch
        .columns()
        .iter()
        .zip(TableSpec::findings().schema.fields())
        .map(|(column, field)| arrow::compute::cast(column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        let text = |column: usize| columns[column].as_string::<i32>().value(row).to_owned();
        let count = |column: usize| columns[column].as_primitive::<Int64Type>().value(row);
        let time = |column: usize| {
            columns[column]
                .as_primitive::<TimestampMicrosecondType>()
                .value(row)
        };
        let number = |column: usize| {
            let column = columns[column].as_primitive::<Float64Type>();
            column.is_valid(row).then(|| column.value(row))
        };
        let span = |column: usize| Span {
            start_us: time(column),
            end_us: time(column + 1),
        };
        let state = State::parse(&text(3)).ok_or_else(|| {
            DetectorError::Findings(format!("finding {} is `{}`", text(1), text(3)))
        })?;
        findings.push(Finding {
            sequence: count(0),
            finding_id: text(1),
            revision: count(2),
            state,
            detector: text(4),
            method: text(5),
            job: text(6),
            measure: text(7),
            direction: text(8),
            segment: text(9),
            since_us: time(10),
            window: span(11),
            noticed_us: time(13),
            ended_us: columns[14].is_valid(row).then(|| time(14)),
            statistic: text(15),
            statistic_value: number(16).unwrap_or(f64::NAN),
            threshold: number(17).unwrap_or(f64::NAN),
            p_value: number(18),
            observed: number(19).unwrap_or(f64::NAN),
            reference: number(20).unwrap_or(f64::NAN),
            effect: number(21).unwrap_or(f64::NAN),
            effect_low: number(22),
            effect_high: number(23),
            reference_span: span(24),
            observations: count(26),
            root_causes: text(27),
            samples: text(28),
            sql: text(29),
            tables: text(30),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_written_and_read_back() {
        let opened = Finding::example();
        let ended = opened.ended(240, false);
        assert_eq!((ended.revision, ended.state), (1, State::Ended));
        let written = [opened, ended];
        let batch = to_batch(&written).unwrap();
        let mut read = Vec::new();
        from_batch(&batch, &mut read).unwrap();
        assert_eq!(read, written);
    }
}
