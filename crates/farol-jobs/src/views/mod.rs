//! What SQL sees of jobs: a view for each, `partials.<job>`, `measures(…)`, `series`, and the views over jobs.
//!
//! ```sql
//! SELECT * FROM performance WHERE window_start > now() - INTERVAL '1 hour';
//! SELECT * FROM measures('performance', '1 hour', 'service', 'model');
//! SELECT * FROM measures('spend', '1 month in America/Sao_Paulo', 'currency');
//! SELECT * FROM series WHERE job = 'performance' AND measure = 'error_rate';
//! SELECT * FROM daily_spend WHERE currency = 'USD';
//! ```
//!
//! All of them merge partials when they are read, so they are right at any grain, and a bound on `window_start`
//! reaches the table's files below the merge.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::memory::MemorySchemaProvider;
use datafusion::catalog::{
    SchemaProvider, Session as QuerySession, TableFunctionArgs, TableFunctionImpl,
};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DataFusionError, Result, plan_err};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::{TableProvider, TableType};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use farol_lake::sql::Session;

use crate::aggregate::view;
use crate::bounds::bounds;
use crate::definition::{Job, Jobs, context as context_of_jobs, suggestion};
use crate::dictionary;
use crate::error::JobError;
use crate::grain::{Edge, Grain, TimeZone};
use crate::held_back::readable;
use crate::rollup::{RolledUp, rolled_up};

mod columns;
mod over_jobs;
mod series;

pub use columns::KnownColumns;
pub(crate) use over_jobs::{OVER_JOBS, over_jobs};
use series::Series;
pub(crate) use series::schema as series_schema;

/// The schema that holds the tables of partials.
const PARTIALS: &str = "partials";

/// The view of every measure in long form.
const SERIES: &str = "series";

/// Makes jobs known to a session, or known anew after it was refreshed.
///
/// # Errors
/// Where a table of partials cannot be read.
pub async fn register(session: &Session, jobs: &Jobs) -> Result<(), JobError> {
    let context = session.context();
    let planning = context_of_jobs();
    let schema = Arc::new(MemorySchemaProvider::new());
    let mut sources = Vec::new();
    for job in jobs.iter() {
        let (seen, rollups) = rolled_up(session, job, jobs.rollup_rows_min()).await?;
        let mut source = Source::without_rows(jobs, job, &planning);
        if let Some(seen) = seen {
            schema.register_table(job.name().to_owned(), seen.provider.clone())?;
            source.partials = [readable(job, seen.provider)];
        } else {
            schema.register_table(job.name().to_owned(), source.partials[0].clone())?;
        }
        sources.push(Source { rollups, ..source });
    }
    if let Some(catalog) = context.catalog("farol") {
        catalog.register_schema(PARTIALS, schema)?;
    }
    make_known(context, jobs, sources).await?;
    let relations = dictionary::relations(context, jobs).await?;
    session.describe(&relations).await?;
    Ok(())
}

/// Makes jobs known to a context that holds no rows: for whoever needs the columns of their views without a lake.
///
/// # Errors
/// Where a view cannot be planned.
pub async fn register_without_rows(context: &SessionContext, jobs: &Jobs) -> Result<()> {
    let planning = context_of_jobs();
    let sources = jobs
        .iter()
        .map(|job| Source::without_rows(jobs, job, &planning));
    make_known(context, jobs, sources.collect()).await
}

async fn make_known(context: &SessionContext, jobs: &Jobs, sources: Vec<Source>) -> Result<()> {
    let mut known = Vec::new();
    for source in &sources {
        let (job, grain) = (source.job.clone(), Grain::of_width(source.job.window()));
        let base = source.measures(grain, job.segments().to_vec())?;
        let base: Arc<dyn TableProvider> = Arc::new(base);
        context.deregister_table(job.name())?;
        context.register_table(job.name(), base.clone())?;
        known.push((job, base));
    }
    context.deregister_table(SERIES)?;
    if let Some(series) = Series::of(known)? {
        context.register_table(SERIES, Arc::new(series))?;
    }
    let time_zone = jobs.time_zone();
    for edge in [Edge::Start, Edge::End] {
        context.register_udf(edge.udf(time_zone));
    }
    let function = MeasuresFunction { sources, time_zone };
    context.register_udtf("measures", Arc::new(function));
    for over in over_jobs(jobs) {
        over.view.register(context).await?;
    }
    Ok(())
}

