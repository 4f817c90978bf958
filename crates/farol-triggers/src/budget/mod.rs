//! Budgets: how much may be spent, in what time, and what happens on the way.
//!
//! ```text
//! budgets.yaml ──load──▶ Budget ─┐
//! partials of spend, billing ────┼─▶ books ──▶ ledger (pure) ──▶ message ──▶ actions table ──▶ publisher ──▶ outputs.budget
//! what was told, the watermark ──┘
//! ```
//!
//! * [`definition`] is what a budget is; [`load`](fn@load) reads the files, `check` says what is wrong with them.
//! * [`money`] is exact; [`period`] cuts time by the calendar of a zone.
//! * [`usage`] is what was spent, [`facts`] what was told of it, [`standing`] what that comes to in a period; [`ledger`] says
//!   what is to be told. All are pure.
//! * [`message`] is what is told, as a row and as JSON.
//! * `books` brings them together at each commit of partials; `read` reads partials.
//! * [`forecast`](mod@forecast) says when a limit will be spent, with an interval; [`report`] is what commands show.

mod books;
mod check;
pub mod definition;
pub mod facts;
mod file;
pub mod forecast;
pub mod ledger;
mod load;
pub mod message;
pub mod money;
pub mod period;
mod read;
pub mod report;
pub mod standing;
pub mod usage;

#[cfg(test)]
mod tests;

pub(crate) use books::Books;
pub use definition::Budget;
pub use load::{Budgets, load};
pub use message::BUDGET;
pub use money::Money;
