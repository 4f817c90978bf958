//! Rows to partials, partials to fewer partials, partials to measures: the plans of a job.
//!
//! ```text
//! input rows ──job's SQL──▶ contributions ──group by (window, segments)──▶ partials
//! partials ──(recomputed: newest revision)──group by (window, segments)──▶ merged partials ──▶ measures
//! ```

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast as cast_array;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{Column, DataFusionError, JoinType};
use datafusion::dataframe::DataFrame;
use datafusion::datasource::{TableProvider, provider_as_source};
use datafusion::execution::FunctionRegistry as _;
use datafusion::functions_aggregate::expr_fn::{count, max, min, sum};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, ident, lit};
use datafusion::prelude::SessionContext;

use crate::definition::{
    CONTRIBUTIONS, Job, Partial, PartialKind, REVISION, WINDOW_END, WINDOW_START, Width,
    segment_of, time_literal, time_type,
};
use crate::grain::{Edge, Grain, edge_of};

/// The column of every input that says when an event was.
pub const EVENT_TIME: &str = "event_time";

/// Rows of each of a job's inputs, in the order of [`Job::inputs`].
pub type InputRows = Vec<Arc<dyn TableProvider>>;

/// Which rows of a job's SQL count, given their time.
pub type Counted = Box<dyn FnOnce(Expr) -> Expr + Send>;

/// Counts the rows whose time is in a range, in microseconds, its end not included.
pub fn in_range(range: (i64, i64)) -> Counted {
    Box::new(move |time| within(time, range))
}

/// The partials that rows of a job's inputs add: one for each window and segment among those that count.
pub async fn contributions(
    context: &SessionContext,
    job: &Job,
    rows: InputRows,
    counted: Option<Counted>,
) -> Result<DataFrame, DataFusionError> {
    for (input, rows) in job.inputs().zip(rows) {
        context.deregister_table(input)?;
        context.register_table(input, rows)?;
    }
    let time = || cast(ident(EVENT_TIME), time_type());
    let mut frame = context.sql(job.sql()).await?.filter(time().is_not_null())?;
    if let Some(counted) = counted {
        frame = frame.filter(counted(time()))?;
    }
    let mut groups = vec![window_of(job.window(), time()).alias(WINDOW_START)];
    for name in job.segments() {
        let segment = segment_of(job, name, frame.schema())?;
        groups.push(cast(segment, DataType::Utf8).alias(name));
    }
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
    let mut aggregates = aggregates.collect::<Result<Vec<_>, DataFusionError>>()?;
    if job.mode().is_recompute() {
        aggregates.push(count(lit(1_i64)).alias(CONTRIBUTIONS));
    }
    frame.aggregate(groups, aggregates)
}

/// The partials of one window, computed whole from the rows within reach of it.
pub async fn whole_window(
    context: &SessionContext,
    job: &Job,
    rows: &InputRows,
    start_us: i64,
    revision: i64,
) -> Result<DataFrame, DataFusionError> {
    let range = (start_us, start_us.saturating_add(job.window().micros()));
    let near = rows
        .iter()
        .map(|rows| Ok(rows_near(context, job, rows.clone(), range)?.into_view()))
        .collect::<Result<InputRows, DataFusionError>>()?;
    contributions(context, job, near, Some(in_range(range)))
        .await?
        .with_column(REVISION, lit(revision))
}

/// The starts of the windows that rows of one of a job's inputs are in: those within reach of a range, or all of them.
pub fn windows_of(
    context: &SessionContext,
    job: &Job,
    rows: Arc<dyn TableProvider>,
    range: Option<(i64, i64)>,
) -> Result<DataFrame, DataFusionError> {
    let frame = match range {
        Some(range) => rows_near(context, job, rows, range)?,
        None => context.read_table(rows)?,
    };
    let window = window_of(job.window(), cast(ident(EVENT_TIME), time_type()));
    frame.select([window.alias(WINDOW_START)])?.distinct()
}

/// The rows that a job's SQL may look at for the windows of a range.
pub fn rows_near(
    context: &SessionContext,
    job: &Job,
    rows: Arc<dyn TableProvider>,
    (from, to): (i64, i64),
) -> Result<DataFrame, DataFusionError> {
    let (before_us, after_us) = job.mode().reach_us();
    let near = (from.saturating_sub(before_us), to.saturating_add(after_us));
    context
        .read_table(rows)?
        .filter(within(ident(EVENT_TIME), near))
}

/// The partials that count: of a job in [`Mode::Recompute`](crate::Mode::Recompute) those of each window's highest revision.
pub fn newest(
    job: &Job,
    partials: LogicalPlanBuilder,
) -> Result<LogicalPlanBuilder, DataFusionError> {
    const NEWEST: [&str; 2] = ["newest_window", "newest_revision"];
    if !job.mode().is_recompute() {
        return Ok(partials);
    }
    let revisions = partials
        .clone()
        .aggregate(
            [ident(WINDOW_START)],
            [max(ident(REVISION)).alias(NEWEST[1])],
        )?
        .project([ident(WINDOW_START).alias(NEWEST[0]), ident(NEWEST[1])])?
        .build()?;
    let keys = [WINDOW_START, REVISION].map(Column::from_name);
    let of_newest = NEWEST.map(Column::from_name);
    partials.join(
        revisions,
        JoinType::LeftSemi,
        (keys.to_vec(), of_newest.to_vec()),
        None,
    )
}

