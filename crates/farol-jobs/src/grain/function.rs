//! `window_start(time, '1 day in Europe/London')` and `window_end(…)`: the windows of measures, for any time.
//!
//! Rows are mostly near each other in time, so the window of the row before is tried first.

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, TimestampMicrosecondType};
use datafusion::common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};

use super::{Grain, TimeZone};
use crate::definition::{WINDOW_END, WINDOW_START, time_type};

/// One of the two ends of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Edge {
    /// Its start, which is in it.
    Start,
    /// Its end, which is not.
    End,
}

impl Edge {
    fn function(self) -> &'static str {
        match self {
            Self::Start => WINDOW_START,
            Self::End => WINDOW_END,
        }
    }

    /// The function over times that gives this end of their windows.
    pub fn udf(self, default_zone: TimeZone) -> ScalarUDF {
        ScalarUDF::from(WindowEdge {
            edge: self,
            default_zone,
            signature: Signature::any(2, Volatility::Immutable),
        })
    }
}

/// An end of the window that a time is in.
pub(crate) fn edge_of(edge: Edge, grain: &Grain, time: Expr) -> Expr {
    // A grain tells its zone, so the default is not asked for.
    let function = edge.udf(TimeZone::UTC);
    function.call(vec![time, lit(grain.to_string())])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WindowEdge {
    edge: Edge,
    default_zone: TimeZone,
    signature: Signature,
}

impl WindowEdge {
    fn usage(&self) -> String {
        let name = self.edge.function();
        format!(
            "{name}(time, window) takes a time and a text, such as {name}(event_time, '1 day in Europe/London')"
        )
    }

    fn grain(&self, window: Option<&ScalarValue>) -> Result<Grain> {
        let Some(Some(text)) = window.and_then(ScalarValue::try_as_str) else {
            return plan_err!("{}", self.usage());
        };
        Grain::parse(text, self.default_zone).map_err(DataFusionError::Plan)
    }

    fn beyond(&self, time_us: i64) -> DataFusionError {
        DataFusionError::Execution(format!(
            "{}: a time is beyond the years 0 to 9999: {time_us} microseconds since 1970",
            self.edge.function()
        ))
    }

    fn edges(&self, grain: &Grain, times: &ArrayRef) -> Result<ArrayRef> {
        let times = cast(times, &time_type())?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let last = Cell::new((0, 0));
        let edges: PrimitiveArray<TimestampMicrosecondType> = times.try_unary(|time_us| {
            let (mut start, mut end) = last.get();
            if !(start..end).contains(&time_us) {
                (start, end) = grain
                    .window_of(time_us)
                    .ok_or_else(|| self.beyond(time_us))?;
                last.set((start, end));
            }
            Ok::<_, DataFusionError>(match self.edge {
                Edge::Start => start,
                Edge::End => end,
            })
        })?;
        Ok(Arc::new(edges.with_timezone("UTC")))
    }
}

impl ScalarUDFImpl for WindowEdge {
    fn name(&self) -> &'static str {
        self.edge.function()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(time_type())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let [time, _] = arguments.arg_fields else {
            return plan_err!("{}", self.usage());
        };
        let given = time.data_type();
        if !given.is_temporal() && !given.is_string() && !given.is_null() {
            return plan_err!("{}; it was given {given}", self.usage());
        }
        // What is wrong with the window is said when the query is planned.
        self.grain(arguments.scalar_arguments.get(1).copied().flatten())?;
        Ok(Arc::new(Field::new(self.name(), time_type(), true)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [time, ColumnarValue::Scalar(window)] = arguments.args.as_slice() else {
            return plan_err!("{}", self.usage());
        };
        let grain = self.grain(Some(window))?;
        match time {
            ColumnarValue::Array(times) => Ok(ColumnarValue::Array(self.edges(&grain, times)?)),
            ColumnarValue::Scalar(time) => {
                let edges = self.edges(&grain, &time.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                    &edges, 0,
                )?))
            }
        }
    }
}
