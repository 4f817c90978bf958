//! `series`: every measure of every job in long form, one row for each measure, window and segment.
//!
//! ```text
//! filter ──▶ which measures can be in the answer ──▶ of each job those, merged once, and a row made of each
//! ```
//!
//! What is asked of `job`, `measure` and the windows reaches the jobs' own views, so that asking one measure merges one.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{AsArray as _, BooleanArray, RecordBatch, StringArray};
use arrow::compute::and;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::datasource::{TableProvider, TableType, provider_as_source};
use datafusion::functions::core::expr_fn::{get_field, named_struct};
use datafusion::functions_nested::expr_fn::make_array;
use datafusion::functions_nested::map::map;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, cast, ident, lit,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use crate::definition::{Job, WINDOW_END, WINDOW_START, time_type};

const JOB: &str = "job";
const MEASURE: &str = "measure";
const SEGMENT: &str = "segment";
const VALUE: &str = "value";

/// The rows of a window and segment, before they are apart.
const ROWS: &str = "measures_of_segment";

/// A job, and the view of its own windows.
type Known = (Arc<Job>, Arc<dyn TableProvider>);

/// The table.
#[derive(Debug)]
pub(super) struct Series {
    jobs: Vec<Known>,
    /// Every measure that there is, by its job.
    measures: RecordBatch,
    schema: SchemaRef,
}

impl Series {
    /// The series of these jobs; `None` where they have no measures.
    pub fn of(jobs: Vec<Known>) -> Result<Option<Self>> {
        let named = jobs.iter().flat_map(|(job, _)| {
            let names = measures_of(job).into_iter();
            names.map(|name| (job.name().to_owned(), name))
        });
        let (names, measures): (Vec<_>, Vec<_>) = named.unzip();
        let columns = [JOB, MEASURE].map(|name| Field::new(name, DataType::Utf8, false));
        let measures = RecordBatch::try_new(
            Arc::new(Schema::new(columns.to_vec())),
            vec![
                Arc::new(StringArray::from(names)),
                Arc::new(StringArray::from(measures)),
            ],
        )?;
        if measures.num_rows() == 0 {
            return Ok(None);
        }
        Ok(Some(Self {
            jobs,
            measures,
            schema: schema(),
        }))
    }

    /// Which measures can be in the answer: filters that ask for no more than the job and the measure are tried on each.
    fn wanted(&self, session: &dyn Session, filters: &[Expr]) -> Result<BooleanArray> {
        let schema = DFSchema::try_from(self.measures.schema())?;
        let mut wanted = BooleanArray::from(vec![true; self.measures.num_rows()]);
        for filter in filters {
            if !asks_only(filter, &[JOB, MEASURE]) {
                continue;
            }
            let filter =
                session.create_physical_expr(super::by_name_alone(filter.clone())?, &schema)?;
            let kept = filter.evaluate(&self.measures)?;
            let kept = kept.into_array(self.measures.num_rows())?;
            wanted = and(&wanted, kept.as_boolean())?;
        }
        Ok(wanted)
    }
}

#[async_trait]
impl TableProvider for Series {
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
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = self.wanted(session, filters)?;
        let of_windows = filters
            .iter()
            .filter(|filter| asks_only(filter, &[WINDOW_START, WINDOW_END]));
        let of_windows = of_windows.map(|filter| super::by_name_alone(filter.clone()));
        let of_windows = of_windows.collect::<Result<Vec<_>>>()?;
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => self.schema.clone(),
        };
        let Some(plan) = long_of(&self.jobs, &self.measures, &wanted, &of_windows)? else {
            return Ok(Arc::new(EmptyExec::new(schema)));
        };
        let columns = schema
            .fields()
            .iter()
            .map(|field| cast(ident(field.name()), field.data_type().clone()).alias(field.name()));
        let plan = LogicalPlanBuilder::from(plan)
            .project(columns.collect::<Vec<_>>())?
            .build()?;
        session.create_physical_plan(&plan).await
    }
}

