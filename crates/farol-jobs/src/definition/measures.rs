//! Measures: expressions over merged partials, planned so that what cannot be is told before anything runs.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, SchemaError};
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast, lit};
use datafusion::prelude::SessionContext;
use serde_saphyr::Spanned;

use super::file::{JobFile, MeasureFile, suggestion};
use super::plan::{Planner, context, told};
use super::{Better, Measure, Partial};
use crate::error::DefinitionError;

impl Planner<'_> {
    pub(super) fn measures(
        &self,
        file: &JobFile,
        partials: &[Partial],
        errors: &mut Vec<DefinitionError>,
    ) -> Vec<Measure> {
        let context = context();
        let mut measures = Vec::new();
        let schema = match merged_schema(partials) {
            Ok(schema) => schema,
            Err(error) => {
                errors.push(self.at(file.name.referenced, error.to_string(), None));
                return measures;
            }
        };
        for (name, measure) in &file.measures.0 {
            match self.measure(&context, &schema, name, measure) {
                Ok(measure) => measures.push(measure),
                Err(error) => errors.push(error),
            }
        }
        measures
    }

    fn measure(
        &self,
        context: &SessionContext,
        schema: &DFSchema,
        name: &Spanned<String>,
        file: &MeasureFile,
    ) -> Result<Measure, DefinitionError> {
        let wrong = |error: DataFusionError| self.in_expression(&file.expr, &error);
        let expr = context
            .parse_sql_expr(&file.expr.value, schema)
            .map_err(wrong)?;
        let expr = true_division(expr).map_err(wrong)?;
        // Coercion happens when a plan is made; a measure that cannot be planned must be told now.
        let data_type = planned_type(context, schema, &expr).map_err(wrong)?;
        let better = match &file.better {
            None => None,
            Some(word) => Some(match word.value.as_str() {
                "lower" => Better::Lower,
                "higher" => Better::Higher,
                other => {
                    return Err(self.at(
                        word.referenced,
                        format!("`better` is `lower` or `higher`, not `{other}`"),
                        Some("leave it out where that depends".to_owned()),
                    ));
                }
            }),
        };
        if !(data_type.is_numeric() || data_type == DataType::Boolean) {
            return Err(self.at(
                file.expr.referenced,
                format!("measure `{}` is {data_type}, not a number", name.value),
                Some(
                    "of a sketch ask `quantile(sketch, 0.95)` or `distinct_count(sketch)`"
                        .to_owned(),
                ),
            ));
        }
        Ok(Measure {
            name: name.value.clone(),
            text: file.expr.value.clone(),
            unit: file.unit.clone(),
            better,
            description: file.description.clone(),
            data_type,
            expr,
        })
    }

    /// A mistake in a measure: at the word that is wrong, where it can be found in the expression.
    fn in_expression(&self, expr: &Spanned<String>, error: &DataFusionError) -> DefinitionError {
        let root = error.find_root();
        let mut found = self.at(expr.referenced, told(root), None);
        if let DataFusionError::SchemaError(reason, _) = root
            && let SchemaError::FieldNotFound {
                field,
                valid_fields,
            } = reason.as_ref()
        {
            found.message = format!("there is no partial `{}`", field.name());
            found.help = Some(suggestion(
                field.name(),
                valid_fields.iter().map(|field| field.name.as_str()),
            ));
            if let Some(place) = expr.value.find(field.name()) {
                found.column += place as u64;
            }
        }
        found
    }
}

/// The columns that a measure may name.
fn merged_schema(partials: &[Partial]) -> Result<DFSchema, DataFusionError> {
    let fields = partials
        .iter()
        .map(|partial| Field::new(&partial.name, partial.data_type.clone(), true));
    DFSchema::try_from(Schema::new(fields.collect::<Vec<_>>()))
}

/// The type of an expression as it will be planned.
fn planned_type(
    context: &SessionContext,
    schema: &DFSchema,
    expr: &Expr,
) -> Result<DataType, DataFusionError> {
    let table = EmptyTable::new(schema.inner().clone());
    let frame = context
        .read_table(Arc::new(table))?
        .select(vec![expr.clone().alias("measure")])?;
    let (state, plan) = frame.into_parts();
    let plan = state.optimize(&plan)?;
    let column = plan.schema().field(0).data_type().clone();
    expr.get_type(schema)?;
    Ok(column)
}

/// Division of numbers as people mean it: in floating point, and unknown where the divisor is zero. So is what is left
/// of a division by zero.
fn true_division(expr: Expr) -> Result<Expr, DataFusionError> {
    expr.transform_up(|expr| match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Divide,
            right,
        }) => {
            let divisor = datafusion::functions::core::nullif()
                .call(vec![cast(*right, DataType::Float64), lit(0.0_f64)]);
            let division = cast(*left, DataType::Float64) / divisor;
            Ok(Transformed::yes(division))
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Modulo,
            right,
        }) => {
            let divisor = datafusion::functions::core::nullif().call(vec![*right, lit(0_i64)]);
            Ok(Transformed::yes(*left % divisor))
        }
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
}
