//! How much work a plan may be, told before it runs: what decides which threads it gets.
//!
//! ```text
//! physical plan ─▶ rows that each operator may handle, bounded from what its inputs hold ─▶ light or heavy
//! ```
//!
//! How many rows a filter leaves is not guessed, since a query that runs away is one about which the guess was wrong. Only
//! of joins by equal keys is something taken for granted: that they do not multiply rows, where they have few to begin with.

use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::cooperate::MULTIPLYING;

/// Rows that a light plan reads or makes at the most. A core handles them in about a tenth of a second.
const LIGHT_ROWS_MAX: usize = 200_000;

/// Rows that a light plan reads at the most if it joins them by keys. Were the keys of half of them all equal to those of the
/// other half, there would be 400 million pairs, which take seconds.
const KEYED_ROWS_MAX: usize = 40_000;

/// Rows that a table of the system's catalogue is taken to have, which does not tell.
const CATALOG_ROWS: usize = 1_000;

/// Whether a plan is done with soon, whatever the values that it meets.
pub(super) fn is_light(plan: &dyn ExecutionPlan) -> bool {
    let Some(work) = Work::of(plan) else {
        return false;
    };
    work.rows <= LIGHT_ROWS_MAX && (!work.joins_by_key || work.read <= KEYED_ROWS_MAX)
}

/// What a plan may have to handle at the most.
struct Work {
    /// Rows of its sources.
    read: usize,
    /// Rows that any operator hands on.
    rows: usize,
    joins_by_key: bool,
}

impl Work {
    /// `None` where nothing is known of a source, or a row may become any number of rows.
    fn of(plan: &dyn ExecutionPlan) -> Option<Self> {
        let inputs = plan.children();
        if inputs.is_empty() {
            let read = rows_of_source(plan)?;
            return Some(Self {
                read,
                rows: read,
                joins_by_key: false,
            });
        }
        let inputs = inputs
            .into_iter()
            .map(|input| Self::of(input.as_ref()))
            .collect::<Option<Vec<_>>>()?;
        let by_key = matches!(plan.name(), "HashJoinExec" | "SortMergeJoinExec");
        let rows = inputs.iter().map(|input| input.rows);
        let rows = if by_key || !MULTIPLYING.contains(&plan.name()) {
            rows.fold(0, usize::saturating_add)
        } else if inputs.len() == 2 {
            rows.fold(1_usize, |product, rows| product.saturating_mul(rows.max(1)))
        } else {
            return None;
        };
        Some(Self {
            read: inputs
                .iter()
                .map(|input| input.read)
                .fold(0, usize::saturating_add),
            rows,
            joins_by_key: by_key || inputs.iter().any(|input| input.joins_by_key),
        })
    }
}

/// What a table, a file or a list of values holds.
fn rows_of_source(plan: &dyn ExecutionPlan) -> Option<usize> {
    if plan.boundedness().is_unbounded() {
        return None;
    }
    if plan.name() == "StreamingTableExec" {
        return Some(CATALOG_ROWS);
    }
    let statistics = StatisticsContext::new()
        .compute(plan, &StatisticsArgs::new())
        .ok()?;
    statistics.num_rows.get_value().copied()
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn light(sql: &str) -> bool {
        let context = SessionContext::new();
        for (table, rows) in [("small", 300), ("middling", 30_000), ("big", 3_000_000)] {
            let sql = format!(
                "CREATE TABLE {table} AS SELECT v % 10 AS k, v FROM generate_series(1, {rows}) t(v)"
            );
            context.sql(&sql).await.unwrap();
        }
        let frame = context.sql(sql).await.unwrap();
        is_light(frame.create_physical_plan().await.unwrap().as_ref())
    }

    #[tokio::test]
    async fn a_plan_is_light_where_no_value_can_make_it_long() {
        for sql in [
            "SELECT 1",
            "SELECT k, count(*), avg(v) FROM middling WHERE v > 10 GROUP BY k ORDER BY 2 DESC",
            "SELECT count(*) FROM small a, small b WHERE a.v < b.v",
            "SELECT count(*) FROM small a JOIN small b ON a.k = b.k JOIN small c ON b.k = c.k",
            "SELECT v FROM small UNION ALL SELECT v FROM small",
        ] {
            assert!(light(sql).await, "{sql}");
        }
        for sql in [
            "SELECT max(v + 1) FROM big",
            "SELECT count(*) FROM middling a, middling b WHERE a.v < b.v",
            "SELECT count(*) FROM small a, small b, small c WHERE a.v < b.v AND b.v < c.v",
            "SELECT count(*) FROM middling a JOIN middling b ON a.k = b.k",
            "SELECT max(u) FROM (SELECT unnest(range(v)) AS u FROM small)",
            "SELECT max(value) FROM generate_series(1, 10)",
        ] {
            assert!(!light(sql).await, "{sql}");
        }
    }
}
