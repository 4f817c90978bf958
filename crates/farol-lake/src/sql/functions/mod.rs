//! What SQL gains from Farol: sketches, and how far answers agree.
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
//!
//! NULLs are passed over; a sketch of nothing is NULL, and so is whatever is asked of it.

mod aggregate;
mod candidates;
mod groups;
mod scalar;

use datafusion::execution::context::SessionContext;

/// Makes the functions known to a session.
pub fn register(context: &SessionContext) {
    aggregate::all()
        .into_iter()
        .for_each(|function| context.register_udaf(function));
    scalar::all()
        .into_iter()
        .chain(candidates::all())
        .for_each(|function| context.register_udf(function));
}
