//! Rows to partials, partials to fewer partials, partials to measures: the three plans of a job.
//!
//! ```text
//! input rows ──job's SQL──▶ contributions ──group by (window, segments)──▶ partials
//! partials ──group by (window, segments)──▶ merged partials ──▶ measures
//! ```

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast as cast_array;
use arrow::datatypes::SchemaRef;
use datafusion::common::{Column, DataFusionError, ScalarValue};
use datafusion::dataframe::DataFrame;
use datafusion::datasource::{TableProvider, provider_as_source};
use datafusion::execution::FunctionRegistry as _;
use datafusion::functions_aggregate::expr_fn::{max, min, sum};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, ident, lit};
use datafusion::prelude::SessionContext;

use crate::definition::{Job, Partial, PartialKind, WINDOW_END, WINDOW_START, Width, time_type};

/// The partials that rows of a job's input add: one for each window and segment among them. `range` leaves out rows
/// whose time is not in it (microseconds, its end not included).
pub async fn contributions(
    context: &SessionContext,
    job: &Job,
    rows: Arc<dyn TableProvider>,
    range: Option<(i64, i64)>,
) -> Result<DataFrame, DataFusionError> {
    context.deregister_table(job.reads())?;
    context.register_table(job.reads(), rows)?;
    let time = || cast(ident("event_time"), time_type());
    let mut frame = context.sql(job.sql()).await?.filter(time().is_not_null())?;
    if let Some((from, to)) = range {
        let at = |time_us| {
            lit(ScalarValue::TimestampMicrosecond(
                Some(time_us),
                Some("UTC".into()),
            ))
        };
        frame = frame.filter(time().gt_eq(at(from)).and(time().lt(at(to))))?;
    }
    let mut groups = vec![window_of(job.window(), time()).alias(WINDOW_START)];
    let text = |name: &String| cast(ident(name), arrow::datatypes::DataType::Utf8).alias(name);
    groups.extend(job.segments().iter().map(text));
    let aggregates = job.partials().iter().map(|partial| {
        let column = ident(&partial.name);
        let value = match partial.kind {
            PartialKind::Sum => sum(cast(column, partial.data_type.clone())),
            PartialKind::Min => min(cast(column, partial.data_type.clone())),
            PartialKind::Max => max(cast(column, partial.data_type.clone())),
            PartialKind::Quantiles => aggregate(context, "quantiles", column)?,
            PartialKind::Distinct => aggregate(context, "distinct", column)?,
        };
        Ok(value.alias(&partial.name))
    });
    let aggregates = aggregates.collect::<Result<Vec<_>, DataFusionError>>()?;
    frame.aggregate(groups, aggregates)
}

/// Partials merged: one for each window and segment. A wider window, or fewer segments, is the same merge.
pub fn merged(
    context: &SessionContext,
    job: &Job,
    partials: LogicalPlanBuilder,
    width: Width,
    segments: &[String],
) -> Result<LogicalPlanBuilder, DataFusionError> {
    let start = ident(WINDOW_START);
    let window = if width == job.window() {
        start
    } else {
        window_of(width, start).alias(WINDOW_START)
    };
    let groups = std::iter::once(window).chain(segments.iter().map(ident));
    let aggregates = job
        .partials()
        .iter()
        .map(|partial| Ok(merge_of(context, partial)?.alias(&partial.name)));
    partials.aggregate(
        groups.collect::<Vec<_>>(),
        aggregates.collect::<Result<Vec<_>, DataFusionError>>()?,
    )
}

/// What people see of a job: windows, segments, merged partials and measures.
pub fn view(
    context: &SessionContext,
    job: &Job,
    partials: Arc<dyn TableProvider>,
    filters: &[Expr],
    width: Width,
    segments: &[String],
) -> Result<LogicalPlan, DataFusionError> {
    let mut plan = LogicalPlanBuilder::scan(
        format!("partials_{}", job.name()),
        provider_as_source(partials),
        None,
    )?;
    for filter in filters {
        plan = plan.filter(filter.clone())?;
    }
    // Names alone from here on: what the scan was called is nobody's business.
    let unqualified = job.partials_schema();
    let columns = unqualified.fields().iter().map(|field| {
        Expr::Column(Column::new(
            Some(format!("partials_{}", job.name())),
            field.name(),
        ))
        .alias(field.name())
    });
    let plan = plan.project(columns.collect::<Vec<_>>())?;
    let plan = merged(context, job, plan, width, segments)?;
    let end = cast(ident(WINDOW_START) + lit(interval(width)), time_type());
    let mut columns = vec![ident(WINDOW_START), end.alias(WINDOW_END)];
    columns.extend(segments.iter().map(ident));
    columns.extend(job.partials().iter().map(|partial| ident(&partial.name)));
    columns.extend(
        job.measures()
            .iter()
            .map(|measure| measure.expr.clone().alias(&measure.name)),
    );
    plan.project(columns)?.build()
}

/// A batch with exactly the columns and types of the job's table.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns
        .map(|(field, column)| cast_array(column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn merge_of(context: &SessionContext, partial: &Partial) -> Result<Expr, DataFusionError> {
    let column = ident(&partial.name);
    Ok(match partial.kind {
        PartialKind::Sum => sum(column),
        PartialKind::Min => min(column),
        PartialKind::Max => max(column),
        PartialKind::Quantiles => aggregate(context, "merge_quantiles", column)?,
        PartialKind::Distinct => aggregate(context, "merge_distinct", column)?,
    })
}

fn aggregate(
    context: &SessionContext,
    name: &str,
    argument: Expr,
) -> Result<Expr, DataFusionError> {
    Ok(context.udaf(name)?.call(vec![argument]))
}

/// The start of the window that a time is in.
fn window_of(width: Width, time: Expr) -> Expr {
    let epoch = lit(ScalarValue::TimestampMicrosecond(
        Some(0),
        Some("UTC".into()),
    ));
    let bin =
        datafusion::functions::datetime::date_bin().call(vec![lit(interval(width)), time, epoch]);
    cast(bin, time_type())
}

fn interval(width: Width) -> ScalarValue {
    ScalarValue::new_interval_mdn(0, 0, width.seconds() * 1_000_000_000)
}
