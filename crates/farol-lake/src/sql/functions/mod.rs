//! What SQL gains from Farol: sketches.
//!
//! | name | takes | gives |
//! |---|---|---|
//! | `quantiles(x)` | numbers | a sketch of their distribution |
//! | `distinct(x)` | any values | a sketch of how many differ |
//! | `merge_quantiles(s)`, `merge_distinct(s)` | sketches | their union |
//! | `quantile(s, q)` | a sketch, 0 to 1 | the value there, within 1 % |
//! | `distinct_count(s)` | a sketch | about how many values differ |
//!
//! NULLs are passed over; a sketch of nothing is NULL, and so is whatever is asked of it.

mod aggregate;
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
        .for_each(|function| context.register_udf(function));
}
