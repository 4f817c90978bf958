//! What SQL gains from Farol: sketches, how far answers agree, and the rule of what counts tokens.
//!
//! | name | takes | gives |
//! |---|---|---|
//! | `quantiles(x)` | numbers | a sketch of their distribution |
//! | `distinct(x)` | any values | a sketch of how many differ |
//! | `merge_quantiles(s)`, `merge_distinct(s)` | sketches | their union |
//! | `quantile(s, q)` | a sketch, 0 to 1 | the value there, within 1 % |
//! | `distinct_count(s)` | a sketch | about how many values differ |
//! | `candidate_agreement(c)` | the column `candidates` | how alike the candidates' texts are, 0 to 1 |
//! | `candidate_consensus(c, output)` | it and the answer | how alike the answer is to them, 0 to 1 |
//! | `guardrail_score_passed(g, name)` | the column `guardrails`, a part of a name | the highest score that was let pass |
//! | `calls_model(operation)` | a span's operation | whether the span's tokens and cost count |
//!
//! NULLs are passed over; a sketch of nothing is NULL, and so is whatever is asked of it.

mod aggregate;
mod calls_model;
mod candidates;
mod groups;
mod guardrails;
mod scalar;

use datafusion::execution::context::SessionContext;

/// A function, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub call: &'static str,
    /// What it gives, in a sentence.
    pub description: &'static str,
}

/// Every function that Farol adds to SQL.
pub const FUNCTIONS: [Function; 10] = [
    Function {
        name: "quantiles",
        call: "quantiles(x)",
        description: "An aggregate: a sketch of the distribution of numbers.",
    },
    Function {
        name: "distinct",
        call: "distinct(x)",
        description: "An aggregate: a sketch of how many values differ.",
    },
    Function {
        name: "merge_quantiles",
        call: "merge_quantiles(sketch)",
        description: "An aggregate: the union of sketches that quantiles made, as if made of all their numbers.",
    },
    Function {
        name: "merge_distinct",
        call: "merge_distinct(sketch)",
        description: "An aggregate: the union of sketches that distinct made.",
    },
    Function {
        name: "quantile",
        call: "quantile(sketch, q)",
        description: "The value that the share q (0 to 1) of the numbers does not exceed, within 1 %.",
    },
    Function {
        name: "distinct_count",
        call: "distinct_count(sketch)",
        description: "About how many values differ.",
    },
    Function {
        name: "candidate_agreement",
        call: "candidate_agreement(candidates)",
        description: "How alike candidates are by their words, 0 to 1: the Jaccard index of the sets, the mean of all pairs.",
    },
    Function {
        name: "candidate_consensus",
        call: "candidate_consensus(candidates, output)",
        description: "How alike an answer is to the candidates by their words, 0 to 1: the mean of all of them.",
    },
    Function {
        name: "calls_model",
        call: "calls_model(operation)",
        description: "Whether a span of that operation calls a model, so that its tokens and cost count: any but invoke_agent, chain, \
                      execute_tool, retrieval, guardrail and cache, which repeat what the calls inside of them used.",
    },
    Function {
        name: "guardrail_score_passed",
        call: "guardrail_score_passed(guardrails, name)",
        description: "The highest score that a guardrail whose name holds the text gave and let pass (no action, allow or flag). NULL where none did.",
    },
];

/// Makes the functions known to a session.
pub fn register(context: &SessionContext) {
    aggregate::all()
        .into_iter()
        .for_each(|function| context.register_udaf(function));
    scalar::all()
        .into_iter()
        .chain(candidates::all())
        .for_each(|function| context.register_udf(function));
    context.register_udf(calls_model::function());
    context.register_udf(guardrails::function());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use datafusion::execution::FunctionRegistry as _;

    use super::*;

    fn names(context: &SessionContext) -> BTreeSet<String> {
        context.udfs().into_iter().chain(context.udafs()).collect()
    }

    #[test]
    fn every_function_that_is_added_is_described() {
        let (plain, ours) = (SessionContext::new(), SessionContext::new());
        register(&ours);
        let added: BTreeSet<_> = names(&ours).difference(&names(&plain)).cloned().collect();
        let described = FUNCTIONS.map(|function| function.name.to_owned());
        assert_eq!(added, BTreeSet::from(described));
    }

    #[tokio::test]
    async fn spans_that_call_a_model_are_told_from_those_around_them() {
        let context = SessionContext::new();
        register(&context);
        let sql = "SELECT string_agg(column1, ' ' ORDER BY column1) AS counted FROM \
                   (VALUES ('chat'), ('text_completion'), ('embeddings'), ('generate_content'), ('chain'), ('invoke_agent'), ('cache')) \
                   WHERE calls_model(column1)";
        let rows = context.sql(sql).await.unwrap().collect().await.unwrap();
        let told = arrow::util::pretty::pretty_format_batches(&rows).unwrap();
        assert!(
            told.to_string()
                .contains("| chat embeddings generate_content text_completion |"),
            "{told}"
        );
        let unknown = "SELECT calls_model(CAST(NULL AS VARCHAR)) AS counted";
        let rows = context.sql(unknown).await.unwrap().collect().await.unwrap();
        let told = arrow::util::pretty::pretty_format_batches(&rows).unwrap();
        assert!(told.to_string().contains("| true "), "{told}");
    }
}
