//! A query at work: its rows as they come, and how much it has read for them so far.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;

/// A query that was started. Drop it, and it stops.
pub struct Running {
    plan: Arc<dyn ExecutionPlan>,
    /// The rows.
    pub rows: SendableRecordBatchStream,
}

/// What a query has read, as of now; for whoever watches while another takes the rows.
#[derive(Clone)]
pub struct Meter(Arc<dyn ExecutionPlan>);

/// Rows and bytes that scans have read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Rows that came out of scans.
    pub rows: u64,
    /// Bytes that were read from files.
    pub bytes: u64,
}

impl Running {
    pub(super) fn new(plan: Arc<dyn ExecutionPlan>, rows: SendableRecordBatchStream) -> Self {
        Self { plan, rows }
    }

    /// The columns of the rows.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// To watch it by.
    pub fn meter(&self) -> Meter {
        Meter(self.plan.clone())
    }
}

impl Meter {
    /// What was read so far.
    pub fn read(&self) -> Scanned {
        let mut scanned = Scanned::default();
        add(self.0.as_ref(), &mut scanned);
        scanned
    }
}

fn add(plan: &dyn ExecutionPlan, scanned: &mut Scanned) {
    let children = plan.children();
    if let Some(metrics) = plan.metrics().filter(|_| children.is_empty()) {
        scanned.rows += metrics.output_rows().unwrap_or(0) as u64;
        let bytes = metrics.sum_by_name("bytes_scanned");
        scanned.bytes += bytes.map_or(0, |bytes| bytes.as_usize() as u64);
    }
    for child in children {
        add(child.as_ref(), scanned);
    }
}
