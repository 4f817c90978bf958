//! Where what a unit reads begins and ends.

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Int64Type;
use farol_jobs::segment::quoted_name;
use farol_lake::sql::Session;
use futures::TryStreamExt as _;

use crate::definition::Unit;
use crate::error::DetectorError;

/// The query for the first or last time of what a unit reads.
pub(crate) fn edge_sql(unit: &Unit, which: &str) -> String {
    if unit.is_drift() {
        let table = quoted_name(&unit.reads);
        return format!("SELECT CAST({which}(event_time) AS BIGINT) FROM {table}");
    }
    let job = quoted_name(&unit.job);
    format!("SELECT CAST({which}(window_start) AS BIGINT) FROM partials.{job}")
}

/// The number that a query gives in its first row.
pub(crate) async fn first_number(
    session: &Session,
    sql: &str,
) -> Result<Option<i64>, DetectorError> {
    let (_, mut batches) = session.query(sql).await?;
    while let Some(batch) = batches.try_next().await? {
        if batch.num_rows() > 0 {
            let column = batch.column(0).as_primitive::<Int64Type>();
            return Ok(column.is_valid(0).then(|| column.value(0)));
        }
    }
    Ok(None)
}
