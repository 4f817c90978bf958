//! A job's SQL planned once, and run for many windows.
//!
//! ```text
//! window, rows near it ──▶ cells that the plan reads ──▶ the same plan from its beginning ──▶ the window's partials
//! ```
//!
//! To plan SQL of several joins takes longer than to run it over the few rows of a window. So the plan reads its inputs,
//! and which window it is for, from cells that are filled anew for each window.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{AsArray as _, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::DataFusionError;
use datafusion::datasource::{TableProvider, TableType};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarUDF, Volatility, create_udf, lit};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;

use crate::aggregate::{InputRows, contributions};
use crate::definition::{Job, REVISION, time_type};
use crate::step::working_context;

/// A plan for windows of a job, one after the other.
pub(crate) struct WholeWindows {
    plan: Arc<dyn ExecutionPlan>,
    tasks: Arc<TaskContext>,
    inputs: Vec<Cell>,
    start_us: Arc<AtomicI64>,
}

impl WholeWindows {
    /// Plans a job's SQL over inputs with these columns, in the order of [`Job::inputs`].
    pub async fn plan(
        job: &Job,
        schemas: &[SchemaRef],
        revision: i64,
    ) -> Result<Self, DataFusionError> {
        let context = context()?;
        let inputs: Vec<_> = schemas.iter().map(Cell::empty).collect();
        let start_us = Arc::new(AtomicI64::new(0));
        let is_counted = in_window(start_us.clone(), job.window().micros());
        let rows = inputs.iter().map(|cell| -> Arc<dyn TableProvider> {
            let cell = cell.clone();
            Arc::new(Input(cell))
        });
        let rows: InputRows = rows.collect();
        let counted = move |time: Expr| is_counted.call(vec![time]);
        let frame = contributions(&context, job, rows, Some(Box::new(counted)))
            .await?
            .with_column(REVISION, lit(revision))?;
        let tasks = Arc::new(frame.task_ctx());
        Ok(Self {
            plan: frame.create_physical_plan().await?,
            tasks,
            inputs,
            start_us,
        })
    }

    /// The columns that the plan reads of each input.
    pub fn columns(&self) -> impl Iterator<Item = BTreeSet<String>> {
        self.inputs.iter().map(|cell| cell.columns().clone())
    }

    /// The partials of a window, from the rows near it, which may lack columns that the plan does not read. One window is
    /// run to its end before the next.
    pub fn run(
        &self,
        start_us: i64,
        rows: Vec<RecordBatch>,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        self.start_us.store(start_us, Ordering::Relaxed);
        for (cell, rows) in self.inputs.iter().zip(rows) {
            cell.fill(rows);
        }
        let plan = reset_plan_states(self.plan.clone())?;
        execute_stream(plan, self.tasks.clone())
    }
}

/// A context for plans that are run again: without filters that a run leaves behind, and in one piece, for the rows of a
/// window are few.
fn context() -> Result<SessionContext, DataFusionError> {
    let state = working_context()?.state();
    let config = state
        .config()
        .clone()
        .with_target_partitions(1)
        .set_bool("datafusion.optimizer.enable_dynamic_filter_pushdown", false);
    let state = SessionStateBuilder::new_from_existing(state)
        .with_config(config)
        .build();
    Ok(SessionContext::new_with_state(state))
}

/// Whether a time is in the window that is run.
fn in_window(start_us: Arc<AtomicI64>, width_us: i64) -> ScalarUDF {
    let is_in = move |arguments: &[ColumnarValue]| {
        let start_us = start_us.load(Ordering::Relaxed);
        let end_us = start_us.saturating_add(width_us);
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let times = arrays
            .first()
            .and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>())
            .ok_or_else(|| DataFusionError::Internal("a time in microseconds".to_owned()))?;
        let is_in = |time_us: i64| (start_us..end_us).contains(&time_us);
        let is_in: BooleanArray = times.iter().map(|time| time.map(is_in)).collect();
        Ok(ColumnarValue::Array(Arc::new(is_in)))
    };
    create_udf(
        "farol_in_window",
        vec![time_type()],
        DataType::Boolean,
        Volatility::Volatile,
        Arc::new(is_in),
    )
}

/// The rows of an input that the window sees. Clones share them.
#[derive(Debug, Clone)]
struct Cell {
    schema: SchemaRef,
    rows: Arc<Mutex<RecordBatch>>,
    /// The columns that the plan reads.
    columns: Arc<Mutex<BTreeSet<String>>>,
}

impl Cell {
    fn empty(schema: &SchemaRef) -> Self {
        Self {
            schema: schema.clone(),
            rows: Arc::new(Mutex::new(RecordBatch::new_empty(schema.clone()))),
            columns: Arc::default(),
        }
    }

    fn fill(&self, rows: RecordBatch) {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = rows;
    }

    fn columns(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.columns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows with some of the columns.
    fn read(&self, columns: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let arrays = columns.fields().iter().map(|field| {
            let column = rows.column_by_name(field.name());
            column.cloned().ok_or_else(|| {
                let told = format!("column {} was not read", field.name());
                DataFusionError::Internal(told)
            })
        });
        let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        let count = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let rows = RecordBatch::try_new_with_options(columns.clone(), arrays, &count)?;
        Ok(rows)
    }
}

/// An input as SQL sees it, with all of its columns.
#[derive(Debug)]
struct Input(Cell);

#[async_trait]
impl TableProvider for Input {
    fn schema(&self) -> SchemaRef {
        self.0.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let schema = match projection {
            Some(columns) => Arc::new(self.0.schema.project(columns)?),
            None => self.0.schema.clone(),
        };
        let names = schema.fields().iter().map(|field| field.name().clone());
        self.0.columns().extend(names);
        let columns = Arc::new(Columns {
            cell: self.0.clone(),
            schema: schema.clone(),
        });
        let rows = StreamingTableExec::try_new(schema, vec![columns], None, [], false, limit)?;
        Ok(Arc::new(rows))
    }
}

/// The columns that a plan reads of an input.
#[derive(Debug)]
struct Columns {
    cell: Cell,
    schema: SchemaRef,
}

impl PartitionStream for Columns {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.cell.read(&self.schema);
        let rows = futures::stream::iter([rows]);
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};
    use arrow::datatypes::{Field, Schema};

    use super::*;

    #[tokio::test]
    async fn columns_may_be_named_that_were_not_read_but_not_looked_at() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![3, 7, 9]));
        let rows = RecordBatch::try_from_iter([("number", numbers)]).unwrap();
        let columns = [("text", DataType::Utf8), ("number", DataType::Int64)];
        let columns = columns.map(|(name, of)| Field::new(name, of, true));
        let cell = Cell::empty(&Arc::new(Schema::new(columns.to_vec())));
        cell.fill(rows);
        let context = SessionContext::new();
        context
            .register_table("calls", Arc::new(Input(cell)))
            .unwrap();
        let asked = |sql: &'static str| {
            let context = context.clone();
            async move { context.sql(sql).await?.collect().await }
        };
        let named = "WITH every AS (SELECT text, number FROM calls) SELECT number FROM every WHERE number > 5 ORDER BY 1";
        let found = asked(named).await.unwrap();
        assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
        let count = asked("SELECT count(*) FROM calls").await.unwrap();
        assert_eq!(count[0].column(0).as_ref(), &Int64Array::from(vec![3]));
        let error = asked("SELECT text FROM calls").await.unwrap_err();
        assert!(error.to_string().contains("text"), "{error}");
    }
}
