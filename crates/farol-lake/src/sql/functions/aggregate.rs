//! The aggregates: `quantiles`, `distinct`, `merge_quantiles`, `merge_distinct`.

use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature,
    Volatility,
};

use super::groups::{Rows, SketchGroups, WholeSketch};
use crate::sketch::{DistinctSketch, QuantileSketch};

/// Every aggregate.
pub(super) fn all() -> [AggregateUDF; 4] {
    [
        ("quantiles", Kind::Quantiles, Rows::Values),
        ("distinct", Kind::Distinct, Rows::Values),
        ("merge_quantiles", Kind::Quantiles, Rows::Sketches),
        ("merge_distinct", Kind::Distinct, Rows::Sketches),
    ]
    .map(|(name, kind, rows)| {
        AggregateUDF::from(SketchAggregate {
            name,
            kind,
            rows,
            signature: Signature::any(1, Volatility::Immutable),
        })
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Quantiles,
    Distinct,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SketchAggregate {
    name: &'static str,
    kind: Kind,
    rows: Rows,
    signature: Signature,
}

impl SketchAggregate {
    fn takes(&self, given: &DataType) -> bool {
        let binary = matches!(
            given,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView
        );
        match (self.rows, self.kind) {
            _ if given.is_null() => true,
            (Rows::Sketches, _) => binary,
            (Rows::Values, Kind::Quantiles) => given.is_numeric(),
            (Rows::Values, Kind::Distinct) => !given.is_nested() && !binary,
        }
    }

    fn wanted(&self) -> String {
        match (self.rows, self.kind) {
            (Rows::Sketches, Kind::Quantiles) => {
                "a sketch that quantiles() made; for values write quantiles(x)".to_owned()
            }
            (Rows::Sketches, Kind::Distinct) => {
                "a sketch that distinct() made; for values write distinct(x)".to_owned()
            }
            (Rows::Values, Kind::Quantiles) => {
                "numbers; for sketches write merge_quantiles(x)".to_owned()
            }
            (Rows::Values, Kind::Distinct) => {
                "plain values; for sketches write merge_distinct(x)".to_owned()
            }
        }
    }
}

impl AggregateUDFImpl for SketchAggregate {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [given] if self.takes(given) => Ok(DataType::Binary),
            [given] => plan_err!(
                "{}() takes {}; it was given {given}",
                self.name,
                self.wanted()
            ),
            _ => plan_err!("{}() takes one argument", self.name),
        }
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(match self.kind {
            Kind::Quantiles => Box::new(WholeSketch::<QuantileSketch>::new(self.rows)),
            Kind::Distinct => Box::new(WholeSketch::<DistinctSketch>::new(self.rows)),
        })
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(match self.kind {
            Kind::Quantiles => Box::new(SketchGroups::<QuantileSketch>::new(self.rows)),
            Kind::Distinct => Box::new(SketchGroups::<DistinctSketch>::new(self.rows)),
        })
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}