/// Partials merged: one for each window, given by an expression, and segment. A wider window, or fewer segments, is the
/// same merge.
pub fn merged(
    context: &SessionContext,
    job: &Job,
    partials: LogicalPlanBuilder,
    window: Expr,
    segments: &[String],
) -> Result<LogicalPlanBuilder, DataFusionError> {
    let groups = std::iter::once(window).chain(segments.iter().map(ident));
    let aggregates = job
        .partials()
        .iter()
        .map(|partial| Ok(merge_of(context, partial)?.alias(&partial.name)));
    let mut aggregates = aggregates.collect::<Result<Vec<_>, DataFusionError>>()?;
    if job.mode().is_recompute() {
        aggregates.push(sum(ident(CONTRIBUTIONS)).alias(CONTRIBUTIONS));
        aggregates.push(max(ident(REVISION)).alias(REVISION));
    }
    partials.aggregate(groups.collect::<Vec<_>>(), aggregates)
}

/// What people see of a job: windows, segments, merged partials and measures.
pub fn view(
    context: &SessionContext,
    job: &Job,
    partials: &[Arc<dyn TableProvider>],
    filters: &[Expr],
    grain: &Grain,
    segments: &[String],
) -> Result<LogicalPlan, DataFusionError> {
    let (first, more) = partials
        .split_first()
        .ok_or_else(|| DataFusionError::Internal("a view of no partials".to_owned()))?;
    let mut plan = scanned(job, first, filters)?;
    for partials in more {
        plan = plan.union(scanned(job, partials, filters)?.build()?)?;
    }
    let mut plan = newest(job, plan)?;
    if job.mode().is_recompute() {
        plan = plan.filter(ident(CONTRIBUTIONS).gt(lit(0_i64)))?;
    }
    let start = ident(WINDOW_START);
    let window = if *grain == Grain::of_width(job.window()) {
        start
    } else {
        edge_of(Edge::Start, grain, start).alias(WINDOW_START)
    };
    let plan = merged(context, job, plan, window, segments)?;
    let end = edge_of(Edge::End, grain, ident(WINDOW_START));
    let mut columns = vec![ident(WINDOW_START), end.alias(WINDOW_END)];
    columns.extend(segments.iter().map(ident));
    columns.extend(job.partials().iter().map(|partial| ident(&partial.name)));
    columns.extend(
        job.measures()
            .iter()
            .map(|measure| measure.expr.clone().alias(&measure.name)),
    );
    if job.mode().is_recompute() {
        columns.push(ident(REVISION));
    }
    plan.project(columns)?.build()
}

/// Partials within some filters, with the job's own columns and types: not every reader gives text and bytes as the
/// same types.
pub fn scanned(
    job: &Job,
    partials: &Arc<dyn TableProvider>,
    filters: &[Expr],
) -> Result<LogicalPlanBuilder, DataFusionError> {
    let name = format!("partials_{}", job.name());
    let found = partials.schema();
    let source = provider_as_source(Arc::clone(partials));
    let mut plan = LogicalPlanBuilder::scan(name.as_str(), source, None)?;
    for filter in filters {
        plan = plan.filter(filter.clone())?;
    }
    let schema = job.partials_schema();
    let columns = schema.fields().iter().map(|field| {
        let column = Expr::Column(Column::new(Some(name.as_str()), field.name()));
        // Names alone from here on: what the scan was called is nobody's business.
        let as_found = found.field_with_name(field.name())?.data_type();
        Ok(cast(column, view_of(as_found)).alias(field.name()))
    });
    plan.project(columns.collect::<Result<Vec<_>, DataFusionError>>()?)
}

/// The type as which readers give most columns of a type: views of text and bytes.
fn view_of(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    }
}

/// A batch with exactly the columns and types of the job's table.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let columns = schema.fields().iter().map(|field| {
        let place = batch.schema_ref().index_of(field.name())?;
        cast_array(batch.column(place), field.data_type())
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Whether a time is in a range, in microseconds: its end is not included, and is no bound where it is `i64::MAX`.
pub fn within(time: Expr, (from_us, to_us): (i64, i64)) -> Expr {
    let begun = time.clone().gt_eq(time_literal(from_us));
    if to_us == i64::MAX {
        return begun;
    }
    begun.and(time.lt(time_literal(to_us)))
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

/// The start of the window that a time is in. Whole numbers of microseconds reach every time that a table can hold;
/// `date_bin` would go through nanoseconds, which do not.
fn window_of(width: Width, time: Expr) -> Expr {
    let time_us = cast(time, DataType::Int64);
    let width_us = lit(width.micros());
    let within = ((time_us.clone() % width_us.clone()) + width_us.clone()) % width_us;
    cast(time_us - within, time_type())
}
