//! The functions over one sketch: `quantile(sketch, q)` and `distinct_count(sketch)`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Builder, Int64Builder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::sketch::{DistinctSketch, QuantileSketch, SketchError};

/// Every function.
pub(super) fn all() -> [ScalarUDF; 2] {
    [
        ScalarUDF::from(Quantile {
            signature: Signature::any(2, Volatility::Immutable),
        }),
        ScalarUDF::from(DistinctCount {
            signature: Signature::any(1, Volatility::Immutable),
        }),
    ]
}

fn is_sketch(given: &DataType) -> bool {
    matches!(
        given,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::Null
    )
}

fn execution(error: &SketchError) -> DataFusionError {
    DataFusionError::Execution(error.to_string())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quantile {
    signature: Signature,
}

impl ScalarUDFImpl for Quantile {
    fn name(&self) -> &'static str {
        "quantile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [sketch, _] if !is_sketch(sketch) => plan_err!(
                "quantile(sketch, q) takes a sketch that quantiles() made; it was given {sketch}"
            ),
            [_, q] if !q.is_numeric() && !q.is_null() => {
                plan_err!("quantile(sketch, q) takes a number from 0 to 1 as q; it was given {q}")
            }
            _ => Ok(DataType::Float64),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [sketches, q] = columns::<2>(&arguments)?;
        let sketches = cast(&sketches, &DataType::Binary)?;
        let sketches = sketches.as_binary::<i32>();
        let q = cast(&q, &DataType::Float64)?;
        let q = q.as_primitive::<Float64Type>();
        let mut values = Float64Builder::with_capacity(sketches.len());
        for row in 0..sketches.len() {
            if sketches.is_null(row) || q.is_null(row) {
                values.append_null();
                continue;
            }
            let wanted = q.value(row);
            if !(0.0..=1.0).contains(&wanted) {
                return Err(DataFusionError::Execution(format!(
                    "quantile(sketch, q): q is from 0 to 1, such as 0.95; it was given {wanted}"
                )));
            }
            let sketch =
                QuantileSketch::read(sketches.value(row)).map_err(|error| execution(&error))?;
            values.append_option(sketch.quantile(wanted));
        }
        Ok(ColumnarValue::Array(Arc::new(values.finish())))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DistinctCount {
    signature: Signature,
}

impl ScalarUDFImpl for DistinctCount {
    fn name(&self) -> &'static str {
        "distinct_count"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [sketch] if !is_sketch(sketch) => plan_err!(
                "distinct_count(sketch) takes a sketch that distinct() made; it was given {sketch}"
            ),
            _ => Ok(DataType::Int64),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [sketches] = columns::<1>(&arguments)?;
        let sketches = cast(&sketches, &DataType::Binary)?;
        let sketches = sketches.as_binary::<i32>();
        let mut counts = Int64Builder::with_capacity(sketches.len());
        for row in 0..sketches.len() {
            if sketches.is_null(row) {
                counts.append_null();
            } else {
                let count = DistinctSketch::read(sketches.value(row))
                    .and_then(|sketch| sketch.estimate())
                    .map_err(|error| execution(&error))?;
                counts.append_value(count.round() as i64);
            }
        }
        Ok(ColumnarValue::Array(Arc::new(counts.finish())))
    }
}

/// The arguments as columns of the batch's length.
pub(super) fn columns<const N: usize>(arguments: &ScalarFunctionArgs) -> Result<[ArrayRef; N]> {
    let columns = arguments
        .args
        .iter()
        .map(|argument| argument.to_array(arguments.number_rows))
        .collect::<Result<Vec<_>>>()?;
    columns.try_into().map_err(|given: Vec<ArrayRef>| {
        DataFusionError::Internal(format!("expected {N} arguments, not {}", given.len()))
    })
}
