//! `calls_model(operation)`: whether a span of that operation calls a model, so that its tokens and its cost count.
//!
//! Spans around a call (`invoke_agent`, `chain`) often repeat what the calls inside of them used, and helpers
//! (`execute_tool`, `retrieval`, `guardrail`, `cache`) use nothing of a model's. Counting them as well would count the
//! same tokens twice. A span that does not say what it is was made by a plain client: it counts.

use std::sync::Arc;

use arrow::array::{AsArray as _, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

/// The operations that are around a call, or beside it. What is not known is taken for a call: an operation of a newer
/// convention must not lose what it cost.
const NOT_CALLING: [&str; 6] = [
    "invoke_agent",
    "chain",
    "execute_tool",
    "retrieval",
    "guardrail",
    "cache",
];

/// The function.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(CallsModel {
        signature: Signature::string(1, Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CallsModel {
    signature: Signature,
}

impl ScalarUDFImpl for CallsModel {
    fn name(&self) -> &'static str {
        "calls_model"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    /// Becomes plain comparisons, which a scan can use to leave row groups out.
    fn simplify(&self, arguments: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let [operation] = arguments.as_slice() else {
            return Ok(ExprSimplifyResult::Original(arguments));
        };
        let data_type = info.get_data_type(operation)?;
        let others = NOT_CALLING
            .iter()
            .map(|name| Ok(lit(ScalarValue::from(*name).cast_to(&data_type)?)))
            .collect::<Result<Vec<_>>>()?;
        let listed = Expr::InList(InList::new(Box::new(operation.clone()), others, true));
        Ok(ExprSimplifyResult::Simplified(
            operation.clone().is_null().or(listed),
        ))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [operation] = take_function_args(self.name(), arguments.args)?;
        let operations = cast(&operation.to_array(arguments.number_rows)?, &DataType::Utf8)?;
        let calls: BooleanArray = operations
            .as_string::<i32>()
            .iter()
            .map(|name| Some(name.is_none_or(|name| !NOT_CALLING.contains(&name))))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(calls)))
    }
}
