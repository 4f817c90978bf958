//! ServeGen's parameters of production serving, turned into the requests they describe.
//!
//! The files hold no requests. For each client and window of 600 s they give the request rate and
//! the distribution of the time between requests (`chunk-N-trace.csv`), and for some clients and
//! each 6 h how token counts are distributed (`chunk-N-dataset.json`). From that requests are made
//! without any chance, so that everybody makes the same ones:
//!
//! 1. A window has `round(requests_per_s × length)` requests; its length is the distance to the
//!    next line, and the last window is as long as the one before it.
//! 2. The times between them are the quantiles of the window's Gamma or Weibull distribution at
//!    (k + ½)/K, K = min(n, 1024), stretched so that they fill the window ([`window`]).
//! 3. A field's values are the quantiles of its density at (k + ½)/n ([`density`]).
//! 4. Both are dealt to the requests in the order of a stride that shares no divisor with n, a
//!    different one for each field ([`stride`]), because the files tell marginals only and nothing
//!    of how fields go together.
//!
//! Sums and counts so depend on the densities alone, not on the order. Images (and audio, video)
//! are drawn for each one of them: a request's `input_tokens` are its text's and its media's.
//! `reasoning_tokens` are `output_tokens × reason_ratio`, rounded. A client without densities has
//! requests without token counts.

mod client;
mod density;
mod quantile;
mod requests;
mod stride;
mod window;

pub use client::Client;
