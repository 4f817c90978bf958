//! `guardrail_score_passed(guardrails, name)`: the highest score of a guardrail that let pass what it was sure of.
//!
//! A guardrail that blocks or redacts has done its work. What a condition over one call asks for is the other case: the
//! guardrail found something, and the answer went out all the same. So the verdicts that count are those whose name holds the
//! text, in any case of letters, and whose action is none, `allow` or `flag`.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, Float64Builder, StringArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::scalar::columns;

const NAME: &str = "guardrail_score_passed";

/// The members of a verdict that are looked at: texts, and a number.
const MEMBERS: [&str; 3] = ["name", "action", "score"];

/// What lets an answer pass, beside no action at all.
const PASSING: [&str; 2] = ["allow", "flag"];

/// The function.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(GuardrailScorePassed {
        signature: Signature::any(2, Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct GuardrailScorePassed {
    signature: Signature,
}

impl ScalarUDFImpl for GuardrailScorePassed {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let is_list = match given.first() {
            Some(DataType::Null) => true,
            Some(DataType::List(element)) => match element.data_type() {
                DataType::Struct(members) => {
                    let has = |name: &&str| members.iter().any(|member| member.name() == *name);
                    MEMBERS.iter().all(has)
                }
                _ => false,
            },
            _ => false,
        };
        let is_text = given
            .get(1)
            .is_some_and(|name| name.is_string() || name.is_null());
        if !(is_list && is_text) {
            let given: Vec<_> = given.iter().map(ToString::to_string).collect();
            return plan_err!(
                "{NAME}(guardrails, name) takes the column guardrails and a part of a guardrail's name; it was given {}",
                given.join(" and ")
            );
        }
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [guardrails, names] = columns::<2>(&arguments)?;
        let names = cast(&names, &DataType::Utf8)?;
        let names = names.as_string::<i32>();
        let mut scores = Float64Builder::with_capacity(guardrails.len());
        for row in 0..guardrails.len() {
            let wanted = names.is_valid(row).then(|| names.value(row).to_lowercase());
            let verdicts = match guardrails.as_list_opt::<i32>() {
                Some(lists) if lists.is_valid(row) => Some(lists.value(row)),
                _ => None,
            };
            let score = match (
                wanted,
                verdicts.as_ref().and_then(|found| found.as_struct_opt()),
            ) {
                (Some(wanted), Some(verdicts)) => Verdicts::of(verdicts)?.passed(&wanted),
                _ => None,
            };
            scores.append_option(score);
        }
        Ok(ColumnarValue::Array(Arc::new(scores.finish())))
    }
}

/// The verdicts on one call.
struct Verdicts {
    names: StringArray,
    actions: StringArray,
    scores: Float64Array,
}

impl Verdicts {
    fn of(verdicts: &StructArray) -> Result<Self> {
        let member = |place: usize, data_type: &DataType| {
            let Some(column) = verdicts.column_by_name(MEMBERS[place]) else {
                return plan_err!("a guardrail has no `{}`", MEMBERS[place]);
            };
            Ok(cast(column, data_type)?)
        };
        Ok(Self {
            names: member(0, &DataType::Utf8)?.as_string::<i32>().clone(),
            actions: member(1, &DataType::Utf8)?.as_string::<i32>().clone(),
            scores: member(2, &DataType::Float64)?
                .as_primitive::<Float64Type>()
                .clone(),
        })
    }

    fn passed(&self, wanted: &str) -> Option<f64> {
        let counts = |row: &usize| {
            let name =
                self.names.is_valid(*row) && self.names.value(*row).to_lowercase().contains(wanted);
            let passes = self.actions.is_null(*row) || PASSING.contains(&self.actions.value(*row));
            name && passes && self.scores.is_valid(*row)
        };
        let scores = (0..self.names.len())
            .filter(counts)
            .map(|row| self.scores.value(row));
        scores.reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    async fn told(guardrails: &str, name: &str) -> Result<String, String> {
        let context = SessionContext::new();
        super::super::register(&context);
        let sql = format!("SELECT guardrail_score_passed({guardrails}, {name}) AS score");
        let frame = context.sql(&sql).await.map_err(|error| error.to_string())?;
        let rows = frame.collect().await.map_err(|error| error.to_string())?;
        let column = arrow::compute::cast(rows[0].column(0), &arrow::datatypes::DataType::Utf8);
        let text = arrow::util::display::array_value_to_string(&column.unwrap(), 0);
        text.map_err(|error| error.to_string())
    }

    fn verdict(name: &str, action: &str, score: &str) -> String {
        format!(
            "named_struct('name', {name}, 'stage', 'input', 'action', {action}, 'severity', 'low', 'score', {score})"
        )
    }

    #[tokio::test]
    async fn what_was_blocked_or_redacted_has_not_passed() {
        let verdicts = [
            verdict("'Prompt_Injection'", "'allow'", "0.6"),
            verdict("'prompt_injection'", "'flag'", "0.9"),
            verdict("'prompt_injection'", "'block'", "0.99"),
            verdict("'pii'", "'redact'", "0.8"),
            verdict("'toxicity'", "NULL", "0.2"),
        ];
        let all = format!("make_array({})", verdicts.join(", "));
        for (name, score) in [
            ("'injection'", "0.9"),
            ("'pii'", ""),
            ("'TOX'", "0.2"),
            ("NULL", ""),
        ] {
            assert_eq!(told(&all, name).await.unwrap(), score, "{name}");
        }
        assert_eq!(told("NULL", "'pii'").await.unwrap(), "");
        let refused = told("make_array(1)", "'pii'").await.unwrap_err();
        assert!(refused.contains("takes the column guardrails"), "{refused}");
    }
}
