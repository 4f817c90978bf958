//! Joins that let others have their turn.
//!
//! A join makes many batches of few, without asking its inputs for more: a product of two tables can compute for days
//! between two reads. The engine yields where inputs are read, so such a query would keep its thread, and could be neither
//! cancelled nor timed out. Here each join's output counts against the task's budget as well.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;

/// Puts a yield above every operator that may give many batches for one of its inputs'.
#[derive(Debug)]
pub(super) struct YieldingJoins;

/// Those operators, by the names of their plans.
pub(super) const MULTIPLYING: [&str; 7] = [
    "CrossJoinExec",
    "HashJoinExec",
    "NestedLoopJoinExec",
    "PiecewiseMergeJoin",
    "SortMergeJoinExec",
    "SymmetricHashJoinExec",
    "UnnestExec",
];

impl PhysicalOptimizerRule for YieldingJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            if MULTIPLYING.contains(&node.name()) {
                let yielding: Arc<dyn ExecutionPlan> = Arc::new(CooperativeExec::new(node));
                return Ok(Transformed::yes(yielding));
            }
            Ok(Transformed::no(node))
        })
        .map(|transformed| transformed.data)
    }

    fn name(&self) -> &'static str {
        "yielding_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::session_state::SessionStateBuilder;
    use datafusion::physical_plan::displayable;
    use datafusion::prelude::SessionContext;

    use super::*;

    #[tokio::test]
    async fn every_join_yields() {
        let state = SessionStateBuilder::new()
            .with_default_features()
            .with_physical_optimizer_rule(Arc::new(YieldingJoins))
            .build();
        let context = SessionContext::new_with_state(state);
        let sql = "SELECT count(*) FROM (VALUES (1), (2)) a(x), (VALUES (1), (2)) b(y), (VALUES (1)) c(z) WHERE x < y";
        let plan = context.sql(sql).await.unwrap();
        let plan = plan.create_physical_plan().await.unwrap();
        let told = displayable(plan.as_ref()).indent(false).to_string();
        let joins = told.lines().filter(|line| line.contains("JoinExec"));
        let lines: Vec<_> = told.lines().collect();
        let mut found = 0;
        for join in joins {
            let place = lines.iter().position(|line| *line == join).unwrap();
            assert!(lines[place - 1].contains("CooperativeExec"), "{told}");
            found += 1;
        }
        assert_eq!(found, 2, "{told}");
    }
}
