//! The rows that a rule looks at, by segment and window: a cache of what the job's partials say, which can be read
//! again at any time.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType};
use farol_lake::sql::Session;
use futures::TryStreamExt as _;

use crate::condition::{Past, PastKind, PastTerm, Type, Value};
use crate::error::TriggerError;
use crate::rule::Rule;
use farol_jobs::duration;
use farol_jobs::segment::{Segment, name_list, quoted_name, quoted_text, text_list};
use farol_jobs::time::rfc3339;

/// Rows that a rule may hold.
const ROWS_MAX: usize = 4_000_000;

/// One segment's windows.
pub(crate) type Windows = BTreeMap<i64, Box<[Value]>>;

/// The rows of one rule.
#[derive(Debug, Default)]
pub(crate) struct History {
    rows: usize,
    segments: HashMap<Segment, Windows>,
}

impl History {
    /// Every segment that has rows.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.keys()
    }

    /// A segment's windows; `None` where there are no rows of it.
    pub fn windows(&self, segment: &Segment) -> Option<&Windows> {
        self.segments.get(segment)
    }

    /// The newest window that has rows.
    pub fn newest_us(&self) -> Option<i64> {
        let newest = |windows: &Windows| windows.keys().next_back().copied();
        self.segments.values().filter_map(newest).max()
    }

    /// The first window from one on that has rows.
    pub fn first_us(&self, from_us: i64) -> Option<i64> {
        let first = |windows: &Windows| Some(*windows.range(from_us..).next()?.0);
        self.segments.values().filter_map(first).min()
    }

    /// Takes rows that were put together elsewhere, in the place of all.
    pub fn replace(&mut self, segments: HashMap<Segment, Windows>) {
        self.rows = segments.values().map(BTreeMap::len).sum();
        self.segments = segments;
    }

    /// Forgets what lies before a window.
    pub fn forget_before(&mut self, window_us: i64) {
        for windows in self.segments.values_mut() {
            *windows = windows.split_off(&window_us);
        }
        self.segments.retain(|_, windows| !windows.is_empty());
        self.rows = self.segments.values().map(BTreeMap::len).sum();
    }

    /// Reads the windows from one on anew, and before another where one is given.
    pub async fn load(
        &mut self,
        session: &Session,
        rule: &Rule,
        from_us: i64,
        before_us: Option<i64>,
    ) -> Result<(), TriggerError> {
        for windows in self.segments.values_mut() {
            windows.split_off(&from_us);
        }
        self.segments.retain(|_, windows| !windows.is_empty());
        self.rows = self.segments.values().map(BTreeMap::len).sum();
        let (_, mut batches) = session.query(&query(rule, from_us, before_us)).await?;
        while let Some(batch) = batches.try_next().await? {
            self.take(rule, &batch)?;
        }
        Ok(())
    }

    fn take(&mut self, rule: &Rule, batch: &RecordBatch) -> Result<(), TriggerError> {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let windows = cast(batch.column(0), &time)?;
        let windows = windows.as_primitive::<TimestampMicrosecondType>();
        let texts = |range: std::ops::Range<usize>| {
            range
                .map(|column| cast(batch.column(column), &DataType::Utf8))
                .collect::<Result<Vec<_>, _>>()
        };
        let segments = texts(1..1 + rule.by.len())?;
        let first = 1 + rule.by.len();
        let mut columns = Vec::new();
        for (place, (_, kind)) in rule.columns.iter().enumerate() {
            let wanted = match kind {
                Type::Number => DataType::Float64,
                Type::Text => DataType::Utf8,
                Type::Boolean => DataType::Boolean,
            };
            columns.push(cast(batch.column(first + place), &wanted)?);
        }
        for row in 0..batch.num_rows() {
            let segment = segments.iter().map(|column| {
                let column = column.as_string::<i32>();
                column.is_valid(row).then(|| column.value(row).to_owned())
            });
            let values = columns
                .iter()
                .zip(&rule.columns)
                .map(|(column, (_, kind))| {
                    if column.is_null(row) {
                        return Value::Null;
                    }
                    match kind {
                        Type::Number => {
                            Value::number(column.as_primitive::<Float64Type>().value(row))
                        }
                        Type::Text => Value::Text(column.as_string::<i32>().value(row).to_owned()),
                        Type::Boolean => Value::Boolean(column.as_boolean().value(row)),
                    }
                });
            let windows_of = self.segments.entry(Segment(segment.collect())).or_default();
            let before = windows_of.insert(windows.value(row), values.collect());
            self.rows += usize::from(before.is_none());
        }
        if self.rows > ROWS_MAX {
            let rule = rule.name.clone();
            return Err(TriggerError::TooManyRows {
                rule,
                most: ROWS_MAX,
            });
        }
        Ok(())
    }
}

