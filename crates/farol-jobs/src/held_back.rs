//! Partials that a job cannot read since it was changed: every query of the job says so, and no other is in its way.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::{TableProvider, TableType};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use farol_lake::Table;

use crate::definition::Job;
use crate::error::JobError;
use crate::partials_table::unreadable;

/// Whether a table of partials has the columns that a job asks for. Where it has not, the job was changed, and its queries
/// fail until all of it is computed anew.
pub fn is_readable(job: &Job, partials: &Table) -> bool {
    unreadable(partials.schema(), &job.partials_schema()).is_empty()
}

/// A job's partials as they are, where they have the columns that the job asks for; else a table that says why not.
pub(crate) fn readable(job: &Job, partials: Arc<dyn TableProvider>) -> Arc<dyn TableProvider> {
    let schema = job.partials_schema();
    let differences = unreadable(&partials.schema(), &schema);
    if differences.is_empty() {
        return partials;
    }
    let changed = JobError::Changed {
        job: job.name().to_owned(),
        differences,
    };
    Arc::new(HeldBack {
        schema,
        reason: changed.to_string(),
    })
}

/// A table with a job's columns, whose rows cannot be had.
#[derive(Debug)]
struct HeldBack {
    schema: SchemaRef,
    reason: String,
}

#[async_trait]
impl TableProvider for HeldBack {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(DataFusionError::Plan(self.reason.clone()))
    }
}