/// The view's columns.
pub fn schema() -> SchemaRef {
    let of_segment = [
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ];
    let entries = Field::new(
        "entries",
        DataType::Struct(of_segment.to_vec().into()),
        false,
    );
    let fields = [
        (JOB, DataType::Utf8),
        (MEASURE, DataType::Utf8),
        (WINDOW_START, time_type()),
        (WINDOW_END, time_type()),
        (SEGMENT, DataType::Map(Arc::new(entries), false)),
        (VALUE, DataType::Float64),
    ];
    let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true));
    Arc::new(Schema::new(fields.to_vec()))
}

/// Whether an expression asks for these columns and no other.
fn asks_only(filter: &Expr, columns: &[&str]) -> bool {
    let asked = filter.column_refs();
    asked
        .iter()
        .all(|column| columns.contains(&column.name.as_str()))
}

/// What a job measures, and its partials that are numbers.
fn measures_of(job: &Job) -> Vec<String> {
    let partials = job.partials().iter();
    let partials = partials.filter(|partial| partial.data_type.is_numeric());
    let measures = job.measures().iter().map(|measure| measure.name.clone());
    partials
        .map(|partial| partial.name.clone())
        .chain(measures)
        .collect()
}

/// The measures that are wanted in long form; `None` where none is.
fn long_of(
    jobs: &[Known],
    measures: &RecordBatch,
    wanted: &BooleanArray,
    filters: &[Expr],
) -> Result<Option<LogicalPlan>> {
    let names = measures.column(0).as_string::<i32>().iter();
    let named = names.zip(measures.column(1).as_string::<i32>());
    let named = named.zip(wanted.iter());
    let named: HashSet<_> = named
        .filter(|(_, wanted)| *wanted == Some(true))
        .map(|(named, _)| named)
        .collect();
    let mut all: Option<LogicalPlanBuilder> = None;
    for (job, base) in jobs {
        let mut measures = measures_of(job);
        measures.retain(|measure| named.contains(&(Some(job.name()), Some(measure))));
        if measures.is_empty() {
            continue;
        }
        let plan = long(job, base, &measures, filters)?;
        all = Some(match all {
            Some(all) => all.union(plan)?,
            None => LogicalPlanBuilder::from(plan),
        });
    }
    all.map(LogicalPlanBuilder::build).transpose()
}

/// Some measures of a job in long form.
fn long(
    job: &Job,
    base: &Arc<dyn TableProvider>,
    measures: &[String],
    filters: &[Expr],
) -> Result<LogicalPlan> {
    let mut plan = LogicalPlanBuilder::scan(job.name(), provider_as_source(base.clone()), None)?;
    for filter in filters {
        plan = plan.filter(filter.clone())?;
    }
    let segment = if job.segments().is_empty() {
        let schema = schema();
        let of_segment = schema.field_with_name(SEGMENT)?.data_type();
        cast(lit(ScalarValue::Null), of_segment.clone())
    } else {
        let names = job.segments().iter().map(lit).collect();
        let values = job.segments().iter().map(ident).collect();
        map(names, values)
    };
    let segment = segment.alias(SEGMENT);
    let rows = measures.iter().map(|measure| {
        let value = cast(ident(measure), DataType::Float64);
        named_struct(vec![lit(MEASURE), lit(measure), lit(VALUE), value])
    });
    let rows = make_array(rows.collect()).alias(ROWS);
    plan.project(vec![ident(WINDOW_START), ident(WINDOW_END), segment, rows])?
        .unnest_column(ROWS)?
        .project(vec![
            lit(job.name()).alias(JOB),
            get_field(ident(ROWS), MEASURE).alias(MEASURE),
            ident(WINDOW_START),
            ident(WINDOW_END),
            ident(SEGMENT),
            get_field(ident(ROWS), VALUE).alias(VALUE),
        ])?
        .build()
}