/// The query for a rule's rows.
fn query(rule: &Rule, from_us: i64, before_us: Option<i64>) -> String {
    let segments = text_list(rule.by.iter());
    let mut names = name_list(rule.by.iter());
    // Under names of their own: a condition may name a segment that the rule keeps, too.
    for (place, (name, _)) in rule.columns.iter().enumerate() {
        let _ = write!(names, ", {} AS \"column {place}\"", quoted_name(name));
    }
    let before = before_us.map_or_else(String::new, |before_us| {
        format!(" AND window_start < TIMESTAMP '{}'", rfc3339(before_us))
    });
    format!(
        "SELECT window_start{names} FROM measures({}, {}{segments}) WHERE window_start >= TIMESTAMP '{}'{before}",
        quoted_text(&rule.job),
        quoted_text(&duration::words(rule.window_us)),
        rfc3339(from_us),
    )
}

/// The past of one segment, as seen from a window.
pub(crate) struct Before<'a> {
    pub windows: &'a Windows,
    pub window_us: i64,
}

impl Past for Before<'_> {
    /// The mean is summed from the oldest window to the newest, so that it is the same number whoever computes it.
    fn look(&self, term: PastTerm) -> Option<f64> {
        let at = self.window_us - term.span_us;
        let value = |row: &[Value]| row.get(term.column).and_then(Value::as_number);
        match term.kind {
            PastKind::Previous => self.windows.get(&at).and_then(|row| value(row)),
            PastKind::Baseline => {
                let (mut sum, mut count) = (0.0, 0_u32);
                for (_, row) in self.windows.range(at..self.window_us) {
                    if let Some(value) = value(row) {
                        sum += value;
                        count += 1;
                    }
                }
                (count > 0).then(|| sum / f64::from(count))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_the_windows_that_have_data() {
        let row = |value: Value| -> Box<[Value]> { Box::new([value]) };
        let windows: Windows = [
            (0, row(Value::Number(1.0))),
            (10, row(Value::Null)),
            (20, row(Value::Number(3.0))),
            (30, row(Value::Number(100.0))),
        ]
        .into();
        let term = |kind, span_us| PastTerm {
            kind,
            span_us,
            column: 0,
        };
        let before = |window_us| Before {
            windows: &windows,
            window_us,
        };
        assert_eq!(before(30).look(term(PastKind::Baseline, 30)), Some(2.0));
        assert_eq!(before(30).look(term(PastKind::Baseline, 20)), Some(3.0));
        assert_eq!(
            before(30).look(term(PastKind::Previous, 20)),
            None,
            "it is there, and not known"
        );
        assert_eq!(before(40).look(term(PastKind::Previous, 10)), Some(100.0));
        assert_eq!(before(0).look(term(PastKind::Baseline, 30)), None);
    }

    #[test]
    fn a_segment_that_is_kept_and_compared_is_selected_under_two_names() {
        let service = "service".to_owned();
        let job = crate::rule::Job {
            reads: "traces".to_owned(),
            window_us: 60_000_000,
            segments: vec![service],
            measures: vec![("errors".to_owned(), Type::Number)],
            ..Default::default()
        };
        let catalog = crate::rule::Catalog {
            jobs: [("performance".to_owned(), job)].into(),
        };
        let text = "name: r\non: performance\nby: [service]\nwhen: service <> 'a' AND errors > 1\n";
        let rule = crate::rule::understand_text("r", text, &catalog).unwrap();
        let query = query(&rule, 0, None);
        let selected =
            "SELECT window_start, service, errors AS \"column 0\", service AS \"column 1\" FROM";
        assert!(query.starts_with(selected), "{query}");
    }
}
