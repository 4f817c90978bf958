//! Spend from tables of partials: what new versions added, or all of it.

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::cast as cast_array;
use arrow::datatypes::{DataType, Decimal128Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::logical_expr::{Expr, ident, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use farol_jobs::Segment;
use farol_lake::{AdditionLimits, Table};
use futures::TryStreamExt as _;

use super::check::CURRENCY;
use super::definition::Budget;
use super::money::{Money, SCALE};
use super::usage::{Entry, Usage};
use crate::error::TriggerError;

/// What one look at new partials may take; more is read as a whole.
const LIMITS: AdditionLimits = AdditionLimits {
    versions: 1_000,
    bytes: 256 << 20,
};

/// The column of a partial's window.
const WINDOW_START: &str = "window_start";

/// What is new in a table of partials since a version.
pub(super) enum News {
    /// Nothing.
    Nothing,
    /// These rows, up to a version.
    Rows(DataFrame, i64),
    /// Rows were replaced, or there are too many new ones: all of it is to be read again.
    Everything,
}

/// Looks for what is new since a version.
pub(super) async fn news(table: &Table, known: i64, version: i64) -> Result<News, TriggerError> {
    if version <= known {
        return Ok(News::Nothing);
    }
    match table.additions(known, LIMITS).await? {
        Some(additions) if !additions.replaced && additions.through >= version => {
            let rows = SessionContext::new().read_table(table.added_rows(additions.files)?)?;
            Ok(News::Rows(rows, additions.through))
        }
        _ => Ok(News::Everything),
    }
}

/// All rows of a version, from a time on.
pub(super) async fn everything(
    table: &Table,
    version: i64,
    from_us: i64,
) -> Result<DataFrame, TriggerError> {
    let rows = SessionContext::new().read_table(table.rows_at(version).await?)?;
    let from = ScalarValue::TimestampMicrosecond(Some(from_us), Some("UTC".into()));
    Ok(rows.filter(ident(WINDOW_START).gt_eq(lit(from)))?)
}

/// Columns of one batch of sums: when, in what, of whom, how much.
struct Columns {
    windows: ArrayRef,
    texts: Vec<(String, ArrayRef)>,
    sums: Vec<(String, ArrayRef)>,
}

/// Adds up rows of a job into what the budgets spent that read it. The budgets' places of which a segment was too many.
pub(super) async fn add(
    rows: DataFrame,
    job: &str,
    budgets: &mut [(&Budget, &mut Usage)],
) -> Result<Vec<usize>, TriggerError> {
    let mut texts = vec![CURRENCY.to_owned()];
    let mut partials: Vec<&'static str> = Vec::new();
    for (budget, _) in &*budgets {
        texts.extend(budget.columns().cloned());
        partials.extend(partials_of(budget, job));
    }
    texts.sort_unstable();
    texts.dedup();
    partials.sort_unstable();
    partials.dedup();
    let groups: Vec<Expr> = std::iter::once(ident(WINDOW_START))
        .chain(texts.iter().map(ident))
        .collect();
    let sums: Vec<Expr> = partials
        .iter()
        .map(|partial| sum(ident(*partial)).alias(*partial))
        .collect();
    let mut batches = rows.aggregate(groups, sums)?.execute_stream().await?;
    let mut full = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        let columns = Columns::of(&batch, &texts, &partials)?;
        for (place, (budget, usage)) in budgets.iter_mut().enumerate() {
            if !columns.add(budget, job, usage) && !full.contains(&place) {
                full.push(place);
            }
        }
    }
    Ok(full)
}

/// The partials of a job that a budget adds up.
fn partials_of(budget: &Budget, job: &str) -> impl Iterator<Item = &'static str> {
    let reads = budget.source.reads().iter();
    let of_job = reads.filter(move |(name, _)| *name == job);
    of_job.flat_map(|(_, partials)| partials.iter().copied())
}

impl Columns {
    fn of(batch: &RecordBatch, texts: &[String], sums: &[&str]) -> Result<Self, TriggerError> {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let money = DataType::Decimal128(38, SCALE);
        let column = |name: &str, data_type: &DataType| -> Result<ArrayRef, TriggerError> {
            let index = batch.schema().index_of(name)?;
            Ok(cast_array(batch.column(index), data_type)?)
        };
        Ok(Self {
            windows: column(WINDOW_START, &time)?,
            texts: texts
                .iter()
                .map(|name| Ok((name.clone(), column(name, &DataType::Utf8)?)))
                .collect::<Result<_, TriggerError>>()?,
            sums: sums
                .iter()
                .map(|name| Ok(((*name).to_owned(), column(name, &money)?)))
                .collect::<Result<_, TriggerError>>()?,
        })
    }

    fn text(&self, name: &str, row: usize) -> Option<&str> {
        let (_, column) = self.texts.iter().find(|(known, _)| known == name)?;
        let column = column.as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    }

    /// Adds every row of the budget. `false`: some segment was too many.
    fn add(&self, budget: &Budget, job: &str, usage: &mut Usage) -> bool {
        let windows = self.windows.as_primitive::<TimestampMicrosecondType>();
        let mut kept = true;
        for row in 0..windows.len() {
            let is_own = self.text(CURRENCY, row) == Some(&budget.currency)
                && budget
                    .scope
                    .iter()
                    .all(|(name, value)| self.text(name, row) == Some(value));
            if !is_own || windows.is_null(row) {
                continue;
            }
            let mut amount = None;
            for partial in partials_of(budget, job) {
                let column = self.sums.iter().find(|(name, _)| name == partial);
                if let Some((_, column)) = column
                    && column.is_valid(row)
                {
                    let value = Money(column.as_primitive::<Decimal128Type>().value(row));
                    amount = Some(amount.unwrap_or(Money::ZERO).plus(value));
                }
            }
            // What a call cost that does not say so is not known.
            let Some(amount) = amount else { continue };
            let by = budget.by.iter();
            let segment = by.map(|name| self.text(name, row).map(str::to_owned));
            kept &= usage.add(
                budget,
                Entry {
                    time_us: windows.value(row),
                    segment: Segment(segment.collect()),
                    amount,
                },
            );
        }
        kept
    }
}
