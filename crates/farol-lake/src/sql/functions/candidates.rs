//! The functions over answers of several models to the same input: `candidate_agreement(candidates)` and
//! `candidate_consensus(candidates, output)`.
//!
//! Both compare texts by their words ([`farol_stats::overlap`]). Candidates without a text are passed over.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Builder, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, exec_datafusion_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use farol_stats::overlap::{mean_overlap, mean_pairwise_overlap};

use super::scalar::columns;

/// The member of a candidate that holds its text.
const TEXT: &str = "output";

/// Every function.
pub(super) fn all() -> [ScalarUDF; 2] {
    [
        ScalarUDF::from(CandidateAgreement {
            signature: Signature::any(1, Volatility::Immutable),
        }),
        ScalarUDF::from(CandidateConsensus {
            signature: Signature::any(2, Volatility::Immutable),
        }),
    ]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CandidateAgreement {
    signature: Signature,
}

impl ScalarUDFImpl for CandidateAgreement {
    fn name(&self) -> &'static str {
        "candidate_agreement"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        check_candidates("candidate_agreement(candidates)", given)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [candidates] = columns::<1>(&arguments)?;
        let mut values = Float64Builder::with_capacity(candidates.len());
        for texts in Texts::of(&candidates)? {
            let texts = texts?;
            values.append_option(mean_pairwise_overlap(&present(&texts)));
        }
        Ok(ColumnarValue::Array(Arc::new(values.finish())))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CandidateConsensus {
    signature: Signature,
}

impl ScalarUDFImpl for CandidateConsensus {
    fn name(&self) -> &'static str {
        "candidate_consensus"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given.get(1) {
            Some(output) if !(output.is_string() || output.is_null()) => plan_err!(
                "candidate_consensus(candidates, output) takes the answer's text as output; it was given {output}"
            ),
            _ => check_candidates("candidate_consensus(candidates, output)", given),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [candidates, outputs] = columns::<2>(&arguments)?;
        let outputs = cast(&outputs, &DataType::Utf8)?;
        let outputs = outputs.as_string::<i32>();
        let mut values = Float64Builder::with_capacity(candidates.len());
        for (row, texts) in Texts::of(&candidates)?.enumerate() {
            let texts = texts?;
            let answer = outputs.is_valid(row).then(|| outputs.value(row));
            values.append_option(answer.and_then(|answer| mean_overlap(answer, &present(&texts))));
        }
        Ok(ColumnarValue::Array(Arc::new(values.finish())))
    }
}

fn check_candidates(usage: &str, given: &[DataType]) -> Result<DataType> {
    let is_list = match given.first() {
        Some(DataType::Null) => true,
        Some(DataType::List(element)) => match element.data_type() {
            DataType::Struct(members) => members
                .iter()
                .any(|member| member.name() == TEXT && member.data_type().is_string()),
            _ => false,
        },
        _ => false,
    };
    if !is_list {
        let found = given.first().map(ToString::to_string).unwrap_or_default();
        return plan_err!(
            "{usage} takes a list of objects that have a text `{TEXT}`, such as the column candidates; it was given {found}"
        );
    }
    Ok(DataType::Float64)
}

/// The texts of each row's candidates.
struct Texts<'a> {
    candidates: &'a ArrayRef,
    row: usize,
}

impl<'a> Texts<'a> {
    fn of(candidates: &'a ArrayRef) -> Result<Self> {
        if !matches!(candidates.data_type(), DataType::List(_) | DataType::Null) {
            return Err(exec_datafusion_err!(
                "candidates are a list, not {}",
                candidates.data_type()
            ));
        }
        Ok(Self { candidates, row: 0 })
    }
}

impl Iterator for Texts<'_> {
    type Item = Result<StringArray>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.row;
        if row >= self.candidates.len() {
            return None;
        }
        self.row += 1;
        let Some(lists) = self
            .candidates
            .as_list_opt::<i32>()
            .filter(|lists| lists.is_valid(row))
        else {
            return Some(Ok(StringArray::new_null(0)));
        };
        let objects = lists.value(row);
        let texts = objects
            .as_struct_opt()
            .and_then(|objects| objects.column_by_name(TEXT))
            .ok_or_else(|| exec_datafusion_err!("candidates have no `{TEXT}`"))
            .and_then(|texts| Ok::<_, DataFusionError>(cast(texts, &DataType::Utf8)?));
        Some(texts.map(|texts| texts.as_string::<i32>().clone()))
    }
}

fn present(texts: &StringArray) -> Vec<&str> {
    texts.iter().flatten().collect()
}
