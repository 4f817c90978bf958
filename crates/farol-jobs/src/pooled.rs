//! A range of a job's partials in one piece, to ask what a measure is with some segments left out.
//!
//! ```text
//! partials of a range and a segment ──merged over all windows──▶ Pool: one row for each segment, in memory
//!                                                                  └──▶ measure(…) of the rows that a filter leaves
//! ```
//!
//! What a rate, a quantile or a distinct count is without one model is no difference of two numbers; it is the same merge
//! over fewer partials.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _};
use arrow::compute::cast as cast_array;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{DataFusionError, TableReference};
use datafusion::datasource::{MemTable, TableProvider};
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::logical_expr::{Expr, cast, ident, lit};
use datafusion::prelude::SessionContext;

use crate::aggregate::{conform, merged, newest, scanned, within};
use crate::definition::{CONTRIBUTIONS, Job, PartialKind, WINDOW_START, context, time_literal};
use crate::held_back::readable;

/// A job's partials of a range, merged over its windows.
pub struct Pool {
    job: Arc<Job>,
    context: SessionContext,
    rows: Arc<MemTable>,
}

impl Pool {
    /// Reads the partials of a range, in microseconds, its end not included, that a filter over segments leaves. `session`
    /// is one in which the jobs are registered.
    ///
    /// # Errors
    /// Where the partials cannot be read.
    pub async fn read(
        session: &SessionContext,
        job: &Arc<Job>,
        range: (i64, i64),
        filter: Option<Expr>,
    ) -> Result<Self, DataFusionError> {
        let table = TableReference::partial("partials", job.name());
        let partials = readable(job, session.table_provider(table).await?);
        let filters: Vec<_> = std::iter::once(within(ident(WINDOW_START), range))
            .chain(filter)
            .collect();
        let context = context();
        let mut plan = newest(job, scanned(job, &partials, &filters)?)?;
        if job.mode().is_recompute() {
            plan = plan.filter(ident(CONTRIBUTIONS).gt(lit(0_i64)))?;
        }
        let window = time_literal(range.0).alias(WINDOW_START);
        let plan = merged(&context, job, plan, window, job.segments())?.build()?;
        let frame = session.execute_logical_plan(plan).await?;
        let schema = job.partials_schema();
        let batches = frame.collect().await?;
        let batches = batches.iter().map(|batch| conform(batch, &schema));
        let batches = batches.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            job: job.clone(),
            context,
            rows: Arc::new(MemTable::try_new(schema, vec![batches])?),
        })
    }

    /// What a measure, or a partial that is a plain value, is over the rows that a filter leaves; `None` where it is not
    /// known.
    ///
    /// # Errors
    /// Where there is no such measure.
    pub async fn measure(
        &self,
        name: &str,
        filter: Option<Expr>,
    ) -> Result<Option<f64>, DataFusionError> {
        let measures = &mut self.job.measures().iter();
        let expr = match measures.find(|measure| measure.name == name) {
            Some(measure) => measure.expr.clone(),
            None => ident(name),
        };
        let filters: Vec<_> = filter.into_iter().collect();
        let partials: Arc<dyn TableProvider> = self.rows.clone();
        let plan = scanned(&self.job, &partials, &filters)?;
        let window = lit(0_i64).alias(WINDOW_START);
        let plan = merged(&self.context, &self.job, plan, window, &[])?
            .project([cast(expr, DataType::Float64)])?
            .build()?;
        let batches = self
            .context
            .execute_logical_plan(plan)
            .await?
            .collect()
            .await?;
        let first = batches.iter().find(|batch| batch.num_rows() > 0);
        Ok(first.and_then(|batch| {
            let value = batch.column(0).as_primitive::<Float64Type>();
            value.is_valid(0).then(|| value.value(0))
        }))
    }

    /// The values of a segment, `None` for NULL, each with the share of the rows' weight that it has: of the job's first
    /// sum.
    ///
    /// # Errors
    /// Where there is no such segment.
    pub async fn shares(
        &self,
        segment: &str,
    ) -> Result<BTreeMap<Option<String>, f64>, DataFusionError> {
        let is_sum = |partial: &&crate::definition::Partial| partial.kind == PartialKind::Sum;
        let weight = match self.job.partials().iter().find(is_sum) {
            Some(partial) => cast(ident(&partial.name), DataType::Float64),
            None => lit(1.0),
        };
        let frame = self
            .context
            .read_table(self.rows.clone())?
            .aggregate(vec![ident(segment)], vec![sum(weight)])?;
        let mut shares = BTreeMap::new();
        for batch in frame.collect().await? {
            let names = cast_array(batch.column(0), &DataType::Utf8)?;
            let names = names.as_string::<i32>();
            let weights = batch.column(1).as_primitive::<Float64Type>();
            for row in 0..batch.num_rows() {
                let name = names.is_valid(row).then(|| names.value(row).to_owned());
                let weight = if weights.is_valid(row) {
                    weights.value(row)
                } else {
                    0.0
                };
                shares.insert(name, weight);
            }
        }
        let all: f64 = shares.values().sum();
        if all > 0.0 {
            shares.values_mut().for_each(|weight| *weight /= all);
        }
        Ok(shares)
    }
}