/// A job and the partials that a session sees of it.
#[derive(Clone)]
struct Source {
    job: Arc<Job>,
    partials: [Arc<dyn TableProvider>; 1],
    rollups: Vec<RolledUp>,
    planning: SessionContext,
    columns: KnownColumns,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Source").field(&self.job.name()).finish()
    }
}

impl Source {
    fn without_rows(jobs: &Jobs, job: &Arc<Job>, planning: &SessionContext) -> Self {
        Self {
            job: job.clone(),
            partials: [Arc::new(EmptyTable::new(job.partials_schema()))],
            rollups: Vec::new(),
            planning: planning.clone(),
            columns: jobs.known_columns().clone(),
        }
    }

    /// What to merge for windows of a grain: a rollup where one fits, else the partials.
    fn inputs(&self, grain: &Grain) -> &[Arc<dyn TableProvider>] {
        RolledUp::fitting(&self.rollups, grain).unwrap_or(&self.partials)
    }

    fn measures(&self, grain: Grain, segments: Vec<String>) -> Result<Measures> {
        let (job, windows) = (self.job.name().to_owned(), grain.to_string());
        let is_rolled_up = RolledUp::fitting(&self.rollups, &grain).is_some();
        let asked = (job, windows, segments.clone(), is_rolled_up);
        let schema = self.columns.of(asked, || {
            let inputs = self.inputs(&grain);
            let plan = view(&self.planning, &self.job, inputs, &[], &grain, &segments)?;
            // The types that the plan will have once it is coerced.
            let plan = self.planning.state().optimize(&plan)?;
            Ok(plan.schema().inner().clone())
        })?;
        Ok(Measures {
            schema,
            source: self.clone(),
            grain,
            segments,
        })
    }
}

/// A job's measures over windows of one grain, by some of its segments.
#[derive(Debug)]
struct Measures {
    source: Source,
    grain: Grain,
    segments: Vec<String>,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for Measures {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn QuerySession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let bounds: Vec<_> = filters
            .iter()
            .flat_map(|filter| bounds(filter, &self.grain))
            .collect();
        let source = &self.source;
        let plan = view(
            &source.planning,
            &source.job,
            source.inputs(&self.grain),
            &bounds,
            &self.grain,
            &self.segments,
        )?;
        let mut plan = LogicalPlanBuilder::from(plan);
        for filter in filters {
            plan = plan.filter(by_name_alone(filter.clone())?)?;
        }
        if let Some(columns) = projection {
            let names = columns
                .iter()
                .map(|column| Expr::Column(Column::from_name(self.schema.field(*column).name())));
            plan = plan.project(names.collect::<Vec<_>>())?;
        }
        let plan = plan.limit(0, limit)?.build()?;
        state.create_physical_plan(&plan).await
    }
}

/// An expression whose columns do not say what table they are of.
fn by_name_alone(expr: Expr) -> Result<Expr> {
    expr.transform_up(|expr| match expr {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::from_name(
            column.name,
        )))),
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
}

/// `measures('job', 'window', 'segment', …)`.
#[derive(Debug)]
struct MeasuresFunction {
    sources: Vec<Source>,
    time_zone: TimeZone,
}

const USAGE: &str = "measures(job, window, segments…) takes texts, such as measures('performance', '1 hour', 'service') or measures('spend', '1 month in Europe/London', 'currency')";

impl TableFunctionImpl for MeasuresFunction {
    fn call_with_args(&self, arguments: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let texts = arguments
            .exprs()
            .iter()
            .map(|expr| match expr {
                Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| DataFusionError::Plan(USAGE.to_owned()))?;
        let [job, window, segments @ ..] = texts.as_slice() else {
            return plan_err!("{USAGE}");
        };
        let source = self.sources.iter().find(|source| source.job.name() == job);
        let Some(source) = source else {
            let names = self.sources.iter().map(|source| source.job.name());
            return plan_err!("there is no job `{job}`; {}", suggestion(job, names));
        };
        let grain = Grain::parse(window, self.time_zone).map_err(DataFusionError::Plan)?;
        grain
            .check_made_of(source.job.window())
            .map_err(DataFusionError::Plan)?;
        for segment in segments {
            if !source.job.segments().contains(segment) {
                let names = source.job.segments().iter().map(String::as_str);
                return plan_err!(
                    "job `{job}` has no segment `{segment}`; {}",
                    suggestion(segment, names)
                );
            }
        }
        Ok(Arc::new(source.measures(grain, segments.to_vec())?))
    }
}
