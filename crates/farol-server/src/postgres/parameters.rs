//! The parameters of a statement (`$1`, `$2`, …): their types, and their values at an execution.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use datafusion_postgres::arrow_pg::datatypes::{
    PG_OID_ALIAS_KEY, into_pg_type, pg_type_for_alias_kind,
};
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::Portal;
use datafusion_postgres::pgwire::error::PgWireResult;

/// What is known of one parameter.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Parameter {
    /// Its type in the plan, if the statement tells.
    pub data_type: Option<DataType>,
    /// PostgreSQL's own kind of number (`oid`, …), if it is compared with one.
    alias: Option<Type>,
}

impl Parameter {
    /// The type that clients are told.
    pub fn pg_type(&self) -> PgWireResult<Type> {
        match (&self.alias, &self.data_type) {
            (Some(alias), _) => Ok(alias.clone()),
            (None, Some(data_type)) => into_pg_type(data_type),
            (None, None) => Ok(Type::UNKNOWN),
        }
    }
}

/// The parameters of a plan, in the order of their numbers.
pub(super) fn of_plan(plan: &LogicalPlan) -> Result<Vec<Parameter>> {
    let mut known: BTreeMap<usize, Parameter> = BTreeMap::new();
    for (name, data_type) in plan.get_parameter_types()? {
        if let Some(number) = number(&name) {
            known.entry(number).or_default().data_type = data_type;
        }
    }
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                note(expr, &mut known);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    // A number that is left out is a parameter all the same.
    let count = known.keys().next_back().copied().unwrap_or(0);
    Ok((1..=count)
        .map(|number| known.remove(&number).unwrap_or_default())
        .collect())
}

/// What an expression says of the parameters in it: a cast names the type, a comparison with an OID its kind.
fn note(expr: &Expr, known: &mut BTreeMap<usize, Parameter>) {
    match expr {
        Expr::Cast(cast) => {
            if let Expr::Placeholder(placeholder) = cast.expr.as_ref()
                && let Some(number) = number(&placeholder.id)
            {
                let parameter = known.entry(number).or_default();
                parameter
                    .data_type
                    .get_or_insert_with(|| cast.field.data_type().clone());
            }
        }
        Expr::Placeholder(placeholder) => {
            let Some(number) = number(&placeholder.id) else {
                return;
            };
            let parameter = known.entry(number).or_default();
            let field = placeholder
                .field
                .as_deref()
                .filter(|field| *field.data_type() == DataType::Int32);
            if let Some(kind) = field.and_then(|field| field.metadata().get(PG_OID_ALIAS_KEY)) {
                parameter.alias = pg_type_for_alias_kind(kind);
            }
        }
        _ => {}
    }
}

fn number(name: &str) -> Option<usize> {
    name.strip_prefix('$')?.parse().ok()
}

/// The values that a client has bound.
pub(super) fn values<S: Clone>(
    portal: &Portal<S>,
    parameters: &[Parameter],
) -> PgWireResult<ParamValues> {
    let pg_types = parameters
        .iter()
        .map(Parameter::pg_type)
        .collect::<PgWireResult<Vec<_>>>()?;
    let data_types: Vec<_> = parameters
        .iter()
        .map(|parameter| parameter.data_type.as_ref())
        .collect();
    let pg_types: Vec<_> = pg_types.iter().map(Some).collect();
    deserialize_parameters_with_server_types(portal, &data_types, &pg_types)
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn types(sql: &str) -> Vec<Type> {
        let plan = SessionContext::new()
            .state()
            .create_logical_plan(sql)
            .await
            .unwrap();
        of_plan(&plan)
            .unwrap()
            .iter()
            .map(|parameter| parameter.pg_type().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn types_come_from_what_parameters_are_compared_with_or_cast_to() {
        let table = "(SELECT 'x' AS name, CAST(1 AS BIGINT) AS number)";
        let sql = format!("SELECT * FROM {table} WHERE number > $2 AND name = $1");
        assert_eq!(types(&sql).await, [Type::TEXT, Type::INT8]);
        assert_eq!(types("SELECT CAST($1 AS INT) + 1").await, [Type::INT4]);
        assert_eq!(types("SELECT $2").await, [Type::UNKNOWN, Type::UNKNOWN]);
        assert!(types("SELECT 1").await.is_empty());
    }
}
